"""One reader per file format; each yields chunks of rows with their places in the file."""

from __future__ import annotations

from harmonia.data.formats.base import Chunk, Reader

__all__ = ["Chunk", "Reader"]
