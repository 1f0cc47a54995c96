"""A file of a registry's package in the cache: fetched once, checked by hash whenever it is asked for."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from harmonia.core.errors import RunError
from harmonia.core.files import atomic


def cached(path: Path, sha256: str, download: Callable[[Path], Path], by_hand: str) -> Path:
    """Return the path of a package, downloaded when the cache does not hold it.

    Args:
        path: of the package in the cache.
        sha256: hash of its content.
        download: fetches it into a folder and returns where it lies.
        by_hand: how a user puts it there, for messages.

    Raises:
        RunError: the hash differs; the file is removed.
    """
    if path.exists():
        _check(path, path.name, sha256, by_hand)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as folder:
        found = download(Path(folder))
        _check(found, path.name, sha256, by_hand)
        with atomic(path) as temporary:
            found.replace(temporary)
    return path


def _check(found: Path, name: str, sha256: str, by_hand: str) -> None:
    with open(found, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != sha256:
        found.unlink()
        raise RunError(
            f"{name} has the wrong content (sha256 {digest[:12]}..., expected {sha256[:12]}...) and was removed; "
            f"try again, or {by_hand}"
        )
