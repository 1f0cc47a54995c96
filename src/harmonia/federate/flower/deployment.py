"""A federation on this machine as it would be on many: a SuperLink and a SuperNode per client, over TLS with keys.

folder/project/   the Flower project
folder/identity/  certificates and keys
folder/flower/    Flower's own files
folder/nodes/     what clients keep
folder/logs/      what the processes said
folder/run/       the run, as every engine leaves it
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError, MissingExtraError, RunError
from harmonia.core.files import read_json, write_text
from harmonia.federate.flower.identity import HOST, Identity
from harmonia.federate.flower.privacy import CentralPrivacy, LocalPrivacy
from harmonia.federate.flower.project import write_project
from harmonia.federate.flower.setup import Setup

CONNECTION = "loopback"
START = 120.0
"""Seconds in which the SuperLink should answer."""
ASK = 15.0
"""Seconds between two questions to Flower how the run stands."""


@dataclass
class Started:
    """A process of the deployment.

    Attributes:
        name: what it is called.
        process: it.
        log: file of what it says.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise if it has ended.

        Raises:
            RunError: with the last thing that it said.
        """
        code = self.process.poll()
        if code is not None:
            raise RunError(f"{self.name} ended with exit code {code}: {_last_line(self.log)} (all of it: {self.log})")

    def stop(self) -> None:
        """End it and what it started, also where it is gone and they are not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)


def deploy(
    folder: str | Path,
    setup: Setup,
    *,
    port: int | None = None,
    local: LocalPrivacy | None = None,
    central: CentralPrivacy | None = None,
) -> Path:
    """Run a federation in processes of its own, over TLS with node authentication; return the run's folder.

    A folder whose run was interrupted goes on from its last round.

    Args:
        folder: of the deployment.
        setup: what to run; its ``out`` is replaced by the deployment's.
        port: of the SuperLink; None for a free one.
        local: privacy towards the server.
        central: privacy towards those who see the model.

    Raises:
        InputError: the settings cannot be used, or the port is taken.
        MissingExtraError: Flower's commands are not installed.
        RunError: a process ended, or the run failed; the message says why.
    """
    port = _free_port() if port is None else port
    if not _is_free(port):
        raise InputError(f"--port {port} is taken; name another one, or none for one that is free")
    place = Path(folder).absolute()
    setup = setup.model_copy(update={"out": str(place / "run")})
    project = write_project(place / "project", setup, local=local, central=central)
    identity = Identity.make(place / "identity", setup.clients)
    commands = _Commands(place / "flower", identity, port)
    with _processes(place / "logs", commands.environment) as started:
        server = [_start_link(started, commands), _start_executor(started, commands)]
        for client in range(setup.clients):
            commands.flwr("supernode", "register", str(identity.node_key(client).with_suffix(".pub")), CONNECTION)
        nodes = [
            _start_node(started, commands, client, setup.clients, place / "nodes") for client in range(setup.clients)
        ]
        watched = [*server, *nodes] if setup.on_failure == "abort" else server
        number = commands.started(project)
        _await(place / "run", commands, watched, number)
    return place / "run"


@dataclass(frozen=True)
class _Commands:
    """Flower's commands, with a home of their own so that the user's settings stay as they are."""

    home: Path
    identity: Identity
    port: int

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        beside = Path(sys.executable).parent  # Flower starts its own commands by name
        path = os.pathsep.join([str(beside), os.environ.get("PATH", "")])
        return {**os.environ, "FLWR_HOME": str(self.home), "PATH": path, "OMP_NUM_THREADS": "1"}

    def of(self, name: str) -> str:
        """Return a command's file."""
        file = Path(sys.executable).parent / name
        if not file.exists():
            raise MissingExtraError("flwr", "flower")
        return str(file)

    def connect(self) -> None:
        """Write where the SuperLink is for Flower's command line."""
        write_text(
            self.home / "config.toml",
            f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\naddress = "{self.address}"\n'
            f"root-certificates = {json.dumps(str(self.identity.authority))}\n",
        )

    def flwr(self, *arguments: str) -> str:
        """Run a command of Flower's and return what it says.

        Raises:
            RunError: it failed.
        """
        command = [self.of("flwr"), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            said = " ".join((done.stderr.strip() or done.stdout.strip()).split())
            raise RunError(f"flwr {' '.join(arguments[:2])} failed: {said[-400:]}")
        return done.stdout

    def started(self, project: Path) -> str:
        """Start the project's run; return its number."""
        said = _record(self.flwr("run", str(project), CONNECTION, "--format", "json"))
        return str(said["run-id"])

    def status(self, number: str) -> tuple[str, str]:
        """Return how a run stands, and what there is to say of it."""
        (run,) = _record(self.flwr("list", CONNECTION, "--run-id", number, "--format", "json"))["runs"]
        return run["status"], " ".join(str(run["status-details"]).split())


def _record(said: str) -> dict[str, Any]:
    """Return the JSON record in what a command said."""
    found: dict[str, Any] = json.loads(said[said.index("{") :])
    return found


class Starter:
    """Starts processes whose output goes to files.

    Args:
        logs: folder of the files.
        environment: of the processes.
    """

    def __init__(self, logs: Path, environment: dict[str, str]) -> None:
        self.logs, self.environment = logs, environment
        self.all: list[Started] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str]) -> Started:
        """Start a process by this name."""
        log = self.logs / f"{name.replace(' ', '-').lower()}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command, env=self.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.all.append(Started(name, process, log))
        return self.all[-1]


@contextlib.contextmanager
def _processes(logs: Path, environment: dict[str, str]) -> Iterator[Starter]:
    """Stop whatever was started when the block ends, in the opposite order."""
    starter = Starter(logs, environment)
    try:
        yield starter
    finally:
        for started in reversed(starter.all):
            started.stop()


def _start_link(starter: Starter, commands: _Commands) -> Started:
    commands.connect()
    command = [
        commands.of("flower-superlink"),
        *_served(commands.identity),
        *("--host", HOST, "--port", str(commands.port)),
        "--enable-supernode-auth",
        "--disable-runtime-dependency-installation",
        # its apps run under a process of ours, so that none outlives it
        *("--isolation", "process", "--superexec-auth-secret-file", str(commands.identity.secret)),
    ]
    link = starter.start("SuperLink", command)
    deadline = time.monotonic() + START
    while not _listens(commands.port):
        link.check()
        if time.monotonic() > deadline:
            raise RunError(f"the SuperLink does not answer on port {commands.port} after {START:g} s: {link.log}")
        time.sleep(0.2)
    link.check()
    return link


def _start_executor(starter: Starter, commands: _Commands) -> Started:
    command = [
        commands.of("flower-superexec"),
        *("--runtime-api-address", commands.address),
        *("--root-certificates", str(commands.identity.authority)),
        *("--superexec-auth-secret-file", str(commands.identity.secret)),
    ]
    return starter.start("SuperExec", command)


def _start_node(starter: Starter, commands: _Commands, client: int, clients: int, folder: Path) -> Started:
    node = {"partition-id": client, "num-partitions": clients, "keep": str(folder)}
    command = [
        commands.of("flower-supernode"),
        *_served(commands.identity),
        *("--root-certificates", str(commands.identity.authority), "--superlink", commands.address),
        *("--auth-supernode-private-key", str(commands.identity.node_key(client))),
        *("--host", HOST, "--port", str(_free_port())),
        *("--node-config", " ".join(f"{name}={json.dumps(value)}" for name, value in node.items())),
    ]
    return starter.start(f"SuperNode {client}", command)


def _served(identity: Identity) -> list[str]:
    return [
        *("--ssl-ca-certfile", str(identity.authority)),
        *("--ssl-certfile", str(identity.certificate)),
        *("--ssl-keyfile", str(identity.key)),
    ]


def _await(run: Path, commands: _Commands, watched: list[Started], number: str) -> None:
    """Wait for the run's end.

    Raises:
        RunError: a process ended, or Flower says that the run has failed.
    """
    asked = time.monotonic()
    while not _finished(run):
        for started in watched:
            started.check()
        if time.monotonic() - asked > ASK:
            status, details = commands.status(number)
            asked = time.monotonic()
            if status.startswith("finished") and not _finished(run):
                raise RunError(f"the run {status.removeprefix('finished:')}: {details or 'Flower does not say why'}")
        time.sleep(0.3)


def _finished(run: Path) -> bool:
    return (run / "run.json").exists() and read_json(run / "run.json")["status"] == "finished"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        found: int = probe.getsockname()[1]
        return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
