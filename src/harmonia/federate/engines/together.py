"""How many clients to train in one pass: measured on the jobs at hand."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harmonia.federate.clients import Clients
from harmonia.federate.messages import Job
from harmonia.federate.store import ClientStore

TRIED = (1, 4, 20)
"""Clients per pass that are tried."""


def fastest_together(clients: Clients, store: ClientStore, jobs: Sequence[Job], most: int) -> int:
    """Return how many clients per pass take the least time per client; nothing of what they do is kept.

    It is measured once in the life of a run: another number gives the same weights but for rounding, so a run that
    goes on after an interruption keeps to what was found.

    Args:
        clients: their model, data and recipe.
        store: what they keep, and where the number is remembered.
        jobs: of one round.
        most: clients per pass, which is tried too where it is below the largest.
    """
    most = min(most, len(jobs))

    def find() -> int:
        seconds = {}
        for count in sorted({min(count, most) for count in TRIED}):
            group = jobs[:count]
            kept = [store.get(job.client) for job in group]
            for _ in range(2):  # the first pass allocates
                start = time.perf_counter()
                clients.fit(group, kept)
                seconds[count] = (time.perf_counter() - start) / count
        return min(seconds, key=lambda count: seconds[count])

    return min(most, store.recall("together", find))
