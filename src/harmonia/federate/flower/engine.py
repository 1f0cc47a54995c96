"""Clients on Flower's nodes: one message to each, its answer awaited; whoever does not answer in time is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from flwr.app import DEFAULT_TTL, Message, MessageType
from flwr.serverapp.grid import Grid

from harmonia.core.errors import InputError
from harmonia.federate.flower.nodes import Nodes
from harmonia.federate.flower.records import JobPacker, unpack_reply
from harmonia.federate.messages import Job, Lost, Reply
from harmonia.federate.planner import Plan


class FlowerEngine:
    """Runs clients on the nodes of a grid.

    Args:
        grid: the way to the nodes.
        plan: the recipe, and what it sends.
        clients: how many there are.
        seed: of the run.
        known: client -> round of its last reply that was taken in; kept up to date here, and stored by the caller.
        timeout: seconds in which a round's answers must come; None for half a day.
        alive: raises when the grid is no more.
        poll: seconds between two looks.
    """

    examines = False

    def __init__(
        self,
        grid: Grid,
        plan: Plan,
        clients: int,
        seed: int,
        *,
        known: dict[int, int],
        timeout: float | None = None,
        alive: Callable[[], None] = lambda: None,
        poll: float = 0.1,
    ) -> None:
        self.grid, self.plan, self.known = grid, plan, known
        self.timeout, self.alive, self.poll = timeout or DEFAULT_TTL, alive, poll
        self.nodes = Nodes(grid, clients, alive, poll)
        self.keeps = bool(plan.names("kept")) or plan.recipe.head.private
        self._packer = JobPacker(plan.recipe.to_yaml(), seed)

    def run(self, jobs: Sequence[Job]) -> Iterator[Reply | Lost]:
        """Yield the answers in the order of the jobs; all clients work meanwhile."""
        self.nodes.refresh()
        deadline = time.monotonic() + self.timeout
        sent = [self._send(job) for job in jobs]
        self._packer.forget()
        for job, message in zip(jobs, sent, strict=True):
            yield message if isinstance(message, Lost) else self._answer(job, message, deadline)

    def accept(self, reply: Reply) -> None:
        """Let the client go on from what it kept after this reply."""
        if self.keeps:
            self.known[reply.client] = reply.round

    def close(self) -> None:
        """Do nothing: the grid belongs to whoever gave it."""

    def _send(self, job: Job) -> str | Lost:
        """Return the number of the job's message, or why it could not be sent."""
        node = self.nodes.of(job.client)
        if node is None:
            return _lost(job, "has no node: it is gone, or never said which client it is")
        content = self._packer.pack(job, self.known.get(job.client, 0))
        message = Message(content, node, MessageType.TRAIN, ttl=self.timeout, group_id=str(job.round))
        # one at a time, so that a message of many may be large
        number = next(iter(self.grid.push_messages([message])), None)
        return number or _lost(job, f"could not be sent its job: node {node} is gone")

    def _answer(self, job: Job, number: str, deadline: float) -> Reply | Lost:
        """Wait for an answer; those of later jobs stay with the grid meanwhile."""
        while True:
            self.alive()
            late = time.monotonic() > deadline
            found = list(self.grid.pull_messages([number]))
            if found:
                break
            if late:
                return _lost(job, f"did not answer within {self.timeout:g} s")
            time.sleep(self.poll)
        if found[0].has_error():
            return _lost(job, " ".join((found[0].error.reason or "failed and did not say why").split())[:400])
        try:
            return unpack_reply(found[0].content, job, self.plan)
        except InputError as error:
            return _lost(job, str(error))


def _lost(job: Job, why: str) -> Lost:
    return Lost(job.slot, job.client, job.round, why)
