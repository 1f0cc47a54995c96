"""A SuperLink and SuperNodes over TLS with keys: killed on the way, and still the plain engine's model."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
from tests.federate.flower.federation import recipe_of

from harmonia.core.errors import InputError, RunError
from harmonia.data.labelled import open_labelled
from harmonia.federate.classifier import load as load_model
from harmonia.federate.engine import federate
from harmonia.federate.flower.deployment import Starter, deploy
from harmonia.federate.flower.setup import Setup
from harmonia.models.classifiers import MLP


def setup_of(**changes):
    given = {"data": "digits", "partition": "pcdd:5", "clients": 2, "rounds": 3, "out": "/unused", "timeout": 300.0}
    return Setup.of(recipe_of("scaffold"), MLP(features=8), open_labelled("digits"), **{**given, **changes})


def processes_of(folder):
    """Return the processes whose command names a folder: number -> command."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            if str(folder) in command:
                found[int(process.name)] = command
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the SuperLink's process in /proc")
def test_a_deployment_whose_server_is_killed_ends_at_the_plain_engines_model(tmp_path):
    def kill():
        log = tmp_path / "run" / "metrics.jsonl"
        while not (log.exists() and '"round": 1' in log.read_text()):
            time.sleep(0.05)
        (link,) = [n for n, command in processes_of(tmp_path / "identity").items() if "flower-superlink" in command]
        os.kill(link, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(RunError, match="SuperLink ended with exit code -9"):
        deploy(tmp_path, setup_of())
    killer.join()
    assert (tmp_path / "run" / "state" / "server.safetensors").exists() and not (tmp_path / "run" / "result").exists()

    run = deploy(tmp_path, setup_of())
    plain = federate(
        "digits", recipe_of("scaffold"), clients=2, partition="pcdd:5", rounds=3, model="mlp:8", engine="loop",
        personal=False, out=tmp_path / "plain",
    )  # fmt: skip
    assert np.abs(load_model(run).vector - plain.model.vector).max() <= 1e-6
    deadline = time.monotonic() + 30
    while processes_of(tmp_path / "identity") and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not processes_of(tmp_path / "identity")


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"^--port {port} is taken; name another one"):
            deploy(tmp_path, setup_of(), port=port)
    assert not list(tmp_path.iterdir())


def test_a_process_that_ended_is_named_with_its_last_words(tmp_path):
    starter = Starter(tmp_path, dict(os.environ))
    started = starter.start("SuperNode 1", [sys.executable, "-c", "print('key refused\\n'); raise SystemExit(3)"])
    started.process.wait(60)
    with pytest.raises(
        RunError, match=r"^SuperNode 1 ended with exit code 3: key refused \(all of it: .*supernode-1.log"
    ):
        started.check()


def test_processes_are_stopped_with_what_they_started(tmp_path):
    child = """if True:
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
        print("up", flush=True)
        time.sleep(600)
    """
    starter = Starter(tmp_path, dict(os.environ))
    started = starter.start("parent", [sys.executable, "-c", child, str(tmp_path)])
    while "up" not in started.log.read_text():
        time.sleep(0.05)
    assert len(processes_of(tmp_path)) == 2
    started.check()
    started.stop()
    deadline = time.monotonic() + 30
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_of(tmp_path)
