"""Memory does not grow with the pool: a million documents of 256 numbers are selected in well under 1.5 GB."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy as np
from harmonia.core.measure import peak_memory_bytes
from harmonia.core.seeds import generator

n, path = int(sys.argv[1]), sys.argv[2]
shape = (n, 256)
vectors = np.lib.format.open_memmap(path, "w+", np.float16, shape)
for start in range(0, n, 50_000):
    stop = min(start + 50_000, n)
    vectors[start:stop] = generator(0, start).standard_normal((stop - start, 256), np.float32)
    vectors.flush()
del vectors

from harmonia.select import Decorrelation, Greedy, pick
picks = pick(np.load(path, mmap_mode="r"), Decorrelation(), Greedy(batch=1024, first="random"), budget="1.5%")
assert len(picks.rows) == round(0.015 * n)
print(peak_memory_bytes())
"""


def peak(n, folder):
    command = [sys.executable, "-c", SCRIPT, str(n), str(folder / f"{n}.npy")]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_a_million_vectors_in_under_1500_megabytes(tmp_path):
    assert peak(1_000_000, tmp_path) < 1.5e9
