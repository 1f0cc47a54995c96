"""What an engine is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from harmonia.federate.messages import Job, Lost, Reply


class Engine(Protocol):
    """Runs the clients of a round."""

    @property
    def examines(self) -> bool:
        """Whether its clients can judge their models on test examples of their own."""
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[Reply | Lost]:
        """Yield the answers of these clients, in the order of the jobs."""
        ...

    def accept(self, reply: Reply) -> None:
        """Keep what the client of this reply keeps, now that the reply was found usable."""
        ...

    def close(self) -> None:
        """Free workers and connections."""
        ...
