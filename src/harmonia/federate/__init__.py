"""Train one model with clients that keep their examples: head x loss x perturb x drift x schedule x weight x server.

    import harmonia
    result = harmonia.federate("fashion-mnist", "fedgela", clients=10, partition="pcdd:2")
    classifier = harmonia.federate.load(result.folder)
    classes = classifier.predict(images)

Before anything is trained:

    harmonia.federate.partition("fashion-mnist", "pcdd:2", clients=10)  # who gets what
    harmonia.federate.plan("fashion-mnist", "scaffold")  # what is kept and sent
"""

from __future__ import annotations

from harmonia.core.verb import callable_package
from harmonia.federate import drift, head, loss, perturb, schedule, server, weight
from harmonia.federate.classifier import Classifier, load
from harmonia.federate.drift import *  # noqa: F403 - each axis lists its parts
from harmonia.federate.engine import federate as run
from harmonia.federate.head import *  # noqa: F403
from harmonia.federate.loss import *  # noqa: F403
from harmonia.federate.perturb import *  # noqa: F403
from harmonia.federate.preview import partition, plan
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.result import FederateResult
from harmonia.federate.schedule import *  # noqa: F403
from harmonia.federate.server import *  # noqa: F403
from harmonia.federate.training import Training
from harmonia.federate.weight import *  # noqa: F403

__all__ = ["Classifier", "FederateRecipe", "FederateResult", "Training", "load", "partition", "plan", "run"]
__all__ += drift.__all__ + head.__all__ + loss.__all__ + perturb.__all__
__all__ += schedule.__all__ + server.__all__ + weight.__all__

callable_package(__name__)
