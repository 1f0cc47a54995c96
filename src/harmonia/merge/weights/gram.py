"""Inner products of a tensor's experts, or of their task vectors, in one pass."""

from __future__ import annotations

from typing import Literal

import numpy as np

from harmonia.maths.streamed_sum import StreamedGram
from harmonia.merge.sources import Sources


def gram(tensor: Sources, of: Literal["experts", "tasks"]) -> np.ndarray:
    """Return the inner products of the experts, or of the task vectors: (n, n) float64."""
    found = StreamedGram(tensor.experts)
    for piece in tensor.pieces():
        rows = piece.experts if of == "experts" else piece.tasks
        found.add(rows.numpy())
    return found.total
