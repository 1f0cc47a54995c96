"""Gates out of embeddings of prompts alone: no model runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.merge.routing.gates import GateRouter, gates_like

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Fitting


class CheapEmbed(GateRouter):
    """An expert's gate vector is the sum of the embeddings of its prompts, at length 1, the same in every layer.

    Prompts that an expert should not take are subtracted.
    """

    kind: Literal["cheap-embed"] = "cheap-embed"
    reads_examples: ClassVar[bool] = True

    def fit(self, fitting: Fitting) -> Mapping[str, Tensor]:
        import torch

        assert fitting.examples is not None
        table = fitting.mixture.embedding
        rows = torch.zeros(fitting.mixture.experts, table.shape[1], dtype=torch.float64)
        for sign, several in ((1, fitting.examples.positive), (-1, fitting.examples.negative)):
            for row, batches in zip(rows, several, strict=False):
                for batch in batches:
                    row.add_(table[batch.ids[batch.mask.bool()]].double().sum(dim=0).cpu(), alpha=sign)
        rows = torch.nn.functional.normalize(rows, dim=1)
        return gates_like(fitting.mixture, [rows] * len(fitting.mixture.gates()))
