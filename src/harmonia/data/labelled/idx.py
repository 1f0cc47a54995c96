"""The idx format of MNIST: a magic number, the sizes of the axes, then bytes (LeCun, Cortes & Burges 1998)."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import numpy as np

from harmonia.core.errors import InputError
from harmonia.data.labelled.examples import Examples

FOLDER = "HARMONIA_DATA"
"""Environment variable that names the folder of data sets."""

_BYTES = 8


def parse_idx(raw: bytes, where: str) -> np.ndarray:
    """Return the array of bytes in an idx file.

    Raises:
        InputError: it is not of the format, holds something else than bytes, or is cut short.
    """
    axes = raw[3] if len(raw) >= 4 else 0
    head = 4 + 4 * axes
    if raw[:2] != b"\0\0" or len(raw) < head or not axes:
        raise InputError(f"{where}: not an idx file; put the original there")
    if raw[2] != _BYTES:
        raise InputError(f"{where}: an idx file of type {raw[2]:#04x}, not of bytes; put the original there")
    shape = tuple(np.frombuffer(raw, ">i4", axes, 4).tolist())
    if min(shape) < 0 or len(raw) - head != np.prod(shape):
        raise InputError(f"{where}: {len(raw) - head} bytes where its head says {shape}; put the original there")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)


def read_idx(path: Path) -> np.ndarray:
    """Return the array of an idx file, plain or gzip.

    Raises:
        InputError: it cannot be read or is damaged.
    """
    try:
        raw = path.read_bytes()
        return parse_idx(gzip.decompress(raw) if path.suffix == ".gz" else raw, str(path))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); put the original there") from error


def find_idx(folder: Path) -> tuple[Examples, Examples] | None:
    """Return training and test examples of a folder with MNIST's four files, plain or gzip; None if one is missing."""
    files = []
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        paths = [folder / f"{name}-ubyte{suffix}" for suffix in ("", ".gz")]
        found = next((path for path in paths if path.is_file()), None)
        if found is None:
            return None
        files.append(found)
    arrays = [read_idx(file) for file in files]
    return examples(arrays[0], arrays[1], str(files[1])), examples(arrays[2], arrays[3], str(files[3]))


def examples(images: np.ndarray, labels: np.ndarray, where: str) -> Examples:
    """Return examples of (n, H, W) images and (n,) labels.

    Raises:
        InputError: their numbers differ.
    """
    if images.ndim != 3 or labels.shape != (len(images),):
        raise InputError(f"{where}: labels {labels.shape} for images {images.shape}; put the originals there")
    return Examples(images[:, None], labels.astype(np.int64))


def folders(name: str) -> list[Path]:
    """Return the folders of a data set below the one that the user names in ``HARMONIA_DATA``, and that folder."""
    given = os.environ.get(FOLDER)
    return [Path(given).expanduser() / name, Path(given).expanduser()] if given else []
