"""Citations come from the bibliography, once each, and a missing key is an error."""

from __future__ import annotations

import pytest

from harmonia.core.citation import cite
from harmonia.core.errors import HarmoniaError

BIB = """@article{one2020,
  title = {One},
}

@inproceedings{two2021,
  title = {Two, with {B}races},
}
"""


def test_cite(tmp_path):
    path = tmp_path / "r.bib"
    path.write_text(BIB)
    assert cite(["two2021", "one2020", "two2021"], path).startswith("@inproceedings{two2021,")
    assert cite(["two2021", "one2020", "two2021"], path).count("@") == 2
    with pytest.raises(HarmoniaError, match="no entry three2022"):
        cite(["three2022"], path)
