"""Executors: order, one build per worker, errors that arrive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harmonia.core.errors import InputError, RunError
from harmonia.core.executor import Processes, Ray, Serial, executor


def squarer():
    return lambda x: x * x


def complainer():
    def work(x):
        raise InputError(f"bad item {x}")

    return work


def stillborn():
    raise InputError("no such model")


def deserter():
    return lambda x: os._exit(3)


@pytest.mark.parametrize("kind", [Serial(), Processes(2)])
def test_results_come_in_order(kind):
    assert list(kind.map(squarer, range(40))) == [x * x for x in range(40)]


@pytest.mark.parametrize("kind", [Serial(), Processes(2)])
def test_errors_arrive_as_they_are(kind):
    with pytest.raises(InputError, match="bad item 0"):
        list(kind.map(complainer, range(3)))


@pytest.mark.parametrize("kind", [Serial(), Processes(2)])
def test_a_worker_that_cannot_be_built_says_why(kind):
    with pytest.raises(InputError, match="no such model"):
        list(kind.map(stillborn, range(3)))


def test_a_dead_worker_is_a_resumable_error():
    with pytest.raises(RunError, match="worker process died.*--resume"):
        list(Processes(2).map(deserter, range(3)))


def test_choice_of_executor():
    assert executor("local", 1) == Serial()
    assert executor("local", 3) == Processes(3)
    assert executor("ray", 2) == Ray(2)
    with pytest.raises(InputError, match="did you mean 'local'"):
        executor("locl", 1)
    with pytest.raises(InputError, match="at least 1"):
        executor("local", 0)


PARENT = """
from harmonia.core.executor import Processes
from tests.core.test_executor import sleeper
if __name__ == "__main__":
    for name in Processes(2).map(sleeper, range(2)):
        print(name, flush=True)
"""


def sleeper():
    def work(x):
        print("at work", flush=True)
        time.sleep(2 * x)
        return x

    return work


def started():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    for _ in range(2):
        parent.stdout.readline()  # both workers are at work
    return parent


def test_an_interrupt_is_told_by_the_parent_alone():
    parent = started()
    time.sleep(0.5)  # one worker waits for more by now, the other works
    os.killpg(parent.pid, signal.SIGINT)
    _, said = parent.communicate(timeout=30)
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1


def test_workers_end_with_a_killed_parent():
    parent = started()
    parent.kill()
    parent.communicate(timeout=20)  # the pipes close when the last worker is gone
