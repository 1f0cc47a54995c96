"""A package that is a verb too: ``harmonia.select(...)`` runs the stage, ``harmonia.select.Greedy`` is a part of it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **settings: Any) -> Any:
        return self.__dict__["run"](*args, **settings)


def callable_package(name: str) -> None:
    """Make the package ``name`` callable; the call goes to its attribute ``run``."""
    sys.modules[name].__class__ = _Verb
