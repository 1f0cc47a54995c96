"""Fashion-MNIST: 70,000 grey images of 28 x 28, ten kinds of clothes (Xiao, Rasul & Vollgraf 2017)."""

from __future__ import annotations

from pathlib import Path

from harmonia.core.errors import InputError
from harmonia.data.labelled.examples import Labelled
from harmonia.data.labelled.idx import FOLDER, find_idx, folders

SYSTEM = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts it."""

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def fashion_mnist() -> Labelled:
    """Return Fashion-MNIST with its own test set (arXiv 1708.07747).

    Raises:
        InputError: it is not installed, or a file is damaged.
    """
    for folder in (*folders("fashion-mnist"), SYSTEM):
        if (found := find_idx(folder)) is not None:
            return Labelled("fashion-mnist", "image", CLASSES, *found, "MIT", str(folder))
    raise InputError(
        "fashion-mnist is not on this machine; install it with: apt-get install dataset-fashion-mnist "
        f"(or put its four idx files into a folder fashion-mnist and name the folder around it in {FOLDER})"
    )
