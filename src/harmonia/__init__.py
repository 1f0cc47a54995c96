"""harmonia: learning from data that disagrees.

Documents, domains, clients, tasks, experts and modalities pull one model in different directions. harmonia shows how
they disagree, picks the data worth training on, trains one policy for many tasks or one model with clients that keep
their data, and judges the choice by its result.

    import harmonia
    result = harmonia.select("corpus/", "disf-unit", budget="1.5%")
    result.picks          # a polars table
    result.report()       # one self-contained HTML page

    result = harmonia.decide("trajectories/", "harmodt", tasks="mt10")
    result.policy         # acts: policy.reset("push-v3"); policy.act(observation)

    result = harmonia.federate("fashion-mnist", "fedgela", clients=10, partition="pcdd:2")
    result.model          # classifies: model.predict(images)

    result = harmonia.compress("minilm", "liar-wifv", ratio=0.5, calibration="tales")
    result.model()        # a transformer with half of its heads and neurons

    result = harmonia.merge(["law", "code"], "ties", base="smollm")
    result.model          # a folder that transformers loads

A stage is a verb and a package: ``harmonia.select(...)`` runs it, ``from harmonia.select import Greedy`` takes its
parts. Everything is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "select": ("harmonia.select", None),
    "decide": ("harmonia.decide", None),
    "federate": ("harmonia.federate", None),
    "merge": ("harmonia.merge", None),
    "compress": ("harmonia.compress", None),
    "compare": ("harmonia.stages", "compare"),
    "diagnose": ("harmonia.stages", "diagnose"),
    "recipes": ("harmonia.stages", "recipes"),
    "explain": ("harmonia.stages", "explain"),
    "cite": ("harmonia.stages", "cite"),
    "report": ("harmonia.report", None),
    "HarmoniaError": ("harmonia.core.errors", "HarmoniaError"),
}

__all__ = [
    "HarmoniaError",
    "__version__",
    "cite",
    "compare",
    "compress",
    "decide",
    "diagnose",
    "explain",
    "federate",
    "merge",
    "recipes",
    "report",
    "select",
]

if TYPE_CHECKING:
    from harmonia.core.errors import HarmoniaError as HarmoniaError
    from harmonia.report.pages import report as report
    from harmonia.stages import cite as cite
    from harmonia.stages import compare as compare
    from harmonia.stages import diagnose as diagnose
    from harmonia.stages import explain as explain
    from harmonia.stages import recipes as recipes


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'harmonia' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    found = import_module(module)
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return list(__all__)
