"""No routing: one dense model."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.merge.routing.base import Routing


class NoRouting(Routing):
    """All experts become one dense model, and nothing chooses."""

    kind: Literal["none"] = "none"
    is_mixture: ClassVar[bool] = False
