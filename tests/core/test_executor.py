"""Executors: order, one build per worker, errors that arrive."""

from __future__ import annotations

import os

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
