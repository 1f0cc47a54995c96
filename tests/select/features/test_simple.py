"""Features that cannot encode say so."""

import pytest

from harmonia.core.errors import InputError
from harmonia.select.features.given import Given
from harmonia.select.features.none import NoFeatures


def test_given_cannot_encode():
    with pytest.raises(InputError, match=r"read from a column and cannot encode a text; .*features=hashing"):
        Given().encoder([])


def test_none_makes_no_vectors():
    with pytest.raises(InputError, match=r"features 'none' make no vectors; .*features=hashing"):
        NoFeatures().encoder([])
