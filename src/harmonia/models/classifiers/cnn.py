"""LeNet-like convolutions (LeCun et al. 1998) for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.models.classifiers.base import Architecture

if TYPE_CHECKING:
    from torch import nn


class CNN(Architecture):
    """Two 5 x 5 convolutions, each with 2 x 2 maximum and ReLU, then one layer to the features.

    28 x 28 grey images: 19,872 weights, 20,522 with a linear head of ten classes.
    """

    kind: Literal["cnn"] = "cnn"
    main: ClassVar[str] = "features"
    channels: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (8, 16)
    """Channels of the two convolutions."""
    features: Annotated[int, Field(ge=1)] = 64
    """d, length of a feature."""
    rectified: bool = True
    """Whether features pass a ReLU; without it they can point anywhere, as heads of fixed directions want."""

    references = ("lecun1998gradient",)

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        from torch import nn

        from harmonia.models.classifiers.scaled import Scaled

        if len(shape) != 3 or min(shape[1:]) < 16:
            raise InputError(f"model=cnn reads images of at least 16 x 16, (channels, height, width), not {shape}")
        first, second = self.channels
        height, width = (((side - 4) // 2 - 4) // 2 for side in shape[1:])
        layers: list[nn.Module] = [
            Scaled(),
            nn.Conv2d(shape[0], first, 5),
            nn.MaxPool2d(2),  # before the ReLU, with which it commutes: a quarter of the numbers to rectify
            nn.ReLU(),
            nn.Conv2d(first, second, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * height * width, self.features),
        ]
        return nn.Sequential(*layers, nn.ReLU()) if self.rectified else nn.Sequential(*layers)
