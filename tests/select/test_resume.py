"""Interrupted work loses nothing: killed at any moment, the resumed run gives the identical file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from tests.conftest import records

import harmonia
from harmonia.core.errors import InputError, RunError


def command(pool, out, *more):
    return [
        sys.executable,
        "-c",
        "from harmonia.cli.main import main; main()",
        "select",
        str(pool),
        "--recipe",
        "disf-unit",
        "--budget",
        "20%",
        "--out",
        str(out),
        "--workers",
        "1",
        "--quiet",
        *more,
    ]


@pytest.mark.slow
def test_killed_once_a_file_is_there_and_resumed(pool_file, tmp_path):
    subprocess.run(command(pool_file, tmp_path / "whole"), check=True)
    expected = (tmp_path / "whole/result/picks.parquet").read_bytes()
    killed = 0
    for number, mark in enumerate(
        ["run.json", ".lock", "state/sample.json", "state/index.safetensors", "state/features", "result/picks.parquet"]
    ):
        out = tmp_path / f"killed-{number}"
        process = subprocess.Popen(command(pool_file, out))
        while process.poll() is None and not (out / mark).exists():
            time.sleep(0.001)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        subprocess.run(command(pool_file, out, "--resume"), check=True)
        assert (out / "result/picks.parquet").read_bytes() == expected
    assert killed >= 3


def test_resume_of_a_finished_run_returns_its_result(documents, tmp_path):
    first = harmonia.select(documents, budget=10, out=tmp_path / "r", workers=1)
    stamp = (tmp_path / "r/result/picks.parquet").stat().st_mtime_ns
    again = harmonia.select(documents, budget=10, out=tmp_path / "r", workers=1, resume=True)
    assert again.picks.equals(first.picks)
    assert (tmp_path / "r/result/picks.parquet").stat().st_mtime_ns == stamp


def test_resume_refuses_other_settings_and_other_documents(pool_file, tmp_path):
    out = tmp_path / "r"
    harmonia.select(str(pool_file), budget=10, out=out, workers=1)
    with pytest.raises(InputError, match="budget = '10'"):
        harmonia.select(str(pool_file), budget=11, out=out, workers=1, resume=True)
    pool_file.write_text(pool_file.read_text() + '{"id": "new", "text": "one more", "source": "law", "quality": 1}\n')
    with pytest.raises(InputError, match=r"pool\.jsonl has changed"):
        harmonia.select(str(pool_file), budget=10, out=out, workers=1, resume=True)


def test_an_input_that_vanishes_is_one_error_and_the_run_can_go_on(pool_file, tmp_path, monkeypatch):
    from harmonia.select import engine

    expected = harmonia.select(str(pool_file), budget=10, out=tmp_path / "whole", workers=1).picks
    text = pool_file.read_text()
    original = engine.with_features

    def vanish(*args):
        pool_file.unlink()
        return original(*args)

    monkeypatch.setattr(engine, "with_features", vanish)
    with pytest.raises(RunError, match=r"pool\.jsonl"):
        harmonia.select(str(pool_file), budget=10, out=tmp_path / "r", workers=1)
    monkeypatch.undo()
    pool_file.write_text(text)
    os.utime(pool_file, ns=_stamp_of(tmp_path / "r"))
    assert harmonia.select(str(pool_file), budget=10, out=tmp_path / "r", workers=1, resume=True).picks.equals(expected)


def _stamp_of(run):
    import json

    stamp = json.loads((run / "run.json").read_text())["request"]["inputs"]["files"][0][3]
    ns = int(stamp) if str(stamp).isdigit() else int(float(stamp) * 1e9)
    return (ns, ns)


def test_a_full_disk_is_one_error_and_the_run_can_go_on(pool_file, tmp_path, monkeypatch):
    import errno

    import numpy as np

    expected = harmonia.select(str(pool_file), budget=10, out=tmp_path / "whole", workers=1).picks
    save = np.save

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(RunError, match=r"disk is full.*--resume"):
        harmonia.select(str(pool_file), budget=10, out=tmp_path / "r", workers=1)
    monkeypatch.setattr(np, "save", save)
    assert harmonia.select(str(pool_file), budget=10, out=tmp_path / "r", workers=1, resume=True).picks.equals(expected)


def test_rejects_are_complete_after_a_late_resume(tmp_path, monkeypatch):
    from harmonia.select import output

    path = tmp_path / "pool.jsonl"
    path.write_text("{broken\n" + "".join(json.dumps(r) + "\n" for r in records(40)))
    options = {"budget": 5, "out": tmp_path / "r", "workers": 1, "on_bad": "skip", "ids_only": True}

    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(output, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        harmonia.select(str(path), "random", **options)
    monkeypatch.undo()
    result = harmonia.select(str(path), "random", **options, resume=True)
    assert pl.read_parquet(result.folder / "result/rejects.parquet")["row"].to_list() == [1]
    assert sum(result.summary["rejects"].values()) == 1
