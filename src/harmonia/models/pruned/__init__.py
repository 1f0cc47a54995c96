"""Pruned transformers: which layers make up units, cutting them or hidden channels, and folders that load again."""

from __future__ import annotations

from harmonia.core.errors import MissingExtraError

try:
    import torch  # noqa: F401
    import transformers  # noqa: F401
except ImportError as error:
    raise MissingExtraError(str(error.name), "lm") from error

from harmonia.models.pruned.families import FAMILIES, check_loaded, family_of
from harmonia.models.pruned.family import Family, Producer, Slot
from harmonia.models.pruned.latency import seconds_per_token
from harmonia.models.pruned.layout import is_stock
from harmonia.models.pruned.loading import load
from harmonia.models.pruned.narrowing import check_narrow, narrow_outline, narrowed
from harmonia.models.pruned.saving import save
from harmonia.models.pruned.size import macs_per_token, parameters
from harmonia.models.pruned.slicing import Cut, check_removable, outline, shallower, sliced
from harmonia.models.pruned.walk import Step, walk

__all__ = [
    "FAMILIES",
    "Cut",
    "Family",
    "Producer",
    "Slot",
    "Step",
    "check_loaded",
    "check_narrow",
    "check_removable",
    "family_of",
    "is_stock",
    "load",
    "macs_per_token",
    "narrow_outline",
    "narrowed",
    "outline",
    "parameters",
    "save",
    "seconds_per_token",
    "shallower",
    "sliced",
    "walk",
]
