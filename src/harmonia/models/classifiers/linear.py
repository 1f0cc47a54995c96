"""One linear layer: with a linear head, soft-max regression through a bottleneck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.models.classifiers.base import Architecture

if TYPE_CHECKING:
    from torch import nn


class Linear(Architecture):
    """One linear layer to the features; with ``features`` small it is a bottleneck."""

    kind: Literal["linear"] = "linear"
    main: ClassVar[str] = "features"
    features: Annotated[int, Field(ge=1)] = 32
    """d, length of a feature."""

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        from math import prod

        from torch import nn

        from harmonia.models.classifiers.scaled import Scaled

        return nn.Sequential(Scaled(), nn.Flatten(), nn.Linear(prod(shape), self.features))
