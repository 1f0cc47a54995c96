"""The axis ``schedule``: which client trains which model, and when models are averaged."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.federate.schedule.cyclic import Cyclic
from harmonia.federate.schedule.every import Every
from harmonia.federate.schedule.skip import Skip

AnySchedule = one_of(Every, Skip, Cyclic)

__all__ = [
    "AnySchedule",
    "Cyclic",
    "Every",
    "Skip",
]
