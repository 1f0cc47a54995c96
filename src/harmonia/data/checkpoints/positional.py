"""A file read and written at given places by several threads at once."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Literal

_AT_ONCE = 1 << 30
"""Bytes of one call; systems refuse more than 2 GiB."""
_POSITIONAL = hasattr(os, "preadv")
"""Whether the system reads at a place without moving a common one; Windows does not."""


class PositionalFile:
    """An open file without a current place.

    Args:
        path: the file.
        mode: read an existing one, or create or empty it and write.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, mode: Literal["read", "write"]) -> None:
        flags = os.O_RDONLY if mode == "read" else os.O_RDWR | os.O_CREAT | os.O_TRUNC
        self._file = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
        self._one = threading.Lock()

    def read(self, start: int, into: memoryview) -> int:
        """Fill a buffer of bytes with those that begin at ``start``; return how many there were."""
        done = 0
        while done < len(into):
            part = into[done : done + _AT_ONCE]
            if _POSITIONAL:
                count = os.preadv(self._file, [part], start + done)
            else:
                with self._one:
                    os.lseek(self._file, start + done, os.SEEK_SET)
                    found = os.read(self._file, len(part))
                count = len(found)
                part[:count] = found
            if count == 0:
                break
            done += count
        return done

    def write(self, start: int, data: memoryview) -> None:
        """Write bytes from ``start`` on."""
        done = 0
        while done < len(data):
            part = data[done : done + _AT_ONCE]
            if _POSITIONAL:
                done += os.pwrite(self._file, part, start + done)
            else:
                with self._one:
                    os.lseek(self._file, start + done, os.SEEK_SET)
                    done += os.write(self._file, part)

    def reserve(self, size: int) -> None:
        """Give the file its final length, with room on the disk where the system can promise it."""
        try:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file, 0, size)
                return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that makes no promises
                raise
        os.truncate(self._file, size)

    def close(self) -> None:
        """Close the file; more than once does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
