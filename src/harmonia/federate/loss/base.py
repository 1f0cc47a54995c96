"""The axis ``loss``: what a client adds to the cross entropy of its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from harmonia.core.part import Part
from harmonia.federate.needs import Needs
from harmonia.federate.server_rule import ServerRule

if TYPE_CHECKING:
    from torch import Tensor


class Loss(Part):
    """What a client adds to the cross entropy."""

    plain: ClassVar[bool] = False
    """Whether nothing is added, so that ``term`` need not be asked."""
    reads_models: ClassVar[tuple[str, ...]] = ()
    """Models whose features on the batch it compares with, by name: ``"received"``, or one that the client kept."""

    @property
    def needs(self) -> Needs:
        """What the loss needs of a round."""
        return Needs()

    @property
    def anchors_from_head(self) -> bool:
        """Whether the prototypes are the class vectors of a head that is given."""
        return False

    def term(
        self,
        features: Tensor,
        labels: Tensor,
        valid: Tensor,
        *,
        classes: int,
        anchors: Tensor | None = None,
        known: Tensor | None = None,
        others: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Return what is added to each client's loss: (m,), zeros for plain cross entropy.

        Args:
            features: (m, B, d).
            labels: (m, B) int64.
            valid: (m, B) bool, False for padding.
            classes: C.
            anchors: (m, C, d) or (C, d) prototypes of the classes, where the loss needs them.
            known: (m, C) or (C,) bool, which prototypes there are.
            others: features of the same batch by other models, by name: (m, B, d).
        """
        raise NotImplementedError

    def server(self) -> ServerRule | None:
        """Return what the server does for it; None for nothing."""
        return None
