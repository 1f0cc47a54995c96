"""Ray gives the file that this process gives."""

from __future__ import annotations

import pytest

import harmonia
from harmonia.core.errors import InputError

ray = pytest.importorskip("ray")


@pytest.fixture
def cluster():
    yield
    ray.shutdown()


@pytest.mark.slow
def test_the_file_is_identical_on_ray(pool_file, tmp_path, cluster):
    local = harmonia.select(str(pool_file), budget=20, out=tmp_path / "local", workers=1)
    spread = harmonia.select(str(pool_file), budget=20, out=tmp_path / "ray", engine="ray", workers=2)
    assert (local.folder / "result/picks.parquet").read_bytes() == (spread.folder / "result/picks.parquet").read_bytes()


@pytest.mark.slow
def test_what_is_wrong_on_a_worker_arrives_as_it_is(pool_file, tmp_path, cluster):
    (tmp_path / "model").mkdir()
    settings = ["features=mean-hidden", f"features.model={tmp_path / 'model'}"]
    with pytest.raises(InputError, match="no config.json") as caught:
        harmonia.select(str(pool_file), budget=20, settings=settings, engine="ray", workers=1)
    assert "\n" not in str(caught.value)
