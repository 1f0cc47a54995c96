"""Small models for tests of the stage."""

from __future__ import annotations

import pytest
from safetensors.torch import save_file
from tests.data.checkpoints.saved import drawn, moved, saved
from tests.merge.small import SHAPES, language_models


@pytest.fixture
def models(tmp_path):
    """Folders of a base and of two experts, with what fisher and regmean read."""
    base = drawn(0, SHAPES)
    folders = [saved(tmp_path / "base", base)]
    for place, name in enumerate(("law", "code")):
        folder = saved(tmp_path / name, moved(base, place + 1))
        fisher = {n: t.square() for n, t in drawn(place + 5, SHAPES).items()}
        save_file(fisher, folder / "fisher.safetensors")
        inputs = drawn(place + 9, {n: (30, 8) for n in SHAPES if "up_proj" in n})
        save_file({n: x.T @ x / 30 for n, x in inputs.items()}, folder / "gram.safetensors")
        folders.append(folder)
    return folders


@pytest.fixture(scope="session")
def llamas(tmp_path_factory):
    """A tiny language model, two fine-tunes of it, and text of two domains."""
    return language_models(tmp_path_factory.mktemp("llamas"))
