"""How the tensors of a new checkpoint lie in its files, known to the byte before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harmonia.data.checkpoints.checkpoint import SINGLE
from harmonia.data.checkpoints.header import BITS, bytes_of

SHARD = 5_000_000_000
"""Bytes of a shard, as the Hub likes them."""


@dataclass(frozen=True)
class Slot:
    """A tensor to be written.

    Attributes:
        name: of the tensor.
        dtype: as safetensors calls it.
        shape: of the tensor.
        size: number of elements.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int

    @property
    def bytes(self) -> int:
        """Bytes it takes."""
        return bytes_of(self.dtype, self.size)


@dataclass(frozen=True)
class Shard:
    """One file.

    Attributes:
        file: its name.
        header: what it begins with.
        places: name of a tensor -> place of its first byte in the file.
        bytes: length of the file.
    """

    file: str
    header: bytes
    places: dict[str, int]
    bytes: int


def layout(slots: Sequence[Slot], shard: int = SHARD) -> list[Shard]:
    """Return the files that hold tensors, filled in the order of the tensors.

    Args:
        slots: what is written.
        shard: most bytes of tensors in a file; a larger tensor has a file of its own.
    """
    groups: list[list[Slot]] = [[]]
    held = 0
    for slot in slots:
        if groups[-1] and held + slot.bytes > shard:
            groups.append([])
            held = 0
        groups[-1].append(slot)
        held += slot.bytes
    if len(groups) == 1:
        return [_file(SINGLE, groups[0])]
    count = len(groups)
    return [_file(f"model-{i + 1:05d}-of-{count:05d}.safetensors", group) for i, group in enumerate(groups)]


def _file(name: str, slots: Iterable[Slot]) -> Shard:
    record: dict[str, object] = {"__metadata__": {"format": "pt"}}
    places, end = {}, 0
    # wide types first: then every tensor begins at a multiple of its element, which readers of views need
    for slot in sorted(slots, key=lambda slot: -BITS[slot.dtype]):
        places[slot.name] = end
        record[slot.name] = {
            "dtype": slot.dtype,
            "shape": list(slot.shape),
            "data_offsets": [end, end + slot.bytes],
        }
        end += slot.bytes
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    return Shard(name, header, {slot: len(header) + place for slot, place in places.items()}, len(header) + end)
