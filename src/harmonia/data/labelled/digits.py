"""Handwritten digits of 8 x 8 pixels that come with scikit-learn: nothing to download."""

from __future__ import annotations

import numpy as np

from harmonia.core.seeds import stable_hash
from harmonia.data.labelled.examples import Examples, Labelled
from harmonia.data.labelled.held_out import held_out

_LEVELS = 16


def digits() -> Labelled:
    """Return 1,797 digits, a fifth of every class held out, always the same ones."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / _LEVELS)).astype(np.uint8)[:, None]
    labels = found.target.astype(np.int64)
    test = held_out(labels, stable_hash([image.tobytes() for image in images]), 0.2, 0)
    every = Examples(images, labels)
    return Labelled(
        "digits",
        "image",
        tuple("0123456789"),
        every.subset(np.flatnonzero(~test)),
        every.subset(np.flatnonzero(test)),
        "CC BY 4.0",
        "UCI Optical Recognition of Handwritten Digits (Alpaydin & Kaynak 1998), test part, from scikit-learn",
    )
