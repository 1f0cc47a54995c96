"""Datasets and small weights by name, from pinned packages of the Python Package Index."""

from __future__ import annotations

from harmonia.data.catalogue.entries import ENTRIES, Entry, names, path_of

__all__ = ["ENTRIES", "Entry", "names", "path_of"]
