"""Every named recipe passes the common battery."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from harmonia.compress.dense import Dense
from harmonia.compress.recipes import BOOK
from harmonia.compress.stage import ModelAndTexts
from harmonia.testing import check_recipe


@pytest.fixture(scope="module")
def data(causal, texts):
    return ModelAndTexts(Dense.open(causal), texts)


@pytest.mark.parametrize("name", BOOK.names())
def test_the_common_battery(name, data):
    check_recipe(BOOK.get(name), data, interruptions=3)
