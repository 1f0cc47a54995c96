"""Small labelled data that the tests of stage ``federate`` train on."""

import numpy as np
import pytest

from harmonia.data.labelled import Examples, Labelled


def blobs(n=240, classes=4, size=6, seed=0):
    """Classes around corners, separable but for some noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = np.random.default_rng(1).normal(size=(classes, size)) * 3
    inputs = (centres[labels] + random.normal(size=(n, size))).astype(np.float32)
    return Examples(inputs, labels.astype(np.int64), {"site": np.array(["a", "b", "c"])[np.arange(n) % 3]})


@pytest.fixture(scope="session")
def labelled():
    return Labelled("blobs", "vector", ("north", "east", "south", "west"), blobs(), blobs(120, seed=7), "none", "made")
