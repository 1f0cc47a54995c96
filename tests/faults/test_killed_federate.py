"""SIGKILL in the rounds of a federation, then ``--resume``: the same model file, the same rounds."""

from __future__ import annotations

import signal

import polars
import pytest
from tests.faults.killing import kill_after

from harmonia.cli.main import run
from harmonia.core.progress import set_quiet

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def asked(out, recipe):
    words = ["--clients", "4", "--partition", "dirichlet:1", "--rounds", "40", "--active", "0.5", "--model", "mlp:8"]
    return ["federate", "digits", "--recipe", recipe, *words, "--engine", "loop", "--out", str(out), "--quiet"]


@pytest.mark.parametrize("recipe", ["scaffold", "fedskip"])
def test_a_killed_federation_resumes_to_the_same_bytes(tmp_path, recipe):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    try:
        assert run(asked(whole, recipe)) == 0
        kill_after(5, asked(cut, recipe), cut / "state" / "server.safetensors")
        assert not (cut / "result" / "summary.json").exists()
        assert run([*asked(cut, recipe), "--resume"]) == 0
    finally:
        set_quiet(False)
    for name in ("config.json", "model.safetensors"):
        assert (cut / "result" / "model" / name).read_bytes() == (whole / "result" / "model" / name).read_bytes()
    one, other = (polars.read_parquet(out / "result" / "rounds.parquet") for out in (whole, cut))
    assert one.drop("client_seconds").equals(other.drop("client_seconds"))
