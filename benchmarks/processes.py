"""What a process cost: processor seconds, seconds, and its peaks of memory, without what it takes to import."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.005
"""Seconds between two looks at the memory of a process."""

_RECORD = """
import atexit, json, sys
atexit.register(lambda: json.dump(list(sys.modules), open({path!r}, "w")))
"""
_REPLAY = """
import contextlib, importlib, json
for name in json.load(open({path!r})):
    if name != "__main__":
        with contextlib.suppress(Exception):
            importlib.import_module(name)
"""


@dataclass(frozen=True)
class Cost:
    """Of one process and its children.

    Attributes:
        cpu: seconds of all processors, user and system.
        wall: seconds.
        resident: peak of the resident memory in bytes, with the pages of mapped files.
        anonymous: peak of the memory of its own in bytes, without them, seen every 5 ms.
    """

    cpu: float
    wall: float
    resident: int
    anonymous: int


def cost_of(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a process and return what it cost (Linux).

    Raises:
        SystemExit: it failed; with its last words.
    """
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        resident = anonymous = 0
        while True:
            found = _memory(process.pid)
            resident, anonymous = max(resident, found.get("VmHWM", 0)), max(anonymous, found.get("RssAnon", 0))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(_EVERY)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            last = said.read()[-2000:].decode(errors="replace")
            raise SystemExit(f"{' '.join(map(str, command))[:300]} ended with {process.returncode}:\n{last}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, resident, anonymous)


def imports_of(python: str | Path, code: str, arguments: Sequence[str | Path], folder: Path) -> list[str | Path]:
    """Run ``code`` once and return the command of a process that imports what it had imported, and does nothing else.

    Args:
        python: interpreter.
        code: as of ``python -c``.
        arguments: of the program.
        folder: where the list of modules is kept.
    """
    path = str(Path(tempfile.mkdtemp(dir=folder)) / "modules.json")
    cost_of([python, "-c", _RECORD.format(path=path) + code, *arguments])
    json.loads(Path(path).read_text())
    return [python, "-c", _REPLAY.format(path=path)]


def _memory(pid: int) -> dict[str, int]:
    """Return the counters of a process in bytes; none once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines if line.startswith(("VmHWM", "RssAnon")))
    return {word[0].rstrip(":"): int(word[1]) * 1024 for word in words}
