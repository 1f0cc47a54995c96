"""LESAM: the global direction of ascent, read off the models that a client was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.federate.needs import Item, Needs
from harmonia.federate.perturb.base import Perturb, Perturbation
from harmonia.federate.server_rule import ServerRule
from harmonia.federate.stack import Gradient, Stack
from harmonia.maths.sharpness import step_of_length

if TYPE_CHECKING:
    from torch import Tensor


class LESAM(Perturb):
    """The gradient is taken uphill of the global loss, as the last two global models tell it: one backward pass.

    eps = rho (w_old - w) / ||w_old - w||, one norm over all shared coordinates, the same in every step of a local
    training; 0 for a client that never took part, or when the model did not move. Fan et al. 2024 (arXiv 2405.18890).
    The released code shifts all entries of a tensor by one number; this is the paper's rule.
    """

    kind: Literal["lesam"] = "lesam"
    main: ClassVar[str] = "rho"
    references: ClassVar[tuple[str, ...]] = ("fan2024fedlesam",)

    rho: Annotated[float, Field(ge=0)] = 0.1
    """Length of the step uphill; 0 takes the gradient at the weights themselves."""
    memory: Literal["client", "server"] = "client"
    """Where w_old is kept. client: the model that the client was sent when it last took part. server: the average
    before the present one, for clients that keep nothing; its difference to the present one travels with the model."""

    @property
    def needs(self) -> Needs:
        """What the perturbation needs of a round."""
        if self.memory == "client":
            return Needs(kept=(Item("last", "P", "the shared weights that it was sent last"),))
        return Needs(
            down=(Item("direction", "P", "the average before this one, less this one"),),
            server=(Item("previous", "P", "the average before this one"),),
        )

    def begin(self, stack: Stack) -> Shift:
        import torch

        received = stack.received[:, stack.shared]
        if self.memory == "server":
            return Shift(stack.spread(step_of_length(stack.sent["direction"], self.rho)), {})
        old = torch.where(stack.first[:, None], received, stack.kept["last"])
        return Shift(stack.spread(estimated_ascent(old, received, self.rho)), {"last": received})

    def server(self) -> ServerRule | None:
        return PreviousAverage() if self.memory == "server" else None


class Shift(Perturbation):
    """The same shift in every step."""

    def __init__(self, shift: Tensor, kept: dict[str, Tensor]) -> None:
        self.constant, self.kept = shift, kept

    def gradient(self, at: Tensor, gradient: Gradient) -> Tensor:
        return gradient(at)  # local training runs at the shifted point

    def end(self, final: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.kept, {}


class PreviousAverage(ServerRule):
    """Remembers the average before the present one; between two averages its direction stays as it is."""

    def down(self, model: Tensor) -> dict[str, Tensor]:
        return {"direction": self.state.get("previous", model) - model}

    def end_round(self, before: Tensor, after: Tensor, steps: float, rate: float) -> None:
        self.state["previous"] = before


def estimated_ascent(old: Tensor, new: Tensor, rho: float) -> Tensor:
    """Return eps = rho (old - new) / ||old - new||, the shift at which to take gradients: (..., P); 0 for old = new.

    In a loop of one's own: add it to the weights once, train there, and take it off at the end.

    Args:
        old: (..., P) an earlier global model.
        new: (..., P) the present one.
        rho: length of the shift.

    Raises:
        InputError: the two models differ in shape, or their difference is not finite.
    """
    if old.shape != new.shape:
        raise InputError(f"the old model has shape {tuple(old.shape)}, the new one {tuple(new.shape)}; they must agree")
    delta = old - new
    if not bool(delta.isfinite().all()):
        raise InputError("the old and the new model differ by numbers that are not finite; drop the one that has them")
    return step_of_length(delta, rho)
