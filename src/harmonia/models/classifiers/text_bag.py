"""A text as the mean of the vectors of its hashed n-grams, then one layer (fastText: Joulin et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.models.classifiers.base import Architecture

if TYPE_CHECKING:
    from torch import Tensor, nn


class TextBag(Architecture):
    """Mean of n-gram vectors, then one layer with ReLU; ids are positive, 0 is padding."""

    kind: Literal["text-bag"] = "text-bag"
    main: ClassVar[str] = "features"
    buckets: Annotated[int, Field(ge=2)] = 4096
    """Rows of the table of n-gram vectors; ids beyond it wrap around."""
    width: Annotated[int, Field(ge=1)] = 32
    """Length of an n-gram's vector."""
    features: Annotated[int, Field(ge=1)] = 32
    """d, length of a feature."""

    references = ("joulin2017bag",)

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        if len(shape) != 1:
            raise InputError(f"model=text-bag reads ids of n-grams, (T,), not {shape}")
        return _bag(self.buckets, self.width, self.features)


def _bag(buckets: int, width: int, features: int) -> nn.Module:
    from torch import nn

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(buckets, width)
            self.layer = nn.Linear(width, features)

        def forward(self, ids: Tensor) -> Tensor:
            present = (ids > 0).unsqueeze(-1).to(self.table.weight.dtype)
            total = (self.table(ids.remainder(buckets)) * present).sum(dim=-2)
            features: Tensor = self.layer(total / present.sum(dim=-2).clamp(min=1)).relu()
            return features

    return Bag()
