"""What a run used, as BibTeX. A stage keeps its references in one ``references.bib``; parts name keys in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from harmonia.core.errors import HarmoniaError

_ENTRY = re.compile(r"^@\w+\{([^,\s]+),.*?^\}", re.MULTILINE | re.DOTALL)


@cache
def bibliography(path: Path) -> dict[str, str]:
    """Return key -> BibTeX entry of a file whose entries begin with ``@`` and end with ``}`` at a line's start."""
    return {match[1]: match[0] for match in _ENTRY.finditer(path.read_text(encoding="utf-8"))}


def entries(keys: Iterable[str], path: Path) -> list[str]:
    """Return the BibTeX entries of ``keys``, in their order, without repetition.

    Raises:
        HarmoniaError: a part names a key that the bibliography lacks.
    """
    known, wanted = bibliography(path), dict.fromkeys(keys)
    missing = [key for key in wanted if key not in known]
    if missing:
        raise HarmoniaError(f"{path.name} has no entry {', '.join(missing)}")
    return [known[key] for key in wanted]
