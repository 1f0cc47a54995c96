"""SAM at the client: the gradient where the client's own loss is worst nearby."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.federate.needs import Needs
from harmonia.federate.perturb.base import Perturb, Perturbation
from harmonia.federate.stack import Gradient, Stack
from harmonia.maths.sharpness import step_of_length

if TYPE_CHECKING:
    from torch import Tensor


class SAM(Perturb):
    """The gradient is taken a short way uphill of the client's own loss, at two backward passes per step.

    g(v + rho g(v) / ||g(v)||), with one norm over all shared coordinates: what is averaged is to lie flat. Foret et al.
    2021 (arXiv 2010.01412); in federated training Qu et al. 2022 (arXiv 2206.02618) and Caldarola et al. 2022
    (arXiv 2203.11834).
    """

    kind: Literal["sam"] = "sam"
    main: ClassVar[str] = "rho"
    references: ClassVar[tuple[str, ...]] = ("foret2021sam", "qu2022fedsam", "caldarola2022flat")
    rho: Annotated[float, Field(ge=0)] = 0.05
    """Length of the step uphill; 0 takes the gradient at the weights themselves."""

    @property
    def needs(self) -> Needs:
        """Two backward passes."""
        return Needs(backward=2)

    def begin(self, stack: Stack) -> Ascent:
        return Ascent(stack, self.rho)


class Ascent(Perturbation):
    """A step uphill of each client's own batch loss."""

    def __init__(self, stack: Stack, rho: float) -> None:
        self.stack, self.rho = stack, rho

    def gradient(self, at: Tensor, gradient: Gradient) -> Tensor:
        uphill = gradient(at)[:, self.stack.shared]
        return gradient(at + self.stack.spread(step_of_length(uphill, self.rho)))
