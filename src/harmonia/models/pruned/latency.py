"""Measured time per token."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from harmonia.core.errors import InputError


def seconds_per_token(
    models: Sequence[Any], *, batch: int, length: int = 128, repeats: int = 7, warm: int = 2
) -> list[float]:
    """Return the median time of a forward pass of each model, divided by its tokens.

    The models take turns, so that whatever else the machine does falls on all of them.

    Args:
        models: in evaluation mode.
        batch: sequences of a pass.
        length: tokens of a sequence.
        repeats: measured passes of each model.
        warm: passes before them that do not count.

    Raises:
        InputError: a number below one, or no models.
    """
    if min(batch, length, repeats, len(models)) < 1:
        raise InputError(f"batch={batch}, length={length}, repeats={repeats}, {len(models)} models: at least 1 of each")
    taken = np.zeros((len(models), repeats))
    inputs = [torch.zeros(batch, length, dtype=torch.long, device=next(model.parameters()).device) for model in models]
    with torch.inference_mode():
        for turn in range(-warm, repeats):
            for place, (model, ids) in enumerate(zip(models, inputs, strict=True)):
                _finish(ids)
                start = time.perf_counter()
                model(input_ids=ids)
                _finish(ids)
                if turn >= 0:
                    taken[place, turn] = time.perf_counter() - start
    return [float(seconds) for seconds in np.median(taken, axis=1) / (batch * length)]


def _finish(tensor: torch.Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
