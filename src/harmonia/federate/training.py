"""How a client trains: epochs, batches, learning rate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harmonia.core.part import Part


class Training(Part):
    """Stochastic gradient descent from the received model; momentum starts at zero in every round."""

    kind: Literal["sgd"] = "sgd"

    epochs: Annotated[int, Field(ge=1)] = 1
    """E, passes over a client's examples in a round."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """K, local steps in a round, whatever a client's size; takes the place of ``epochs``."""
    batch: Annotated[int, Field(ge=1)] | None = 32
    """B, examples of a step; null for all of a client's. The last batch of an epoch may be smaller."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """eta, local learning rate."""
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The learning rate of round r is eta decay^(r - 1)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """rho, of the local steps."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Added to the gradient as weight_decay times the iterate, never at a perturbed point."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of a step's gradient with its correction, before weight decay; null for any."""

    def rate(self, round: int) -> float:
        """Return the learning rate of a round, counted from 1."""
        return self.learning_rate * self.decay ** (round - 1)
