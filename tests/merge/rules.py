"""Tiny rules for tests of what runs them; each operation rounds alone, so that no vector width shows."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from harmonia.merge.weights.base import Weights


class Sum(Weights):
    """theta_0 + sum_i w_i tau_i."""

    kind: Literal["sum"] = "sum"

    def merged(self, tensor, counts, seed, known):
        for piece in tensor.pieces():
            out = piece.base.clone()
            for count, tau in zip(counts, piece.tasks, strict=True):
                out += count * tau
            yield out


class Mean(Weights):
    """sum_i w_i theta_i / sum_i w_i."""

    kind: Literal["mean"] = "mean"
    needs_base: ClassVar[bool] = False

    def merged(self, tensor, counts, seed, known):
        for piece in tensor.pieces():
            out = torch.zeros(piece.experts.shape[1])
            for count, theta in zip(counts, piece.experts, strict=True):
                out += count * theta
            yield out.div_(sum(counts))


class Twice(Weights):
    """Sum after the largest |tau| of the model and of the tensor were looked for: reads everything three times."""

    kind: Literal["twice"] = "twice"

    def survey(self, model, counts, seed):
        return max(float(piece.tasks.abs().max()) for tensor in model for piece in tensor.pieces())

    def merged(self, tensor, counts, seed, known):
        assert max(float(piece.tasks.abs().max()) for piece in tensor.pieces()) <= known
        yield from Sum().merged(tensor, counts, seed, None)


class Pair(Mean):
    """Mean of two."""

    kind: Literal["pair"] = "pair"
    exactly: ClassVar[int | None] = 2
