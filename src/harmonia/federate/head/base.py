"""The axis ``head``: how features become logits, and whose the head is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.core.part import Part
from harmonia.federate.needs import Needs

if TYPE_CHECKING:
    from torch import Tensor


class Head(Part):
    """How features become logits.

    A head with weights of its own has them at the end of the model's vector: [backbone | head].
    """

    private: ClassVar[bool] = False
    """Whether the head stays with its client, so that no global model has one."""
    frozen: ClassVar[bool] = False
    """Whether the head, though it has weights, is not trained."""
    personal: ClassVar[bool] = False
    """Whether a client's own logits differ from the global ones."""

    def moves(self, step: int, steps: Tensor) -> Tensor | None:
        """Return what local step ``step`` (from 0) trains: (m, 2) bool for backbone and head; None for both.

        Args:
            step: the present one.
            steps: (m,) how many each client takes.
        """
        return None

    @property
    def needs(self) -> Needs:
        """What the head needs of a round."""
        return Needs()

    def build(self, classes: int, features: int, seed: int) -> HeadMap:
        """Return the map from features to logits.

        Raises:
            InputError: the head cannot have so many classes with so few features.
        """
        raise NotImplementedError


class HeadMap:
    """Features to logits; also usable alone, in anybody's loop.

    Attributes:
        size: how many weights of the model's vector it has; 0 for a head that is given.
        vectors: (d, C) the class vectors of a head that is given, else None; they can serve as prototypes.
    """

    size: int = 0
    vectors: Tensor | None = None

    def initial(self) -> Tensor:
        """Return the first weights: (size,)."""
        raise NotImplementedError

    def logits(
        self, weights: Tensor, features: Tensor, counts: Tensor | None, mode: Literal["local", "global"]
    ) -> Tensor:
        """Return the logits: (m, B, C).

        Args:
            weights: (m, size).
            features: (m, B, d).
            counts: (m, C) examples per class of each client; needed by ``mode="local"`` of a personal head.
            mode: local in training and for personal scores, global for the model that all share.
        """
        raise NotImplementedError
