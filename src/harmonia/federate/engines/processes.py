"""Clients in worker processes, one thread each; examples and messages lie in memory that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import torch
from torch import multiprocessing

from harmonia.core.executor import WorkerPool
from harmonia.federate.clients import Clients, Kept
from harmonia.federate.messages import Job, Lost, Reply
from harmonia.federate.store import ClientStore


class Processes:
    """Runs every client of a round as a task of its own, in whatever worker is free.

    Args:
        clients: their model, data and recipe; each worker has a model instance, the examples are shared.
        store: what they keep; it stays here.
        workers: processes.
    """

    examines = True

    def __init__(self, clients: Clients, store: ClientStore, workers: int) -> None:
        self.clients, self.store, self.workers = clients, store, workers
        clients.inputs.share_memory_()
        clients.labels.share_memory_()
        self._kept: Kept = {}
        self._pool = self._started()

    def _started(self) -> WorkerPool:
        # torch's own processes, so that tensors travel as handles of shared memory
        return WorkerPool(self.workers, partial(_worker, self.clients), multiprocessing.get_context("spawn"))

    def run(self, jobs: Sequence[Job]) -> Iterator[Reply | Lost]:
        """Yield the answers in the order of the jobs; a client whose process died is lost, and the others go on."""
        waiting = [(job, self._pool.submit((job, self.store.get(job.client)))) for job in jobs]
        broken = False
        for job, answer in waiting:
            try:
                reply, kept = answer.result()
            except BrokenProcessPool:
                broken = True
                yield Lost(job.slot, job.client, job.round, "did not answer: its process died")
                continue
            self._kept = kept
            yield reply
        if broken:
            self._pool.close(wait=False)
            self._pool = self._started()

    def accept(self, reply: Reply) -> None:
        """Keep what the client of the last reply keeps."""
        self.store.put(reply.client, reply.round, self._kept)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.close()


def _worker(clients: Clients) -> Callable[[tuple[Job, Kept | None]], tuple[Reply, Kept]]:
    torch.set_num_threads(1)

    def fit(asked: tuple[Job, Kept | None]) -> tuple[Reply, Kept]:
        job, kept = asked
        return clients.fit([job], [kept])[0]

    return fit
