"""A perceptron with one hidden layer per width, for vectors and small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.models.classifiers.base import Architecture

if TYPE_CHECKING:
    from torch import nn


class MLP(Architecture):
    """Layers with ReLU on the flattened example; the last one gives the features."""

    kind: Literal["mlp"] = "mlp"
    main: ClassVar[str] = "features"
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Widths of the layers before the features."""
    features: Annotated[int, Field(ge=1)] = 64
    """d, length of a feature."""
    rectified: bool = True
    """Whether features pass a ReLU."""

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        from math import prod

        from torch import nn

        from harmonia.models.classifiers.scaled import Scaled

        layers: list[nn.Module] = [Scaled(), nn.Flatten()]
        before = prod(shape)
        for width in (*self.hidden, self.features):
            layers += [nn.Linear(before, width), nn.ReLU()]
            before = width
        return nn.Sequential(*(layers if self.rectified else layers[:-1]))
