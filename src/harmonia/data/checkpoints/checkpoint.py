"""A model in a folder, in the layout of the Hub, read a run of elements at a time.

A folder has config.json and either model.safetensors or model.safetensors.index.json with shards. Reading fills
buffers that the caller owns, with plain reads: pages of a memory map would count as this process's memory.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from harmonia.core.errors import InputError, suggest
from harmonia.data.checkpoints.header import FLOATS, Stored, bytes_of, read_header
from harmonia.data.checkpoints.positional import PositionalFile
from harmonia.data.checkpoints.precision import bytes_view, to_float32

if TYPE_CHECKING:
    from torch import Tensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"

_READABLE = {"pytorch_model.bin", "pytorch_model.bin.index.json"}
_COMPARED = 1 << 20
"""Bytes compared at a time."""


class Checkpoint:
    """Tensors by name, from files that stay open until ``close``; several threads may read at once.

    Attributes:
        folder: where the model is.
        config: its config.json.
        tensors: what there is, in the order of the files and of the bytes in them.
    """

    def __init__(self, folder: Path, config: dict[str, Any], tensors: Mapping[str, Stored]) -> None:
        self.folder = folder
        self.config = config
        self.tensors = dict(tensors)
        self._files: dict[Path, PositionalFile] = {}
        self._opening = threading.Lock()
        self._own = threading.local()

    @classmethod
    def at(cls, folder: Path) -> Self:
        """Open a folder of safetensors.

        Raises:
            InputError: not a model's folder, weights in another format, or files that are missing or damaged.
        """
        config = read_object(folder / CONFIG, f"{folder} is not the folder of a model: it has no {CONFIG}")
        if (folder / SINGLE).is_file():
            return cls(folder, config, {tensor.name: tensor for tensor in read_header(folder / SINGLE)})
        if (folder / INDEX).is_file():
            return cls(folder, config, _indexed(folder))
        raise InputError(_no_weights(folder))

    @property
    def files(self) -> list[Path]:
        """The files that hold the weights."""
        return list(dict.fromkeys(tensor.path for tensor in self.tensors.values()))

    def tensor(self, name: str) -> Stored:
        """Return where a tensor is.

        Raises:
            InputError: there is none of this name.
        """
        try:
            return self.tensors[name]
        except KeyError:
            raise InputError(f"{self.folder} has no tensor {name}{suggest(name, self.tensors)}") from None

    def read(self, name: str, start: int, out: Tensor) -> None:
        """Fill ``out`` with elements of a flattened tensor, from ``start`` on: (m,) float32, contiguous.

        Raises:
            InputError: no such tensor, not floating-point numbers, or a file that has changed.
        """
        self._numbers(self.tensor(name), start, out)

    def read_bytes(self, name: str, start: int, into: memoryview) -> None:
        """Fill a buffer with the bytes of a tensor as they are in the file, from byte ``start`` on."""
        self.read_stored(self.tensor(name), start, into)

    def read_stored(self, stored: Stored, start: int, into: memoryview) -> None:
        """Fill a buffer with the bytes of a tensor of any file of the model, from byte ``start`` on."""
        self._fill(stored, start, into)

    def is_stored(self, name: str) -> bool:
        """Return whether what ``read`` gives of a tensor is what the file holds."""
        return True

    def same(self, name: str, other: Checkpoint, there: str) -> bool:
        """Return whether a tensor is, byte for byte, one of another checkpoint; stops at the first difference."""
        mine, others = self.tensor(name), other.tensor(there)
        alike = (mine.dtype, mine.shape) == (others.dtype, others.shape)
        if not alike or not self.is_stored(name) or not other.is_stored(there):
            return False
        if (mine.path, mine.start) == (others.path, others.start):
            return True
        for start in range(0, mine.bytes, _COMPARED):
            length = min(_COMPARED, mine.bytes - start)
            a, b = self._scratch(0, length), self._scratch(1, length)
            self._fill(mine, start, a.data)
            other._fill(others, start, b.data)
            if not np.array_equal(a, b):
                return False
        return True

    def close(self) -> None:
        """Close the files; reading opens them again."""
        with self._opening:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # half made, or the interpreter is ending
            self.close()

    def _numbers(self, stored: Stored, start: int, out: Tensor) -> None:
        if stored.dtype not in FLOATS:
            raise InputError(
                f"{stored.path}: {stored.name} is {stored.dtype}, not floating-point weights: dequantise the model"
            )
        if stored.dtype == "F32":
            self._fill(stored, 4 * start, bytes_view(out))
            return
        raw = self._scratch(0, bytes_of(stored.dtype, len(out)))
        self._fill(stored, bytes_of(stored.dtype, start), raw.data)
        to_float32(raw, stored.dtype, out)

    def _fill(self, stored: Stored, start: int, into: memoryview) -> None:
        try:
            with self._opening:
                file = self._files.get(stored.path)
                if file is None:
                    file = self._files[stored.path] = PositionalFile(stored.path, "read")
            found = file.read(stored.start + start, into)
        except OSError as error:
            raise InputError(f"cannot read {stored.path}: {error.strerror}") from error
        if found < len(into):
            raise InputError(f"{stored.path} was cut off while it was read: copy or download it again")

    def _scratch(self, place: int, length: int) -> np.ndarray:
        """Return bytes that this thread uses again and again."""
        kept: dict[int, np.ndarray] = self._own.__dict__.setdefault("buffers", {})
        if place not in kept or len(kept[place]) < length:
            kept[place] = np.empty(length, np.uint8)
        return kept[place][:length]


def read_object(path: Path, absent: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: it is missing, with the message ``absent``, or no JSON object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(absent) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error})") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} is not a JSON object")
    return record


def _indexed(folder: Path) -> dict[str, Stored]:
    """Return the tensors of all shards that an index names."""
    path = folder / INDEX
    places = indexed(path)
    held = {shard: {tensor.name: tensor for tensor in read_header(folder / shard)} for shard in set(places.values())}
    check_held(path, places, held)
    # a tensor that an old shard holds too is where the index says
    return {
        name: tensor
        for shard in sorted(held)
        for name, tensor in held[shard].items()
        if places.get(name, shard) == shard
    }


def indexed(path: Path) -> dict[str, str]:
    """Return the shard of each tensor, as an index says.

    Raises:
        InputError: it does not say so, or shards are missing.
    """
    places = read_object(path, f"{path} is missing").get("weight_map")
    plain: Callable[[Any], bool] = lambda shard: isinstance(shard, str) and Path(shard).name == shard  # noqa: E731
    if not isinstance(places, dict) or not places or not all(map(plain, places.values())):
        raise InputError(f"{path} has no weight_map from tensors to files beside it")
    absent = [shard for shard in sorted(set(places.values())) if not (path.parent / shard).is_file()]
    if absent:
        raise InputError(f"{path} names {_some(absent, 'shard')} that the folder lacks: copy or download the rest")
    return places


def check_held(path: Path, places: Mapping[str, str], held: Mapping[str, Container[str]]) -> None:
    """Refuse an index that names tensors that are not in their shards.

    Raises:
        InputError: the message names some.
    """
    lost = [name for name, shard in places.items() if name not in held[shard]]
    if lost:
        raise InputError(f"{path} names {_some(lost, 'tensor')} that the shards lack: copy or download them again")


def _some(names: list[str], what: str, most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what}{'s' * (len(names) > 1)} {', '.join(names[:most])}{more}"


def _no_weights(folder: Path) -> str:
    """Return what to tell of a folder without safetensors."""
    pickled = sorted(
        p.name for end in ("*.bin", "*.bin.index.json", "*.pt", "*.pth", "*.ckpt") for p in folder.glob(end)
    )
    if pickled:
        return (
            f"{folder} has weights as pickle only ({pickled[0]}), which could run code when it is loaded: convert it "
            "where you trust it, transformers' AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)"
            + (", or read nothing but its tensors with --allow-pytorch-bin" if _READABLE & set(pickled) else "")
        )
    if any(folder.glob("*.gguf")):
        return f"{folder} has weights as GGUF only, mostly quantised: take the model's original safetensors"
    if (folder / "adapter_config.json").is_file():
        return f"{folder} is an adapter, not a model: give the base that it belongs to as well"
    return f"{folder} has no weights ({SINGLE} or {INDEX}): save the model with save_pretrained"
