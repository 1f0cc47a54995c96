"""One door to labelled data: a name, or a path whose content tells the modality."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from harmonia.core.errors import InputError, suggest
from harmonia.data.catalogue import ENTRIES, path_of
from harmonia.data.labelled.digits import digits
from harmonia.data.labelled.examples import Labelled
from harmonia.data.labelled.fashion_mnist import fashion_mnist
from harmonia.data.labelled.images import EXTENSIONS, read_image_folder, read_image_table
from harmonia.data.labelled.mnist import mnist
from harmonia.data.labelled.table import Table
from harmonia.data.labelled.texts import read_texts
from harmonia.data.labelled.vectors import read_vectors

NAMED: dict[str, Callable[[], Labelled]] = {"digits": digits, "fashion-mnist": fashion_mnist, "mnist": mnist}
"""Data sets that come whole, with a test set of their own."""


def open_labelled(
    place: str | os.PathLike[str],
    *,
    label: str | None = None,
    test_share: float = 0.2,
    size: int | None = None,
    seed: int = 0,
) -> Labelled:
    """Open labelled data.

    Args:
        place: ``digits``, ``fashion-mnist``, ``mnist``, or a labelled text of the catalogue (``newsgroups``); a folder
            of images, ``class/name.png`` or ``domain/class/name.png``; an npz archive with x and y; or a file, folder,
            glob or URL of a table with images, texts or numbers and a label column.
        label: the label's column; None for one of the usual names.
        test_share: share held out, unless the data say what their test set is.
        size: the sides that images are brought to; None keeps theirs.
        seed: of what is held out.

    Raises:
        InputError: there is no such data, or they cannot be used; the message names the file, row and column.
        MissingExtraError: Pillow is needed and not installed.
        RunError: a package cannot be fetched.

    >>> data = open_labelled("digits")
    >>> data.kind, len(data.classes), len(data.train) + len(data.test)
    ('image', 10, 1797)
    """
    place = str(place)
    if size is not None and size < 1:
        raise InputError(f"size={size}: images have sides of 1 at least")
    if place in NAMED:
        if label is not None or size is not None:
            raise InputError(f"{place}: has its own labels and size; leave out {'--label' if label else '--size'}")
        return NAMED[place]()
    path = Path(place).expanduser()
    if place in ENTRIES and not path.exists():
        return _of_catalogue(place, label, test_share, seed)
    place = place if "://" in place else str(path)
    if path.is_dir() and _holds_images(path):
        if label is not None:
            raise InputError(f"{place}: the folder of an image is its label; leave out --label")
        return read_image_folder(path, size=size, test_share=test_share, seed=seed)
    if "/" not in place and not path.exists() and not path.suffix and "*" not in place:
        known = [*NAMED, *(name for name, entry in ENTRIES.items() if entry.make)]
        raise InputError(f"no data set and no file {place!r}{suggest(place, known)}")
    if path.suffix == ".npz":
        kind = "vector"
    else:
        table = Table(place, label)
        kind = "image" if table.image() else "text" if table.text() else "vector"
    if kind == "image":
        return read_image_table(place, label=label, size=size, test_share=test_share, seed=seed)
    if size is not None:
        raise InputError(f"{place}: holds no images; leave out --size")
    if kind == "text":
        return read_texts(place, label=label, test_share=test_share, seed=seed)
    return read_vectors(place, label=label, test_share=test_share, seed=seed)


def _of_catalogue(name: str, label: str | None, test_share: float, seed: int) -> Labelled:
    entry = ENTRIES[name]
    if entry.make is None:
        raise InputError(f"{name}: {entry.about}; these are weights, not labelled data")
    file = str(path_of(name))
    return read_texts(file, label=label, test_share=test_share, seed=seed, name=name, licence=entry.licence)


def _holds_images(folder: Path) -> bool:
    return any(file.suffix.lower() in EXTENSIONS for file in folder.rglob("*"))
