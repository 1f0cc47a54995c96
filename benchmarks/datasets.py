"""The real data of the benchmarks: Fashion-MNIST from its Debian package, and a folder of texts by domain."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where ``apt install dataset-fashion-mnist`` puts the images."""


def fashion_mnist(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 784) float32 in [0, 1] and labels (n,) of ``"train"`` or ``"t10k"``."""
    if not FASHION.exists():
        raise SystemExit("Fashion-MNIST is missing: apt install dataset-fashion-mnist")

    def read(name: str, header: int) -> np.ndarray:
        packed = (FASHION / f"{part}-{name}-ubyte.gz").read_bytes()
        return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header)

    return read("images-idx3", 16).reshape(-1, 784).astype(np.float32) / 255, read("labels-idx1", 8).astype(np.int64)


def texts_by_domain(longest: int) -> dict[str, list[str]]:
    """Return domain -> texts cut to ``longest`` characters, from ``$HARMONIA_DATA/text_domains/DOMAIN.jsonl.zst``.

    Each line is a JSON object with a field ``text``.
    """
    folder = Path(os.environ.get("HARMONIA_DATA", "")) / "text_domains"
    files = sorted(folder.glob("*.jsonl.zst"))
    if not files:
        raise SystemExit("set HARMONIA_DATA to a folder that holds text_domains/*.jsonl.zst")
    return {path.name.split(".")[0]: [row["text"][:longest] for row in _rows(path)] for path in files}


def texts_by_book() -> dict[str, list[str]]:
    """Return book -> its chapters, from ``$HARMONIA_DATA/text_domains/books_standardebooks.jsonl.zst``.

    Each line is a JSON object with the fields ``text`` and ``label``, the book.
    """
    found: dict[str, list[str]] = {}
    for row in _rows(_file("text_domains", "books_standardebooks.jsonl.zst")):
        found.setdefault(row["label"], []).append(row["text"])
    return found


def sentences(task: str) -> dict[str, list[dict[str, Any]]]:
    """Return split -> rows of one task, from ``$HARMONIA_DATA/lm_tasks/glue_like.jsonl.zst``.

    Each line is a JSON object with the fields ``task``, ``split``, ``text`` and ``label``.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(_file("lm_tasks", "glue_like.jsonl.zst")):
        if row["task"] == task:
            found.setdefault(row["split"], []).append({"text": row["text"], "label": row["label"]})
    return found


def _file(*names: str) -> Path:
    path = Path(os.environ.get("HARMONIA_DATA", ""), *names)
    if not path.is_file():
        raise SystemExit(f"set HARMONIA_DATA to a folder that holds {'/'.join(names)}")
    return path


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import zstandard

    with path.open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file), "utf-8")
        yield from map(json.loads, lines)
