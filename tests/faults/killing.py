"""Kills a command of harmonia as a machine does that loses its power."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def kill_after(checkpoints, arguments, file):
    """Run the command in a process of its own and kill it once its state was written so many times."""
    program = "import sys; from harmonia.cli.main import run; sys.exit(run(sys.argv[1:]))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment) as process:
        end, seen, last = time.monotonic() + 60, 0, None
        while seen < checkpoints:
            assert process.poll() is None and time.monotonic() < end
            now = file.stat().st_mtime_ns if file.exists() else None
            seen, last = seen + (now != last), now
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
