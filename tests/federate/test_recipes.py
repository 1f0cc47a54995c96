"""Every named recipe passes the common battery."""

import pytest

from harmonia.federate.recipes import BOOK
from harmonia.testing import check_recipe


@pytest.mark.parametrize("name", BOOK.names())
def test_the_common_battery(name, labelled):
    check_recipe(BOOK.get(name), labelled, interruptions=3)
