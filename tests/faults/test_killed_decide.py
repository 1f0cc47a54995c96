"""SIGKILL in a joint training and in a stream, then ``--resume``: the same policy file, the same outcomes."""

from __future__ import annotations

import signal

import pytest
from tests.faults.killing import kill_after

from harmonia.cli.main import run
from harmonia.core.progress import set_quiet
from harmonia.worlds.gather import gather

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")

SMALL = (
    "backbone.width=16",
    "backbone.layers=1",
    "backbone.heads=1",
    "backbone.context=3",
    "backbone.dropout=0.1",
    "training.steps=120",
    "training.batch=2",
)
RUNS = {
    "training": (["--recipe", "harmodt", "--tasks", "north,east"], 2),
    "stream": (["--recipe", "packnet", "--stream", "north,east,north", "--curve", "2"], 9),
}
"""What is asked, and after how many checkpoints it is killed."""


def asked(data, out, arguments):
    settings = [word for setting in SMALL for word in ("--set", setting)]
    return ["decide", str(data), "--out", str(out), *arguments, *settings, "--goals", "1", "--workers", "1", "--quiet"]


def contents(out):
    names = ("policy/config.json", "policy/model.safetensors", "outcomes.parquet")
    return {name: (out / "result" / name).read_bytes() for name in names}


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, name):
    arguments, checkpoints = RUNS[name]
    data, whole, cut = (tmp_path / each for each in ("data", "whole", "cut"))
    gather("points:stream3", data, episodes=4, horizon=10, workers=1)
    try:
        assert run(asked(data, whole, arguments)) == 0
        kill_after(checkpoints, asked(data, cut, arguments), cut / "state" / "training.safetensors")
        assert not (cut / "result" / "summary.json").exists()
        assert run([*asked(data, cut, arguments), "--resume"]) == 0
    finally:
        set_quiet(False)
    assert contents(cut) == contents(whole)
