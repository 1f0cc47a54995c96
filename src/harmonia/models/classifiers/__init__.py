"""Small classifiers that stages train: a network from an example to features, chosen by name."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.models.classifiers.base import Architecture
from harmonia.models.classifiers.cnn import CNN
from harmonia.models.classifiers.linear import Linear
from harmonia.models.classifiers.mlp import MLP
from harmonia.models.classifiers.text_bag import TextBag

ARCHITECTURES = (CNN, MLP, Linear, TextBag)
AnyArchitecture = one_of(*ARCHITECTURES)

__all__ = ["CNN", "MLP", "AnyArchitecture", "Architecture", "Linear", "TextBag"]
