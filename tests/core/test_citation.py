"""Citations come from the bibliography, once each, and a missing key is an error."""

from __future__ import annotations

import pytest

from harmonia.core.citation import entries
from harmonia.core.errors import HarmoniaError

BIB = """@article{one2020,
  title = {One},
}

@inproceedings{two2021,
  title = {Two, with {B}races},
}
"""


def test_entries(tmp_path):
    path = tmp_path / "r.bib"
    path.write_text(BIB)
    second, first = entries(iter(["two2021", "one2020", "two2021"]), path)
    assert (first, second) == tuple(BIB.strip().split("\n\n"))
    with pytest.raises(HarmoniaError, match="no entry three2022"):
        entries(["one2020", "three2022"], path)
