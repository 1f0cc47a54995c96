"""A small language model and a small encoder in folders, and texts that they can read."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.compress import folders  # noqa: E402


@pytest.fixture(scope="session")
def causal(tmp_path_factory):
    return folders.causal(tmp_path_factory.mktemp("models") / "causal")


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    return folders.encoder(tmp_path_factory.mktemp("models") / "encoder")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    return folders.classifier(tmp_path_factory.mktemp("models") / "classifier")


@pytest.fixture(scope="session")
def texts():
    return folders.texts()
