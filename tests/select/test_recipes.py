"""Every recipe of the book passes the common battery."""

from __future__ import annotations

import pytest

from harmonia.select.recipes import BOOK
from harmonia.testing import check_recipe
from tests.conftest import WORDS, records

TARGET = "\n".join([" ".join(WORDS["law"]), " ".join(reversed(WORDS["law"]))])


@pytest.mark.parametrize("name", BOOK.names())
def test_recipe_passes_the_battery(name):
    check_recipe(BOOK.get(name), records(40))
