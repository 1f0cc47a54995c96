"""A checkpoint written piece by piece, tensors in any order and by several threads, each file whole or not at all.

Every shard is laid out in full under a temporary name; pieces go to their places, and a shard whose tensors are done
is synced and renamed. So a process that is killed loses the shards it was at, and a later one writes only these.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from harmonia.core.errors import InputError, RunError
from harmonia.core.files import atomic, read_json, write_json
from harmonia.data.checkpoints.checkpoint import CONFIG, INDEX, SINGLE
from harmonia.data.checkpoints.header import bytes_of
from harmonia.data.checkpoints.layout import SHARD, Shard, Slot, layout
from harmonia.data.checkpoints.positional import PositionalFile
from harmonia.data.checkpoints.precision import NAMES, bytes_view, from_float32
from harmonia.data.checkpoints.small_files import small_files

if TYPE_CHECKING:
    from torch import Tensor

UNFINISHED = ".unfinished"
"""Folder within an output that is not complete: what was asked, and notes of who writes it."""


class CheckpointWriter:
    """An output folder; use it as a context manager, in which every tensor is written and ``complete`` is called.

    Args:
        folder: new, empty, or with ``resume`` one that was not finished.
        slots: every tensor, in the order in which they will roughly be written.
        inputs: folders that are read, which the output must not be.
        request: JSON record of all that decides the content; resuming needs an equal one.
        shard: most bytes of tensors in a file.
        resume: keep the shards that are finished.

    Attributes:
        folder: where the checkpoint goes.
        notes: a folder for records that must survive an interruption, gone when the checkpoint is complete.
        bytes: what is still to be written.

    Raises:
        InputError: the folder is an input, not empty, or of another request, or the disk is too small.
    """

    def __init__(
        self,
        folder: Path,
        slots: Sequence[Slot],
        *,
        inputs: Iterable[Path] = (),
        request: Mapping[str, Any] | None = None,
        shard: int = SHARD,
        resume: bool = False,
    ) -> None:
        self.folder = folder
        self.notes = folder / UNFINISHED
        self._slots = {slot.name: slot for slot in slots}
        self._shards = layout(slots, shard)
        self._shard_of = {name: shard for shard in self._shards for name in shard.places}
        refuse_input(folder, inputs)
        self._begin(json.loads(json.dumps(request or {})), resume)
        self._finished = {shard.file for shard in self._shards if self._is_whole(shard)}
        self._left = {shard.file: set(shard.places) for shard in self._shards if shard.file not in self._finished}
        self._written = {name: 0 for names in self._left.values() for name in names}
        self._open: dict[str, tuple[PositionalFile, contextlib.ExitStack]] = {}
        self._one = threading.Lock()
        self.bytes = sum(shard.bytes for shard in self._shards if shard.file not in self._finished)
        check_disk(folder, self.bytes)
        write_json(self.notes / "request.json", self._request)

    def finished(self, name: str) -> bool:
        """Return whether a tensor is in a shard that an earlier process finished."""
        return self._shard_of[name].file in self._finished

    def write(self, name: str, start: int, values: Tensor) -> None:
        """Write elements of a flattened tensor from ``start`` on, rounded once to its type: (m,) float32.

        Raises:
            InputError: a number is too large for the type, or not finite.
        """
        import torch

        slot = self._slots[name]
        rounded = from_float32(values, slot.dtype)
        # a finite sum has finite terms, and is quicker to get than a flag for each; large terms may overflow it
        if not torch.isfinite(rounded.sum()) and not torch.isfinite(rounded).all():
            word = next(word for word, dtype in NAMES.items() if dtype == slot.dtype)
            cause = f"is too large for {word}: write it as bfloat16 or float32"
            if not torch.isfinite(values).all():
                cause = "came out as NaN or infinite: lower the weights"
            raise InputError(f"{self.folder}: a number of tensor {name} {cause}")
        self.write_bytes(name, bytes_of(slot.dtype, start), bytes_view(rounded))

    def write_bytes(self, name: str, start: int, data: memoryview) -> None:
        """Write bytes of a tensor as they are, from its byte ``start`` on; no byte twice."""
        slot = self._slots[name]
        if not 0 <= start <= slot.bytes - len(data):
            raise ValueError(f"{name}: bytes {start} to {start + len(data)} of {slot.bytes}")
        shard = self._shard_of[name]
        self._file(shard).write(shard.places[name] + start, data)
        with self._one:
            self._written[name] += len(data)

    def done(self, name: str) -> None:
        """Say that a tensor is written; the last one of a shard puts the shard in its place."""
        if self._written[name] != self._slots[name].bytes:
            raise ValueError(f"{name}: {self._written[name]} of {self._slots[name].bytes} bytes were written")
        shard = self._shard_of[name]
        self._file(shard)  # where all tensors are empty, nothing has opened it
        with self._one:
            left = self._left[shard.file]
            left.discard(name)
            if left:
                return
            _, hold = self._open.pop(shard.file)
        hold.close()

    def complete(self, config: Mapping[str, Any], source: Path | None = None) -> None:
        """Write what belongs to the weights: index, config.json, and small files of a folder.

        Args:
            config: content of config.json.
            source: whose tokenizer, templates and licence are copied.
        """
        waiting = [name for name, left in self._left.items() if left]
        if waiting:
            raise ValueError(f"tensors of {waiting} are not written")
        if [shard.file for shard in self._shards] != [SINGLE]:
            total = sum(slot.bytes for slot in self._slots.values())
            places = {name: self._shard_of[name].file for name in sorted(self._slots)}
            write_json(self.folder / INDEX, {"metadata": {"total_size": total}, "weight_map": places})
        for path in small_files(source) if source is not None else ():
            with atomic(self.folder / path) as temporary:
                shutil.copyfile(source / path, temporary)  # type: ignore[operator]
        write_json(self.folder / CONFIG, dict(config))
        shutil.rmtree(self.notes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure: BaseException | None = None
        for _, hold in self._open.values():  # removes what is not whole
            try:
                hold.__exit__(kind or RuntimeError, error or RuntimeError("tensors were not written"), trace)
            except BaseException as other:
                failure = other
        self._open.clear()
        if isinstance(failure, RunError):  # the disk is full, in words
            raise failure

    def _begin(self, request: dict[str, Any], resume: bool) -> None:
        self._request = request
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"output {self.folder} is a file; name a folder")
        used = self.folder.is_dir() and any(self.folder.iterdir())
        if used and not resume:
            raise InputError(f"output folder {self.folder} is not empty; choose another one, or resume")
        asked = self.notes / "request.json"
        if used and asked.exists():
            if read_json(asked) != request:
                raise InputError(
                    f"{self.folder} was begun with other settings or inputs; resume with the same, or choose another "
                    "folder"
                )
        elif used:
            raise InputError(f"{self.folder} is not an unfinished output; choose another folder")
        for shard in self._shards:  # what a killed process left
            for path in self.folder.glob(f".{shard.file}.*.part"):
                path.unlink()

    def _is_whole(self, shard: Shard) -> bool:
        path = self.folder / shard.file
        if not path.exists():
            return False
        with open(path, "rb") as file:
            same = file.read(len(shard.header)) == shard.header
        if not same or path.stat().st_size != shard.bytes:
            raise InputError(f"{path} is not what was begun here: remove the folder and start again")
        return True

    def _file(self, shard: Shard) -> PositionalFile:
        with self._one:
            if shard.file not in self._open:
                hold = contextlib.ExitStack()
                file = PositionalFile(hold.enter_context(atomic(self.folder / shard.file)), "write")
                hold.callback(file.close)
                self._open[shard.file] = file, hold  # leaving the writer tidies up
                file.reserve(shard.bytes)
                file.write(0, memoryview(shard.header))
            return self._open[shard.file][0]


def refuse_input(folder: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output folder that is one of the inputs.

    Raises:
        InputError: it is, whatever the two are called.
    """
    for path in inputs:
        if folder.resolve() == path.resolve():
            raise InputError(f"output folder {folder} is an input as well; choose another one")


def check_disk(folder: Path, needed: int) -> None:
    """Refuse what the disk has no room for.

    Args:
        folder: where something will be written; it need not exist.
        needed: bytes.

    Raises:
        InputError: there is less room.
    """
    place = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(
            f"{folder} needs {needed / 1e9:.2f} GB, and the disk has {free / 1e9:.2f} GB free: make room, write a "
            "smaller dtype, or choose another folder"
        )
