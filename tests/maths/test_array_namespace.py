"""Arrays and tensors under one name."""

import sys

import numpy as np
import pytest

from harmonia.maths import array_namespace
from harmonia.maths.array_namespace import as_float64, has_accelerator, namespace, on_accelerator, take, to_numpy


def test_numpy_is_the_default():
    X = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    assert namespace(X) is np
    assert as_float64(X).dtype == np.float64
    assert take(X, np.array([2, 0])).tolist() == [[4, 5], [0, 1]]
    assert to_numpy(X) is X


def test_tensors_are_told_apart():
    torch = pytest.importorskip("torch")
    X = torch.arange(6, dtype=torch.float32).reshape(3, 2)
    assert namespace(X) is torch
    assert as_float64(X).dtype == torch.float64
    assert take(X, np.array([2, 0])).tolist() == [[4, 5], [0, 1]]
    assert take(X, slice(1, 2)).tolist() == [[2, 3]]
    assert to_numpy(X, np.float64).tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.skipif(sys.platform != "linux", reason="device files are looked for on Linux only")
def test_without_a_gpu_nothing_moves_and_torch_is_not_imported(monkeypatch):
    monkeypatch.setattr(array_namespace, "_DEVICES", ("/dev/no-such-device",))
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would now fail
    has_accelerator.cache_clear()
    try:
        X = np.zeros((2, 2))
        assert on_accelerator(X) is X
    finally:
        has_accelerator.cache_clear()
