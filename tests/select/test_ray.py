"""Ray gives the file that this process gives."""

from __future__ import annotations

import pytest

import harmonia

ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_the_file_is_identical_on_ray(pool_file, tmp_path):
    local = harmonia.select(str(pool_file), budget=20, out=tmp_path / "local", workers=1)
    try:
        spread = harmonia.select(str(pool_file), budget=20, out=tmp_path / "ray", engine="ray", workers=2)
    finally:
        ray.shutdown()
    assert (local.folder / "result/picks.parquet").read_bytes() == (spread.folder / "result/picks.parquet").read_bytes()
