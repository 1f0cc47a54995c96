"""Which node is which client: asked once of every node, by its own settings."""

from __future__ import annotations

import time
from collections.abc import Callable

from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp.grid import Grid

from harmonia.core.errors import RunError
from harmonia.federate.flower.client_app import PARTITION, WHO

PATIENCE = 60.0
"""Seconds in which a node that was asked who it is should have answered."""


class Nodes:
    """The nodes of a grid, by the client that each of them is.

    A node that comes back under another number is asked anew and takes the place of the former; one that is no client
    of this run is left alone.

    Args:
        grid: the way to the nodes.
        clients: how many there are.
        alive: raises when the grid is no more.
        poll: seconds between two looks.
    """

    def __init__(self, grid: Grid, clients: int, alive: Callable[[], None] = lambda: None, poll: float = 0.1) -> None:
        self.grid, self.clients, self.alive, self.poll = grid, clients, alive, poll
        self._client: dict[int, int | None] = {}

    def of(self, client: int) -> int | None:
        """Return the node that is a client; None while there is none."""
        return next((node for node, known in reversed(self._client.items()) if known == client), None)

    def missing(self) -> list[int]:
        """Return the clients that no node is."""
        here = set(self._client.values())
        return [client for client in range(self.clients) if client not in here]

    def wait(self, seconds: float) -> None:
        """Wait until every client has a node.

        Raises:
            RunError: some have none after so many seconds; the message names them.
        """
        deadline = time.monotonic() + seconds
        while self.missing():
            self.alive()
            self.refresh()
            if self.missing() and time.monotonic() > deadline:
                raise RunError(
                    f"no node is client {', '.join(map(str, self.missing()))} after {seconds:g} s; start "
                    f"{self.clients} nodes with {PARTITION}=0 to {self.clients - 1}"
                )
            time.sleep(self.poll if self.missing() else 0)

    def refresh(self) -> None:
        """Forget the nodes that are gone and ask the new ones who they are.

        Raises:
            RunError: two new nodes say that they are the same client.
        """
        here = set(self.grid.get_node_ids())
        self._client = {node: client for node, client in self._client.items() if node in here}
        new = self._ask(sorted(here - set(self._client)))
        for client in set(new.values()) - {None}:
            same = [node for node, said in new.items() if said == client]
            if len(same) > 1:
                raise RunError(f"nodes {same[0]} and {same[1]} both are client {client}; give each its own {PARTITION}")
        self._client |= new

    def _ask(self, nodes: list[int]) -> dict[int, int | None]:
        """Return what nodes say they are; those that do not answer now are asked again another time."""
        waiting: dict[str, int] = {}
        for node in nodes:
            message = Message(RecordDict(), node, MessageType.QUERY, ttl=PATIENCE)
            waiting |= dict.fromkeys(self.grid.push_messages([message]), node)
        found: dict[int, int | None] = {}
        deadline = time.monotonic() + PATIENCE
        while waiting and time.monotonic() < deadline:
            self.alive()
            for reply in self.grid.pull_messages(list(waiting)):
                node = waiting.pop(reply.metadata.reply_to_message_id)
                if reply.has_content() and WHO in reply.content.config_records:
                    client = reply.content.config_records[WHO].get("client")
                    found[node] = client if isinstance(client, int) and 0 <= client < self.clients else None
            if waiting:
                time.sleep(self.poll)
        return found
