"""Options that commands about clients share: who they are, and how they train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cyclopts import Parameter


@Parameter(name="*")
@dataclass
class Dealt:
    """Which examples each client has."""

    clients: int | None = None
    """How many there are; 10 by default, or as many as a partition by column finds."""
    partition: str | None = None
    """How examples are dealt to them; dirichlet:0.5 by default. iid: alike. dirichlet:0.1: skewed shares of classes,
    the more the smaller the number. pcdd:2: two classes each. shards:2: two runs of examples in the order of classes.
    quantity:0.5: skewed sizes. feature-noise:0.1: noise that grows from client to client. column:NAME: a client per
    value of a column, such as hospital or writer."""
    label: str | None = None
    """Column of the labels (detected: label, class, target, ...)."""
    size: int | None = None
    """Sides that images are brought to; needed where their sizes differ."""

    def named(self) -> dict[str, Any]:
        """Return what was asked for by name; what was not is left to the stage."""
        return {name: value for name, value in vars(self).items() if value is not None}


@Parameter(name="*")
@dataclass
class Schedule:
    """How many train, how often and how long."""

    rounds: int = 50
    """Rounds; in each, clients train from the model that they are sent."""
    active: float = 1.0
    """Share of the clients that take part in a round; at least one does."""
    model: str | None = None
    """Network: cnn, mlp, linear or text-bag, a width behind a colon: mlp:32. By default what suits the data."""
    every: int = 1
    """Judge the global model after each so many rounds, and after the last."""


@Parameter(name="*")
@dataclass
class LocalTraining:
    """Short names of what --set training.FIELD=VALUE says too."""

    local_epochs: int | None = None
    """Passes over a client's examples in a round: training.epochs."""
    batch: int | None = None
    """Examples of a local step: training.batch."""
    learning_rate: float | None = None
    """Of local steps: training.learning_rate."""

    def settings(self, given: list[str] | None) -> list[str]:
        """Return these as settings of a recipe, before those that were given."""
        short = {"epochs": self.local_epochs, "batch": self.batch, "learning_rate": self.learning_rate}
        return [*(f"training.{name}={value}" for name, value in short.items() if value is not None), *(given or ())]
