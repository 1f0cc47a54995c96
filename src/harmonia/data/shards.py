"""Arrays on disk, memory-mapped while they are in use.

A memory map holds a file open, and a system allows a process only so many. A pool of millions of documents has more
shards than that, so the maps used least recently are given up and opened again when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core.errors import RunError

_FEW = 400
"""Maps open at a time where the system does not tell its limit."""
_MANY = 1 << 16
"""Files to ask for; Linux grants a process 65,530 maps."""


class Shard:
    """An ``.npy`` file as an array of rows: ``shape``, ``dtype`` and ``[rows]``.

    Raises:
        OSError: the file is missing.
        ValueError: it is not a whole ``.npy`` file.
    """

    def __init__(self, path: Path) -> None:
        status = path.stat()
        # a file that is written anew under its path is another file
        self._identity = (path, status.st_ino, status.st_mtime_ns)
        array = _mapped()(*self._identity)
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        try:
            return np.asarray(_mapped()(*self._identity)[rows])
        except (OSError, ValueError) as error:
            raise RunError(f"a shard of vectors is gone or damaged ({error}); select again in a new --out") from error


def _load(path: Path, inode: int, stamp: int) -> np.ndarray:
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


@cache
def _mapped() -> Callable[[Path, int, int], np.ndarray]:
    """Return the reader that keeps as many maps open as this process may."""
    return lru_cache(maxsize=_most_open())(_load)


def _most_open() -> int:
    """Return half of the files that this process may open, after asking for as many as the system grants."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return _FEW
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY if hard == resource.RLIM_INFINITY else min(hard, _MANY)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            wanted = soft
    return max(wanted // 2, _FEW // 4)
