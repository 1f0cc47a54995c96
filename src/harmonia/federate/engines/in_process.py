"""Clients in this process: one model instance, some clients in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harmonia.federate.clients import Clients, Kept
from harmonia.federate.engines.together import fastest_together
from harmonia.federate.messages import Job, Lost, Reply
from harmonia.federate.store import ClientStore


class InProcess:
    """Runs clients in groups of ``together``.

    Args:
        clients: their model, data and recipe.
        store: what they keep.
        together: clients per pass; 1 is the plain loop; None measures in the first round how many pay.
    """

    examines = True

    def __init__(self, clients: Clients, store: ClientStore, together: int | None = 1) -> None:
        self.clients, self.store, self.together = clients, store, together
        self._kept: Kept = {}

    def run(self, jobs: Sequence[Job]) -> Iterator[Reply | Lost]:
        """Yield the replies in the order of the jobs."""
        if self.together is None:
            self.together = fastest_together(self.clients, self.store, jobs, len(jobs))
        for start in range(0, len(jobs), self.together):
            group = jobs[start : start + self.together]
            for reply, kept in self.clients.fit(group, [self.store.get(job.client) for job in group]):
                self._kept = kept
                yield reply

    def accept(self, reply: Reply) -> None:
        """Keep what the client of the last reply keeps."""
        self.store.put(reply.client, reply.round, self._kept)

    def close(self) -> None:
        """Do nothing: there is nothing to free."""
