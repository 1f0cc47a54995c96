"""From paths, folders, globs and URLs to an ordered list of files, each with its format, size and stamp."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from harmonia.core.errors import InputError, RunError, suggest

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
}
_COMPRESSED = {".gz": ".gz", ".zst": ".zst", ".zstd": ".zst"}
_PACKABLE = ("jsonl", "csv", "tsv", "text")
_BESIDE_DATA = re.compile(
    r"(readme|license|licence|copying|notice|authors|changelog)(\.[a-z]+)?"
    r"|(dataset_infos?|dataset_dict|state)\.json|[._].*",
    re.IGNORECASE,
)
_SHARD = re.compile(
    r"(?<=.)[-_.]\d+-of-\d+$|(?<=.)[-_.]\d{5,}$|(?<=^part|^data)[-_.]?\d+.*$"
    r"|(?<=^shard|^chunk)[-_.]?\d+.*$",
    re.IGNORECASE,
)
_STAMPS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "LastModified", "last_modified", "updated", "mtime")


@dataclass(frozen=True)
class InputFile:
    """One file of a corpus.

    Attributes:
        name: path relative to what the inputs have in common; ids are made of it.
        path: path or URL, for messages.
        size: bytes on disk.
        format: parquet, arrow, jsonl, csv, tsv, text or table (in memory).
        packing: ``".gz"``, ``".zst"`` or ``""``.
        source: top folder or stem, the document's source when no column gives one.
        stamp: changes when the content does: modification time, entity tag, or a hash of the content.
    """

    name: str
    path: str
    size: int
    format: str
    packing: str = ""
    source: str = ""
    stamp: str = ""
    filesystem: Any = field(default=None, repr=False, compare=False)
    key: str = field(default="", repr=False, compare=False)

    @property
    def local(self) -> bool:
        """Whether ``key`` is a path of this machine."""
        return _is_local(self.filesystem)

    def open(self) -> IO[bytes]:
        """Open the file for reading.

        Raises:
            InputError: permission is missing or the file cannot be read.
            RunError: it has vanished since it was found.
        """
        try:
            return open(self.key, "rb") if self.local else self.filesystem.open(self.key, "rb")
        except FileNotFoundError as error:
            raise self.vanished() from error
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def vanished(self) -> RunError:
        """Return the error for a file that is no longer there."""
        return RunError(f"{self.path} has vanished since the run started; put it back and continue with --resume")

    def verify(self) -> None:
        """Check that the file is still there and unchanged.

        Raises:
            RunError: it has vanished or changed since the corpus was opened.
        """
        if self.filesystem is None:
            return
        try:
            size, stamp = _size_and_stamp(self.filesystem, self.key)
        except FileNotFoundError as error:
            raise self.vanished() from error
        if (size, stamp) != (self.size, self.stamp):
            raise RunError(
                f"{self.path} has changed since the run started ({self.size} bytes then, {size} now); "
                "restore it and continue with --resume, or start a new run"
            )


def find_files(inputs: Iterable[str | os.PathLike[str]]) -> tuple[list[InputFile], list[str]]:
    """Return the files behind the inputs, and the paths in folders that were passed over.

    Inputs keep their order; files of a folder or glob are sorted by path; a file reached twice counts once.

    Raises:
        InputError: no such file, nothing matches, an empty folder, an unknown extension, an unreadable place.
    """
    given = [str(item) for item in inputs]
    found: dict[str, tuple[Any, str, str]] = {}
    ignored: list[str] = []
    bases: list[tuple[str, str]] = []
    for item in given:
        filesystem, key = _locate(item)
        base, keys = _expand(filesystem, key, item, ignored)
        one_of_many = len(given) > 1 and base == key.rstrip("/")
        bases.append((filesystem.unstrip_protocol(""), str(PurePosixPath(base).parent) if one_of_many else base))
        for each in keys:
            source = PurePosixPath(base).name if one_of_many else _source(each[len(base) :].lstrip("/"))
            found.setdefault(filesystem.unstrip_protocol(each), (filesystem, each, source))
    base = os.path.commonpath([base for _, base in bases]) if len({system for system, _ in bases}) == 1 else ""
    return [_describe(fs, key, base, source) for fs, key, source in found.values()], ignored


def format_of(path: str) -> tuple[str, str] | None:
    """Return (format, packing) by extension, or None when it is unknown.

    >>> format_of("a/b.jsonl.zst"), format_of("c.exe")
    (('jsonl', '.zst'), None)
    """
    name, packing = path.lower(), ""
    for suffix, kind in _COMPRESSED.items():
        if name.endswith(suffix):
            name, packing = name[: -len(suffix)], kind
    form = FORMATS.get(PurePosixPath(name).suffix)
    return None if form is None or (packing and form not in _PACKABLE) else (form, packing)


def _locate(item: str) -> tuple[Any, str]:
    import fsspec

    try:
        filesystem, key = fsspec.core.url_to_fs(str(Path(item).expanduser()) if "://" not in item else item)
    except (ImportError, ValueError) as error:
        raise InputError(f"{item}: {error}") from error
    return filesystem, key


def _expand(filesystem: Any, key: str, item: str, ignored: list[str]) -> tuple[str, list[str]]:
    """Return (folder that names are relative to, files) of one input."""
    try:
        if filesystem.isfile(key):
            if format_of(key) is None:
                raise InputError(
                    f"{item}: unknown extension; known are {_extensions()}, and .gz or .zst after those "
                    "of JSON lines, CSV and text"
                )
            return str(PurePosixPath(key).parent), [key]
        if filesystem.isdir(key):
            return key.rstrip("/"), _in_folder(filesystem, key, item, ignored)
        if any(mark in key for mark in "*?["):
            fixed = PurePosixPath(re.split(r"[*?\[]", key, maxsplit=1)[0] + "x").parent
            keys: list[str] = []
            for match in sorted(filesystem.glob(key), key=_parts):
                if filesystem.isdir(match):
                    keys += _in_folder(filesystem, match, match, ignored)
                elif format_of(match) is None:
                    ignored.append(match)
                else:
                    keys.append(match)
            if not keys:
                raise InputError(f"{item}: no readable file matches")
            return str(fixed), keys
        parent = str(PurePosixPath(key).parent)
        beside = filesystem.ls(parent, detail=False) if filesystem.isdir(parent) else []
    except PermissionError as error:
        raise InputError(f"{error.filename or item}: cannot be read: permission denied") from error
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{error.filename or item}: cannot be read: {error.strerror or error}") from error
    near = suggest(PurePosixPath(key).name, [PurePosixPath(k).name for k in beside])
    raise InputError(f"{item}: no such file or folder{near if 'did you mean' in near else ''}")


def _in_folder(filesystem: Any, key: str, item: str, ignored: list[str]) -> list[str]:
    root = key.rstrip("/")
    everything = sorted(_walk(root) if _is_local(filesystem) else filesystem.find(key), key=_parts)
    runs = _run_folders(everything)
    if root in runs:
        raise InputError(f"{item}: the folder of a run; its picks are {item.rstrip('/')}/result/picks.parquet")
    everything = [k for k in everything if not any(str(folder) in runs for folder in PurePosixPath(k).parents)]
    seen = [k for k in everything if not any(part.startswith((".", "_")) for part in _parts(k[len(root) :]))]
    known = [k for k in seen if format_of(k) is not None and not _BESIDE_DATA.fullmatch(PurePosixPath(k).name)]
    tables = [k for k in known if format_of(k)[0] != "text"]  # type: ignore[index]
    keep = tables or known  # texts beside tables describe them
    kept = set(keep)
    ignored += [k for k in seen if k not in kept and not _BESIDE_DATA.fullmatch(PurePosixPath(k).name)]
    if not keep:
        what = "is empty" if not everything else f"holds no readable file ({PurePosixPath(everything[0]).name}, ...)"
        raise InputError(f"{item}: the folder {what}; known extensions are {_extensions()}")
    return keep


def _walk(root: str) -> Iterator[str]:
    """Yield the files below a local folder, hidden folders left out.

    Raises:
        OSError: a folder cannot be read; to pass over it would lose documents without a word.
    """

    def refuse(error: OSError) -> None:
        raise error

    for folder, inner, names in os.walk(root, onerror=refuse, followlinks=True):
        inner[:] = [
            name for name in inner if not name.startswith((".", "_")) and not _leads_back(f"{folder}/{name}", folder)
        ]
        yield from (f"{folder}/{name}" for name in names)


def _leads_back(link: str, folder: str) -> bool:
    """Tell whether a link in a folder leads to the folder itself or to one around it."""
    target = os.path.realpath(link)
    return Path(link).is_symlink() and os.path.commonpath([target, os.path.realpath(folder)]) == target


def _run_folders(keys: list[str]) -> set[str]:
    """Return the folders that runs have written: what lies in them was read or made by harmonia, not given to it."""
    marks = ("run.json", "environment.json", "recipe.yaml")
    found = [{str(PurePosixPath(k).parent) for k in keys if PurePosixPath(k).name == mark} for mark in marks]
    return set.intersection(*found)


def _describe(filesystem: Any, key: str, base: str, source: str) -> InputFile:
    form, packing = format_of(key) or ("", "")
    path = _short(key) if _is_local(filesystem) else filesystem.unstrip_protocol(key)
    try:
        size, stamp = _size_and_stamp(filesystem, key)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    name = key[len(base) :].lstrip("/") if base else filesystem.unstrip_protocol(key)
    return InputFile(name, path, size, form, packing, source, stamp, filesystem, key)


def _size_and_stamp(filesystem: Any, key: str) -> tuple[int, str]:
    if _is_local(filesystem):
        status = Path(key).stat()
        return status.st_size, str(status.st_mtime_ns)
    filesystem.invalidate_cache()
    about = filesystem.info(key)
    for word in _STAMPS:
        if about.get(word) is not None:
            return int(about["size"]), str(about[word])
    digest = hashlib.blake2b(digest_size=16)
    with filesystem.open(key, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return int(about["size"]), digest.hexdigest()


def _source(inside: str) -> str:
    parts = _parts(inside)
    return parts[0] if len(parts) > 1 else stem(parts[-1])


def stem(name: str) -> str:
    """Return a file's name without extensions and shard number.

    >>> stem("web-00003-of-00010.parquet"), stem("reviews-2019.jsonl.gz")
    ('web', 'reviews-2019')
    """
    for _ in range(2):
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in FORMATS or suffix in _COMPRESSED:
            name = name[: -len(suffix)]
    return _SHARD.sub("", name)


def _parts(key: str) -> tuple[str, ...]:
    return PurePosixPath(key).parts


def _is_local(filesystem: Any) -> bool:
    return filesystem is not None and "file" in filesystem.protocol


def _short(key: str) -> str:
    try:
        return str(Path(key).relative_to(Path.cwd()))
    except ValueError:
        return key


def _extensions() -> str:
    return " ".join(FORMATS)


def only_paths(inputs: Any) -> Iterator[str | os.PathLike[str]] | None:
    """Return the paths when ``inputs`` is a path or a list of paths, else None."""
    if isinstance(inputs, str | os.PathLike):
        return iter([inputs])
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(i, str | os.PathLike) for i in inputs):
        return iter(inputs)
    return None
