"""Other libraries, each run in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self

from benchmarks.timing import Elsewhere


class Peer:
    """A process in another Python environment that answers requests one by one.

    Args:
        python: interpreter of the environment.
        script: file that reads one JSON request per line and answers each with one JSON line.
        threads: threads that its libraries may use.
    """

    def __init__(self, python: Path, script: Path, threads: int) -> None:
        limits = {
            name: str(threads)
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        }
        self._process = subprocess.Popen(
            [python, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **limits},
        )

    def __call__(self, **request: Any) -> Elsewhere:
        """Send a request and return what came back, with the seconds that the peer measured."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the peer process ended while it worked on {request}")
        answer = json.loads(line)
        return Elsewhere(answer.pop("seconds"), answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
