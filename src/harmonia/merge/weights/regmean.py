"""RegMean: linear layers are merged by regression on the outputs that experts give to their own inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.maths.consensus import weighted_sum
from harmonia.maths.regression_mean import RegressionMean
from harmonia.merge.sources import Sources
from harmonia.merge.weights.base import Weights
from harmonia.merge.weights.statistics import require_statistic, statistic

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 64
"""Rows of a weight that are merged in one product: the same ones whatever the pieces, so that rounding is the same."""


class RegMean(Weights):
    """Linear layers become the one that answers as the experts do, each on its own inputs; the rest is averaged.

    W* = (sum_i w_i W_i G_i) (sum_i w_i G_i)^-1, W (d_out, d_in), G_i the mean over tokens of x x^T, off the diagonal
    times alpha. A layer's n matrices G_i are in memory at once. RegMean: Jin et al. 2023 (arXiv 2212.09849).
    """

    kind: Literal["regmean"] = "regmean"
    references: ClassVar[tuple[str, ...]] = ("jin2023regmean",)
    main: ClassVar[str] = "alpha"
    needs_base: ClassVar[bool] = False
    reads: ClassVar[str | None] = "gram"

    alpha: float = Field(0.9, ge=0, le=1)
    """Factor of what is off the diagonal of G: 0.9 for encoders, 0.1 for encoder-decoders; 1 changes nothing."""

    def check(self, experts: int, has_base: bool, counts: Sequence[float]) -> None:
        super().check(experts, has_base, counts)
        if min(counts) <= 0:
            raise InputError("weights=regmean is a regression on all experts' inputs: give weights above 0")

    def survey(self, model: Sequence[Sources], counts: Sequence[float], seed: int) -> None:
        require_statistic(model, "gram", "regmean")

    def merged(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[Tensor]:
        import torch

        measured = statistic(tensor, "gram")
        if measured is None:
            for piece in tensor.pieces():
                yield weighted_sum(piece.experts, counts, normalize=True)
            return
        width = tensor.shape[-1]
        if len(tensor.shape) != 2 or measured.shape != (width, width):
            raise InputError(
                f"{tensor.name}: a Gram matrix of shape {measured.shape} does not fit a weight of shape "
                f"{tensor.shape}; measure the inputs of this layer, ({width}, {width})"
            )
        seen = torch.cat([piece.experts.double() for piece in measured.pieces()], dim=1)
        mean = RegressionMean(seen.numpy().reshape(-1, width, width), np.array(counts), self.alpha)
        for piece in tensor.pieces(ROWS * width):
            layers = piece.experts.double().numpy().reshape(tensor.experts, -1, width)
            merged = [mean.merge(layers[:, top : top + ROWS]) for top in range(0, layers.shape[1], ROWS)]
            yield torch.from_numpy(np.concatenate(merged)).float().reshape(-1)
