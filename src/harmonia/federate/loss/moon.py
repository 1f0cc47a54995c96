"""MOON: features towards those of the global model, away from those of the client's previous one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.federate.loss.base import Loss
from harmonia.federate.needs import Item, Needs

if TYPE_CHECKING:
    from torch import Tensor


class Moon(Loss):
    """Features are drawn to those of the received model and away from those of the client's own previous one.

    mu mean_i -log(e^{cos(z, z_g) / tau} / (e^{cos(z, z_g) / tau} + e^{cos(z, z_p) / tau})). A client that takes part
    for the first time has no previous model and adds a constant. MOON: Li, He & Song 2021 (arXiv 2103.16257), here on
    the features themselves: its projection head, if wanted, is part of the backbone.
    """

    kind: Literal["moon"] = "moon"
    references: ClassVar[tuple[str, ...]] = ("li2021moon",)
    main: ClassVar[str] = "mu"
    reads_models: ClassVar[tuple[str, ...]] = ("received", "previous")

    mu: float = Field(1.0, ge=0)
    """Weight of the term; 0 is plain cross entropy."""
    tau: float = Field(0.5, gt=0)
    """Temperature."""

    @property
    def needs(self) -> Needs:
        return Needs(kept=(Item("previous", "P", "the client's last local model"),))

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
        if others is None or not {"received", "previous"} <= others.keys():
            raise InputError("loss=moon compares with two models: give others={'received': ..., 'previous': ...}")
        each = contrast(features, others["received"], others["previous"], self.tau)
        return self.mu * (each * valid).sum(dim=-1) / valid.sum(dim=-1).clamp(min=1)


def contrast(features: Tensor, towards: Tensor, away: Tensor, tau: float) -> Tensor:
    """Return -log of the soft-max share of ``towards`` against ``away``, by cosines: three times (..., d) -> (...)."""
    from torch.nn.functional import cosine_similarity, softplus

    return softplus((cosine_similarity(features, away, dim=-1) - cosine_similarity(features, towards, dim=-1)) / tau)
