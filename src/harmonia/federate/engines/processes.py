"""Clients in worker processes, one thread each; examples and models lie in memory that all of them share."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import multiprocessing

from harmonia.core.executor import WorkerPool
from harmonia.federate.clients import Clients, Kept
from harmonia.federate.engines.together import fastest_together
from harmonia.federate.messages import Job, Lost, Reply
from harmonia.federate.store import ClientStore

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MOST = 20
"""Clients of a task at most."""
NUMBERS = 2**22
"""Weights that the models of a task have together at most, where it has several clients: 16 MiB."""


class Processes:
    """Runs the clients of a round as tasks of a few clients, in whatever worker is free.

    A task has a lane of the shared memory, where its models are laid and its results come back; two lanes per worker
    keep every worker busy. Memory: 2 workers times the models of a task, down and up, beside the examples.

    Args:
        clients: their model, data and recipe; each worker has a model instance.
        store: what they keep; it stays here.
        workers: processes.
        timeout: seconds in which a round's answers must come; workers that still work then are stopped. None for any.
    """

    examines = True

    def __init__(self, clients: Clients, store: ClientStore, workers: int, timeout: float | None = None) -> None:
        self.clients, self.store, self.workers, self.timeout = clients, store, workers, timeout
        size = clients.model.shared.stop
        self.width = max(1, min(MOST, NUMBERS // size))
        self._down, self._up = (torch.zeros(2 * workers, self.width, size) for _ in range(2))
        for shared in (clients.inputs, clients.labels, self._down, self._up):
            shared.share_memory_()
        self._together: int | None = None
        self._kept: Kept = {}
        self._pool = self._started()

    def _started(self) -> WorkerPool:
        # torch's own processes, so that tensors travel as handles of shared memory
        work = partial(_worker, self.clients, self._down, self._up)
        pool = WorkerPool(self.workers, work, multiprocessing.get_context("spawn"))
        if self.timeout is not None:
            pool.submit((0, 1, {}, [])).result()  # what workers need to start is no client's lateness
        return pool

    def _restart(self) -> None:
        self._pool.kill()
        self._pool = self._started()

    def run(self, jobs: Sequence[Job]) -> Iterator[Reply | Lost]:
        """Yield the answers in the order of the jobs.

        When a worker dies, the clients under way are asked again one by one: the one at which it dies again is lost.
        """
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        share = -(-len(jobs) // self.workers)
        if self._together is None:
            self._together = fastest_together(self.clients, self.store, jobs, min(self.width, share))
        together = min(self._together, self.width, share)
        width = together * max(1, min(self.width, share // 2) // together)
        pending = deque(jobs[start : start + width] for start in range(0, len(jobs), width))
        free, waiting = deque(range(2 * self.workers)), deque[_Task]()
        alone = 0  # so many of the next tasks are suspected: one at a time, so that it is seen at which a worker dies
        while pending or waiting:
            while pending and free and not (alone and waiting):
                waiting.append(self._submitted(pending.popleft(), free.popleft(), together))
            task = waiting.popleft()
            try:
                answers = task.future.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except BrokenProcessPool:
                self._restart()
                free = deque(range(2 * self.workers))
                if alone:
                    yield _lost(task.jobs[0], "did not answer: its process died")
                else:
                    suspects = [[job] for under_way in (task, *waiting) for job in under_way.jobs]
                    pending.extendleft(reversed(suspects))
                    alone = len(suspects) + 1
                    waiting.clear()
            except TimeoutError:
                self._restart()
                late = [job for group in (task.jobs, *(other.jobs for other in waiting), *pending) for job in group]
                yield from (_lost(job, f"did not answer within {self.timeout:g} s") for job in late)
                return
            else:
                for place, (job, answer) in enumerate(zip(task.jobs, answers, strict=True)):
                    self._kept = answer.kept
                    yield answer.reply(job, self._up[task.lane, place].clone())
                free.append(task.lane)
            alone = max(0, alone - 1)

    def _submitted(self, jobs: Sequence[Job], lane: int, together: int) -> _Task:
        rows: dict[int, int] = {}
        for job in jobs:  # a model that several are sent is laid once
            if id(job.model) not in rows:
                rows[id(job.model)] = len(rows)
                self._down[lane, rows[id(job.model)]] = job.model.cpu()
        sent = {name: value.cpu().numpy() for name, value in jobs[0].sent.items()}  # the same for all of a round
        asked = [
            _Asked(job.slot, job.client, job.round, rows[id(job.model)], job.judge, self.store.get(job.client))
            for job in jobs
        ]
        try:
            future = self._pool.submit((lane, together, sent, asked))
        except BrokenProcessPool as error:  # by a task before this one
            future = Future()
            future.set_exception(error)
        return _Task(jobs, lane, future)

    def accept(self, reply: Reply) -> None:
        """Keep what the client of the last reply keeps."""
        self.store.put(reply.client, reply.round, self._kept)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.close()


@dataclass(frozen=True)
class _Task:
    """A few clients under way."""

    jobs: Sequence[Job]
    lane: int
    future: Future[list[_Answer]]


@dataclass(frozen=True)
class _Asked:
    """A job whose model lies in a row of the lane."""

    slot: int
    client: int
    round: int
    row: int
    judge: bool
    kept: Kept | None


@dataclass(frozen=True)
class _Answer:
    """A reply without its model, which lies in the lane."""

    up: dict[str, np.ndarray]
    examples: int
    steps: int
    facts: dict[str, float]
    kept: Kept

    def reply(self, job: Job, model: Tensor) -> Reply:
        up = {name: torch.from_numpy(value).to(job.model.device) for name, value in self.up.items()}
        model = model.to(job.model.device)
        return Reply(job.slot, job.client, job.round, model, up, self.examples, self.steps, self.facts)


def _lost(job: Job, why: str) -> Lost:
    return Lost(job.slot, job.client, job.round, why)


_Message = tuple[int, int, "dict[str, np.ndarray]", list[_Asked]]


def _worker(clients: Clients, down: Tensor, up: Tensor) -> Callable[[_Message], list[_Answer]]:
    torch.set_num_threads(1)
    clients.model = copy.deepcopy(clients.model)  # tensors travel shared, and a module that trains must be its own

    def fit(message: _Message) -> list[_Answer]:
        lane, together, arrays, asked = message
        sent = {name: torch.from_numpy(value) for name, value in arrays.items()}
        found: list[_Answer] = []
        for start in range(0, len(asked), together):
            group = asked[start : start + together]
            jobs = [Job(a.slot, a.client, a.round, down[lane, a.row], sent, a.judge) for a in group]
            for reply, kept in clients.fit(jobs, [a.kept for a in group]):
                up[lane, len(found)] = reply.model.cpu()
                arrays_up = {name: value.cpu().numpy() for name, value in reply.up.items()}
                found.append(_Answer(arrays_up, reply.examples, reply.steps, reply.facts, kept))
        return found

    return fit
