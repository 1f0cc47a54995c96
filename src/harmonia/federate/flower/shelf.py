"""What a client keeps from one participation to the next, on Flower.

A job names the round of the client's last reply that the server took in, and the client goes on from what it kept
after that round. So a reply that got lost, a job that is sent twice and a server that went back to its last stored
round leave no trace: a client holds what it kept after that round and after its latest, and nothing older.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from flwr.app import Context, RecordDict

from harmonia.core.arrays import read_arrays, write_arrays
from harmonia.core.errors import InputError
from harmonia.federate.flower.records import pack_arrays, unpack_arrays
from harmonia.federate.store import Kept

FOLDER = "keep"
"""Key of a node's settings: a folder where what it keeps outlives the run."""


class Shelf(Protocol):
    """Where a client keeps things, by round."""

    def get(self, round: int) -> Kept | None:
        """Return what was kept after a round; None for round 0, before the first.

        Raises:
            InputError: it is not there.
        """
        ...

    def put(self, round: int, known: int, kept: Kept) -> None:
        """Keep what there is after a round, and no more of the others than what was kept after round ``known``."""
        ...


def shelf_of(context: Context, client: int, folder: Path | None = None) -> Shelf:
    """Return a client's shelf: in a folder where one is named, here or in the node's settings, else in Flower's state.

    Flower's state lasts as long as the run; a run that is to go on after the server was killed needs a folder.
    """
    named = folder or context.node_config.get(FOLDER)
    return FolderShelf(Path(str(named)), client) if named else StateShelf(context.state)


class StateShelf:
    """In Flower's state of the client, one array record per round."""

    def __init__(self, state: RecordDict) -> None:
        self.state = state

    def get(self, round: int) -> Kept | None:
        if not round:
            return None
        if _name(round) not in self.state.array_records:
            raise InputError(_gone(round))
        return unpack_arrays(self.state.array_records[_name(round)])

    def put(self, round: int, known: int, kept: Kept) -> None:
        for name in list(self.state.array_records):
            if name.startswith(_PREFIX) and name != _name(known):
                del self.state[name]
        if kept:
            self.state[_name(round)] = pack_arrays(kept)


class FolderShelf:
    """In a folder, one file per round; the names are those that an engine of this machine uses."""

    def __init__(self, folder: Path, client: int) -> None:
        self.folder, self.client = folder, client

    def get(self, round: int) -> Kept | None:
        if not round:
            return None
        if not self._path(round).exists():
            raise InputError(_gone(round))
        return read_arrays(self._path(round))

    def put(self, round: int, known: int, kept: Kept) -> None:
        if not kept:
            return
        write_arrays(self._path(round), kept)
        for path in self.folder.glob(f"{self.client}-*.safetensors"):
            if path not in (self._path(round), self._path(known)):
                path.unlink(missing_ok=True)

    def _path(self, round: int) -> Path:
        return self.folder / f"{self.client}-{round}.safetensors"


_PREFIX = "kept."


def _name(round: int) -> str:
    return f"{_PREFIX}{round}"


def _gone(round: int) -> str:
    return (
        f"has lost what it kept after round {round}; start the run anew, or give its node back the folder "
        f"that {FOLDER!r} names"
    )
