"""Clients in this process: one model instance, some clients in one pass."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from harmonia.federate.clients import Clients, Kept
from harmonia.federate.messages import Job, Lost, Reply
from harmonia.federate.store import ClientStore

TRIED = (1, 4, 20)
"""Clients per pass that calibration tries."""


class InProcess:
    """Runs clients in groups of ``together``.

    Args:
        clients: their model, data and recipe.
        store: what they keep.
        together: clients per pass; 1 is the plain loop; None measures, in the first round, how many pay, and keeps to
            that when the run is resumed: another number gives the same weights but for rounding.
    """

    examines = True

    def __init__(self, clients: Clients, store: ClientStore, together: int | None = 1) -> None:
        self.clients, self.store, self.together = clients, store, together
        self._kept: Kept = {}

    def run(self, jobs: Sequence[Job]) -> Iterator[Reply | Lost]:
        """Yield the replies in the order of the jobs."""
        if self.together is None:
            self.together = self.store.recall("together", lambda: self.calibrated(jobs))
        for start in range(0, len(jobs), self.together):
            group = jobs[start : start + self.together]
            for reply, kept in self.clients.fit(group, [self.store.get(job.client) for job in group]):
                self._kept = kept
                yield reply

    def accept(self, reply: Reply) -> None:
        """Keep what the client of the last reply keeps."""
        self.store.put(reply.client, reply.round, self._kept)

    def calibrated(self, jobs: Sequence[Job]) -> int:
        """Return how many clients per pass take the least time per client, on the jobs at hand; nothing is kept."""
        seconds = {}
        for count in TRIED:
            if count > len(jobs):
                break
            group = jobs[:count]
            kept = [self.store.get(job.client) for job in group]
            for _ in range(2):  # the first pass allocates
                start = time.perf_counter()
                self.clients.fit(group, kept)
                seconds[count] = (time.perf_counter() - start) / count
        return min(seconds, key=lambda count: seconds[count])

    def close(self) -> None:
        """Do nothing: there is nothing to free."""
