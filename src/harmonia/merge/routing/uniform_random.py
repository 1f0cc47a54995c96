"""Small random gates, a beginning for training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.merge.routing.gates import GateRouter, drawn_rows, gates_like, small_uniform

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Fitting


class UniformRandom(GateRouter):
    """Gate vectors are drawn from U(-1 / sqrt(d), 1 / sqrt(d)), as linear layers begin, and not trained."""

    kind: Literal["uniform-random"] = "uniform-random"
    draws: ClassVar[bool] = True

    def fit(self, fitting: Fitting) -> Mapping[str, Tensor]:
        return gates_like(fitting.mixture, drawn_rows(fitting, "gates", small_uniform))
