"""What clients keep between their participations: in memory, and in a file each where the run has a folder.

A round's files are written beside those of the round before; which ones count is stored with the server's state, so a
run that is killed in the middle of a round goes on from the round before it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from harmonia.core.arrays import read_arrays, write_arrays
from harmonia.core.files import read_json, write_json

Kept = dict[str, np.ndarray]

HELD = 2**28
"""Bytes of what clients keep that are held in memory, where there are files of it."""


class ClientStore:
    """What clients keep.

    Memory: nothing for clients that keep nothing. Without a folder, what everyone keeps that took part; with one, 256
    MiB of it, or one client's where that is more: the others are read from their files.

    Attributes:
        rounds: client -> round of its last participation.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.rounds: dict[int, int] = {}
        self._held: dict[int, Kept] = {}  # the longest unused first
        self._old: list[Path] = []

    def get(self, client: int) -> Kept | None:
        """Return what a client kept; None for one that never took part."""
        if client not in self.rounds:
            return None
        kept = self._held.pop(client, None)
        return self._hold(client, read_arrays(self._path(client)) if kept is None else kept)

    def put(self, client: int, round: int, kept: Kept) -> None:
        """Keep what a client has after a round; a client that keeps nothing is not remembered."""
        if not kept:
            return
        if client in self.rounds and self.folder is not None:
            self._old.append(self._path(client))
        self._held.pop(client, None)
        self.rounds[client] = round
        if self.folder is not None:
            write_arrays(self._path(client), kept)
        self._hold(client, kept)

    def _hold(self, client: int, kept: Kept) -> Kept:
        """Hold in memory what a client keeps, and let go of what was not used for longest."""
        self._held[client] = kept
        if self.folder is not None:
            each = sum(value.nbytes for value in kept.values())  # about the same for all
            while len(self._held) > max(1, HELD // max(1, each)):
                del self._held[next(iter(self._held))]
        return kept

    def recall(self, name: str, find: Callable[[], int]) -> int:
        """Return a number that was found once, also by a run that was interrupted since."""
        if self.folder is None:
            return find()
        path = self.folder.parent / f"{name}.json"
        if not path.exists():
            write_json(path, {name: find()})
        found: int = read_json(path)[name]
        return found

    def commit(self) -> None:
        """Delete what the last rounds replaced, once the server's state names what replaced it."""
        for path in self._old:
            path.unlink(missing_ok=True)
        self._old = []

    def restore(self, rounds: dict[int, int]) -> None:
        """Take up the participations that a server's state names."""
        self.rounds, self._held, self._old = dict(rounds), {}, []

    def _path(self, client: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{client}-{self.rounds[client]}.safetensors"
