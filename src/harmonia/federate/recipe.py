"""The record of a recipe: head x loss x perturb x drift x schedule x weight x server, and the local training."""

from __future__ import annotations

from typing import ClassVar

from harmonia.core.recipe import Recipe
from harmonia.federate.drift import AnyDrift
from harmonia.federate.head import AnyHead
from harmonia.federate.loss import AnyLoss
from harmonia.federate.perturb import AnyPerturb
from harmonia.federate.schedule import AnySchedule
from harmonia.federate.server import AnyServer
from harmonia.federate.training import Training
from harmonia.federate.weight import AnyWeight


class FederateRecipe(Recipe):
    """Clients train from the model they are sent; the server averages what comes back."""

    stage: ClassVar[str] = "federate"

    head: AnyHead
    """How features become logits, and whose the head is."""
    loss: AnyLoss
    """What a client adds to the cross entropy."""
    perturb: AnyPerturb
    """At which point the gradient of a local step is taken."""
    drift: AnyDrift
    """What is added to that gradient against running off to the client's own optimum."""
    schedule: AnySchedule
    """Which client trains which model, and when models are averaged."""
    weight: AnyWeight
    """How much each client's model counts in the average."""
    server: AnyServer
    """What the server does with the average."""
    training: Training
    """How a client trains."""
