"""Gates in closed form: from what a gate sees to the domain that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.merge.routing.gates import GateRouter, gates_like

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Fitting


class RidgeRouter(GateRouter):
    """Gate vectors in closed form: ridge regression from what a gate sees to the domain of the token or text.

    W = (H^T H + lam I)^-1 H^T Y in every layer, Y one-hot, lam = ridge times the mean of the diagonal of H^T H. H are
    the states of a mixture that sends every text to its own expert, so that one pass over the texts is enough, sums are
    all that is kept, and an expert that comes later adds a column. DUME: Fanì and Ersoy 2026 (arXiv 2603.29765).
    """

    kind: Literal["ridge-router"] = "ridge-router"
    references: ClassVar[tuple[str, ...]] = ("fani2026dume", "hoerl1970ridge")
    reads_examples: ClassVar[bool] = True
    main: ClassVar[str] = "ridge"

    ridge: float = Field(1e-3, ge=0)
    """lam over the mean square of a state's entries times the number of states."""
    sharpness: float = Field(10.0, gt=0)
    """What the regression is multiplied by before the softmax: its outputs lie about 0 to 1, as one-hot targets do."""

    def fit(self, fitting: Fitting) -> Mapping[str, Tensor]:
        import torch

        from harmonia.merge.mixture.ridge_statistics import ridge_statistics

        assert fitting.examples is not None
        found = ridge_statistics(fitting.mixture, fitting.examples)
        rows = [torch.from_numpy(self.sharpness * each.solve(self.ridge).T) for each in found]
        return gates_like(fitting.mixture, rows)
