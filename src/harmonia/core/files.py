"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harmonia.core.errors import RunError

written: list[Callable[[Path], None]] = []
"""Called with each file after it is in place; the tests of interruption stop a run here."""


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place when the block succeeds.

    The data reaches the disk before the rename does, so a file that exists under its final name is complete
    even after a power cut. On any failure the temporary file is removed and an older ``path`` stays as it was.

    Raises:
        RunError: the disk is full or not writable; the run so far is intact.

    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> with atomic(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> (folder / "a.txt").read_text()
    'whole'
    """
    final = Path(path)
    temporary = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(final)
        for observer in written:
            observer(final)
    except Exception as error:
        fault = _DISK.get(_error_number(error))
        if fault is not None:
            raise RunError(
                f"cannot write {final}: {fault}; what was finished is kept, go on with --resume once it can be written"
            ) from error
        raise
    finally:
        with contextlib.suppress(OSError):  # a disk that became read-only keeps it
            temporary.unlink(missing_ok=True)


def _error_number(error: Exception) -> int | None:
    """Return the system's number of a failure to write; NumPy and safetensors tell it in words only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if re.fullmatch(r"\d+ requested and \d+ written", str(error)):
        return errno.ENOSPC
    told = re.search(r"\(os error (\d+)\)", str(error))
    return int(told[1]) if told else None


_DISK: dict[int | None, str] = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EFBIG: "the file size limit is reached",
}


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` (UTF-8) whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], record: Any) -> None:
    """Write a JSON record, whole or not at all; the order of keys is kept."""
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON record.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; is this the folder of a run?") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is damaged ({error}); remove the run folder and start again") from error
