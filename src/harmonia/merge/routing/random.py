"""Gates that know nothing: the lower bound of routing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.merge.routing.gates import GateRouter, drawn_rows, gates_like

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Fitting


class Random(GateRouter):
    """Gate vectors are drawn from N(0, 1) and not trained."""

    kind: Literal["random"] = "random"
    draws: ClassVar[bool] = True

    def fit(self, fitting: Fitting) -> Mapping[str, Tensor]:
        rows = drawn_rows(fitting, "random", lambda draw, width: draw.standard_normal(width))
        return gates_like(fitting.mixture, rows)
