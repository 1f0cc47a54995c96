"""Bytes of a file, decompressed as they are read; a file that ends early says so."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

_READ = 1 << 20
_PACKED = 1 << 12  # little at a time, because zstandard gives all that it can make of it at once
_WINDOW = 1 << 27  # what `zstd --long=27` writes; larger windows would let a file claim gigabytes


class DamagedError(Exception):
    """The compressed data ends early or is corrupt; what came before was delivered."""


def plain(stream: IO[bytes], suffix: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of a stream: suffix ``".gz"``, ``".zst"`` or ``""``.

    Several members or frames end to end are read as one.

    Raises:
        DamagedError: after the last bytes that could be read.
    """
    if suffix == ".gz":
        return _members(stream, lambda: zlib.decompressobj(wbits=31), zlib.error)
    if suffix == ".zst":
        import zstandard

        return _members(stream, zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj, zstandard.ZstdError)
    return iter(lambda: stream.read(_READ), b"")


def _members(stream: IO[bytes], new: Callable[[], Any], error: type[Exception]) -> Iterator[bytes]:
    member, begun = new(), False
    while data := stream.read(_PACKED):
        while data:
            try:
                out = member.decompress(data)
            except error as problem:
                raise DamagedError(f"is damaged inside the compressed data ({problem})") from problem
            begun = True
            if out:
                yield out
            data = b""
            if member.eof:
                data, member, begun = member.unused_data.lstrip(b"\0"), new(), False
    if begun:
        raise DamagedError("ends early: the compressed data is truncated")
