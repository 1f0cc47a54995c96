"""FedSMOO: local perturbations that are made to agree, by a dual variable of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.federate.needs import Item, Needs
from harmonia.federate.perturb.base import Perturb, Perturbation
from harmonia.federate.server_rule import ServerRule
from harmonia.federate.stack import Gradient, Stack
from harmonia.maths.sharpness import step_of_length

if TYPE_CHECKING:
    from torch import Tensor


class SMOO(Perturb):
    """The gradient is taken uphill of the client's own loss, in a direction that is pulled to the other clients'.

    Per step: e = rho d / ||d|| with d = g(v) - mu_i - s, and the gradient is taken at v + e: two backward passes. Per
    local training: mu_i <- mu_i + e - s, with e of the last step. Per round: s = rho m / ||m||, m the mean of the mu_i
    of those who took part. Sun et al. 2023 (arXiv 2305.11584), with the authors' own simplification of s; they use it
    with drift=dyn.
    """

    kind: Literal["smoo"] = "smoo"
    main: ClassVar[str] = "rho"
    references: ClassVar[tuple[str, ...]] = ("sun2023fedsmoo",)
    rho: Annotated[float, Field(ge=0)] = 0.1
    """Length of the perturbation."""
    dual: Literal["round", "step"] = "round"
    """When mu_i moves: once per local training, or after every step, as in the released code."""

    @property
    def needs(self) -> Needs:
        """Duals up and kept, the global perturbation down, two backward passes."""
        return Needs(
            kept=(Item("ascent_dual", "P", "mu_i, how far its perturbations were from the global one"),),
            down=(Item("ascent", "P", "s, the global perturbation"),),
            up=(Item("ascent_dual", "P", "mu_i, from which the global perturbation is made"),),
            server=(Item("ascent", "P", "s, the global perturbation"),),
            backward=2,
        )

    def begin(self, stack: Stack) -> AgreedAscent:
        return AgreedAscent(stack, self)

    def server(self) -> ServerRule:
        return GlobalAscent(self.rho)


class AgreedAscent(Perturbation):
    """A step uphill, corrected by the client's dual and the global perturbation."""

    def __init__(self, stack: Stack, part: SMOO) -> None:
        self.stack, self.part = stack, part
        self.ascent, self.dual = stack.sent["ascent"], stack.kept["ascent_dual"]
        self._next, self._step = self.dual, 0

    def gradient(self, at: Tensor, gradient: Gradient) -> Tensor:
        import torch

        wanted = gradient(at)[:, self.stack.shared] - self.dual - self.ascent
        step = step_of_length(wanted, self.part.rho)
        running = (self._step < self.stack.steps)[:, None]  # a client that is done keeps its dual
        self._next = torch.where(running, self.dual + step - self.ascent, self._next)
        self._step += 1
        if self.part.dual == "step":
            self.dual = self._next
        return gradient(at + self.stack.spread(step))

    def end(self, final: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {"ascent_dual": self._next}, {"ascent_dual": self._next}


class GlobalAscent(ServerRule):
    """The global perturbation: rho along the mean of the clients' duals."""

    def __init__(self, rho: float) -> None:
        super().__init__()
        self.rho = rho

    def down(self, model: Tensor) -> dict[str, Tensor]:
        return {"ascent": self.state["ascent"] if "ascent" in self.state else model.new_zeros(model.shape)}

    def receive(self, client: int, up: dict[str, Tensor]) -> None:
        dual, total = up["ascent_dual"], self.state.get("duals")
        self.state["duals"] = dual if total is None else total + dual

    def end_round(self, before: Tensor, after: Tensor, steps: float, rate: float) -> None:
        # the mean has the direction of the sum
        self.state["ascent"] = step_of_length(self.state.pop("duals"), self.rho)
