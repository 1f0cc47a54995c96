"""A linear head of each client's own, on a backbone that all share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.head.base import Head
from harmonia.federate.head.linear import LinearMap

if TYPE_CHECKING:
    from torch import Tensor


class Local(Head):
    """A linear head that never leaves its client, on a shared backbone; there is no global model to judge.

    joint trains both at once (FedPer: Arivazhagan et al. 2019, arXiv 1912.00818); alternate first the head alone, then
    the backbone alone (FedRep: Collins et al. 2021, arXiv 2102.07078).
    """

    kind: Literal["local"] = "local"
    references: ClassVar[tuple[str, ...]] = ("arivazhagan2019fedper", "collins2021fedrep")
    main: ClassVar[str] = "order"
    private: ClassVar[bool] = True
    personal: ClassVar[bool] = True

    order: Literal["joint", "alternate"] = "joint"
    """Whether head and backbone are trained at once, or one after the other."""
    head_share: float = Field(0.5, gt=0, lt=1)
    """With order alternate, the share of a round's local steps that train the head, at least one step for each; ten
    epochs of the head before one of the backbone are 10/11 of 11."""

    def moves(self, step: int, steps: Tensor) -> Tensor | None:
        if self.order == "joint":
            return None
        import torch

        last = (steps - 1).clamp(min=1)
        head = step < (self.head_share * steps).round().clamp(min=1).minimum(last)
        alone = steps == 1  # a single step cannot be shared out
        return torch.stack([~head | alone, head | alone], dim=1)

    def build(self, classes: int, features: int, seed: int) -> LinearMap:
        return LinearMap(classes, features, seed)
