"""How documents become vectors: one file per way."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.select.features.given import Given
from harmonia.select.features.hashing import Hashing
from harmonia.select.features.loss_gradient import LossGradient
from harmonia.select.features.mean_hidden import MeanHidden
from harmonia.select.features.none import NoFeatures
from harmonia.select.features.probe_ntk import ProbeNTK
from harmonia.select.features.pseudo_ntk import PseudoNTK
from harmonia.select.features.sentence_transformers import SentenceTransformers
from harmonia.select.features.static import Static

AnyFeatures = one_of(
    Hashing, Static, SentenceTransformers, MeanHidden, PseudoNTK, ProbeNTK, LossGradient, Given, NoFeatures
)

__all__ = [
    "AnyFeatures",
    "Given",
    "Hashing",
    "LossGradient",
    "MeanHidden",
    "NoFeatures",
    "ProbeNTK",
    "PseudoNTK",
    "SentenceTransformers",
    "Static",
]
