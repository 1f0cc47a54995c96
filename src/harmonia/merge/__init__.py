"""Several trained experts become one model: weights x routing x bridging.

    import harmonia
    result = harmonia.merge(["law", "code", "mail"], "ties", base="smollm2")
    result.model          # a folder that transformers loads by itself
    result.disagreement   # where the experts pull apart

Before that, and nothing is written:

    harmonia.merge.dry_run(["law", "code"], "ties", base="smollm2")  # memory, disk and time
"""

from __future__ import annotations

from harmonia.core.verb import callable_package
from harmonia.merge import bridging, routing, weights
from harmonia.merge.adapter_work import merge_kept
from harmonia.merge.bridging import *  # noqa: F403 - the axis lists its parts
from harmonia.merge.engine import merge as run
from harmonia.merge.measuring import measure
from harmonia.merge.preview import dry_run
from harmonia.merge.prompts import Prompts
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.result import MergeResult
from harmonia.merge.routing import *  # noqa: F403 - the axis lists its parts
from harmonia.merge.weights import *  # noqa: F403 - the axis lists its parts

__all__ = ["MergeRecipe", "MergeResult", "Prompts", "dry_run", "measure", "merge_kept", "run"]
__all__ += weights.__all__ + routing.__all__ + bridging.__all__

callable_package(__name__)
