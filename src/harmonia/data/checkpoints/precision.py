"""Between the bytes of a file and float32.

float16, bfloat16 and float32 become float32 exactly; float64 is rounded once. The way back rounds once, to nearest,
ties to even.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError
from harmonia.data.checkpoints.header import FLOATS

if TYPE_CHECKING:
    from torch import Tensor

NAMES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "float64": "F64"}
"""Names that users write -> those of safetensors."""


def dtype_named(name: str) -> str:
    """Return what safetensors calls a type.

    Raises:
        InputError: not a type that weights can be written in.

    >>> dtype_named("bfloat16"), dtype_named("torch.float16"), dtype_named("F32")
    ('BF16', 'F16', 'F32')
    """
    found = NAMES.get(name.removeprefix("torch."), name)
    if found not in FLOATS:
        raise InputError(f"dtype {name!r}: weights are written as {', '.join(NAMES)}")
    return found


def to_float32(raw: np.ndarray, dtype: str, out: Tensor) -> None:
    """Put the numbers of (m * itemsize,) bytes into ``out``: (m,) float32."""
    import torch

    if len(raw):
        out.copy_(torch.frombuffer(raw, dtype=_types()[dtype]))


def from_float32(values: Tensor, dtype: str) -> Tensor:
    """Return numbers as the file holds them, rounded once: (m,) float32 -> (m,) of the type."""
    return values.contiguous().to(_types()[dtype])


def bytes_view(values: Tensor) -> memoryview:
    """Return the bytes of a contiguous tensor, not copied."""
    import torch

    return values.detach().view(torch.uint8).numpy().data


@cache
def _types() -> dict[str, Any]:
    import torch

    return {name: getattr(torch, word) for word, name in NAMES.items()}
