"""What a safetensors file says it holds: names, types, shapes and places of tensors, read from its header alone.

The file begins with 8 bytes, the length of the header (little-endian); the header is a JSON object, and the bytes of
the tensors follow it without holes. Whatever does not add up is named before a number is read.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError

BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits of an element of each type."""
FLOATS = ("F32", "BF16", "F16", "F64")
"""Types that hold weights as they are; others are codes or places."""

_LONGEST = 100_000_000
"""Bytes of a header; the format allows no more."""


@dataclass(frozen=True)
class Stored:
    """A tensor in a file.

    Attributes:
        name: of the tensor.
        dtype: as safetensors calls it: F32, BF16, I64, ...
        shape: of the tensor.
        path: the file.
        start: place of its first byte in the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    start: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes it takes."""
        return bytes_of(self.dtype, self.size)


def bytes_of(dtype: str, size: int) -> int:
    """Return the bytes of so many elements.

    >>> bytes_of("BF16", 3), bytes_of("F4", 6)
    (6, 3)
    """
    return size * BITS[dtype] // 8


def read_header(path: Path) -> list[Stored]:
    """Return the tensors of a safetensors file in the order of their bytes.

    Raises:
        InputError: not a safetensors file, cut off, or a header that contradicts itself or the file.
    """
    try:
        with open(path, "rb") as file:
            beginning = file.read(8)
            length = int.from_bytes(beginning, "little")
            if beginning == b"version ":
                raise InputError(f"{path} is a pointer of Git LFS, not the weights: fetch them with git lfs pull")
            held = path.stat().st_size
            if len(beginning) < 8 or (length <= _LONGEST and length + 8 > held):
                raise InputError(f"{path} is cut off within its header ({held} bytes): copy or download it again")
            if length > _LONGEST:
                raise InputError(f"{path} is not a safetensors file: its header would be {length} bytes long")
            header = file.read(length)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        record = json.loads(header, object_pairs_hook=_once)
        if not isinstance(record, dict):
            raise ValueError("not an object")
        record.pop("__metadata__", None)
        tensors = sorted((_stored(name, entry, path, 8 + length) for name, entry in record.items()), key=_place)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} has a damaged header ({error}): copy or download it again") from error
    end = 8 + length
    for tensor in tensors:
        if tensor.start != end:
            raise InputError(f"{path} has a damaged header: the bytes of {tensor.name} do not follow those before it")
        end += tensor.bytes
    if held != end:
        wrong = "is cut off" if held < end else "is too long"
        raise InputError(f"{path} {wrong}: its header says {end} bytes, and it has {held}; copy or download it again")
    return tensors


def _place(tensor: Stored) -> tuple[int, int]:
    return tensor.start, tensor.bytes  # an empty tensor lies before the one that begins at the same byte


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name stands twice")
    return record


def _stored(name: str, entry: Any, path: Path, begin: int) -> Stored:
    """Return one entry of the header.

    Raises:
        ValueError: it is not one.
    """
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name}: not dtype, shape and data_offsets")
    dtype, shape, places = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"{name}: unknown dtype {dtype!r}")
    if not _counts(shape) or not _counts(places) or len(places) != 2:
        raise ValueError(f"{name}: shape or data_offsets are not lists of counts")
    tensor = Stored(name, dtype, tuple(shape), path, begin + places[0])
    if tensor.size * BITS[dtype] % 8 or places[1] - places[0] != tensor.bytes:
        raise ValueError(f"{name}: {dtype} of shape {shape} does not fill its {places[1] - places[0]} bytes")
    return tensor


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
