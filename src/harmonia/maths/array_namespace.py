"""NumPy or PyTorch under one kernel: the array says which, and a GPU is taken where there is one."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np

_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def namespace(array: Any) -> Any:
    """Return ``torch`` for a tensor, ``numpy`` for anything else.

    >>> namespace(np.zeros(2)) is np
    True
    """
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else np


@functools.cache
def has_accelerator() -> bool:
    """Whether PyTorch is installed and sees a GPU; PyTorch is imported only where a GPU device exists."""
    if sys.platform == "linux" and not any(Path(device).exists() for device in _DEVICES):
        return False
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def on_accelerator(array: np.ndarray) -> Any:
    """Return the array as a tensor on the GPU where there is one, else the array itself."""
    if not has_accelerator():
        return array
    import torch

    return torch.from_numpy(np.ascontiguousarray(array)).cuda()


def to_numpy(array: Any, dtype: Any = None) -> np.ndarray:
    """Return an array or tensor as a NumPy array, cast to ``dtype`` when given."""
    if namespace(array) is not np:
        array = array.detach().cpu().numpy()
    return np.asarray(array, dtype)


def as_float64(array: Any) -> Any:
    """Return an array or tensor in float64."""
    return array.astype(np.float64, copy=False) if isinstance(array, np.ndarray) else array.double()


def take(array: Any, rows: np.ndarray | slice) -> Any:
    """Return rows of an array, tensor or matrix; a slice of an array or tensor is a view."""
    if namespace(array) is np or isinstance(rows, slice):
        return array[rows]
    return array[namespace(array).as_tensor(rows, device=array.device)]
