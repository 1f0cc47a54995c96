"""Shards are mapped while in use, and more of them than a process may open files are no trouble."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from harmonia.core.errors import RunError
from harmonia.data.shards import Shard, _mapped

SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np
from harmonia.data import shards
from harmonia.maths.rows import Rows

resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600))
folder = Path(sys.argv[1])
for i in range(900):
    np.save(folder / f"{i}.npy", np.full((2, 3), i, np.float16))
rows = Rows([shards.Shard(folder / f"{i}.npy") for i in range(900)])
order = np.random.default_rng(0).permutation(1800)
assert (rows[order][:, 0] == order // 2).all()
assert (rows[:][:, 1] == np.arange(1800) // 2).all()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are a POSIX matter")
def test_more_shards_than_files_may_be_open(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_shard_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "a.npy"
    for value in (1, 2):
        path.unlink(missing_ok=True)
        np.save(path, np.full((2, 3), value))
        assert Shard(path)[:].tolist() == [[value] * 3] * 2


def test_a_missing_or_damaged_shard_is_an_error(tmp_path):
    with pytest.raises(OSError, match=r"a\.npy"):
        Shard(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(b"junk")
    with pytest.raises(ValueError, match="pickle"):
        Shard(tmp_path / "a.npy")


def test_a_shard_that_vanishes_later_is_one_error_to_act_on(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    shard = Shard(tmp_path / "a.npy")
    _mapped.cache_clear()
    (tmp_path / "a.npy").unlink()
    with pytest.raises(RunError, match=r"a\.npy.*new --out"):
        shard[:]
