import pytest

from harmonia.core.errors import InputError
from harmonia.merge.bridging import NoBridging, Projector


def test_widths():
    NoBridging().check([32, 32])
    Projector().check([32, 48])
    with pytest.raises(InputError, match="experts of widths 32, 48: take bridging=projector with routing="):
        NoBridging().check([32, 48])
    assert NoBridging().projectors(None, [], 0) == {}
