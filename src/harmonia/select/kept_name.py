"""The name under which a fitted part is kept with its run."""

from __future__ import annotations

import hashlib

from harmonia.core.part import Part


def kept_name(part: Part, what: str) -> str:
    """Return ``what`` with a digest of the part's settings: two terms of a weighted sum never share what they learned.

    >>> from harmonia.select.objective.constant import Constant
    >>> kept_name(Constant(), "scores")
    'constant-scores-e1e725d3'
    """
    digest = hashlib.blake2b(part.model_dump_json().encode(), digest_size=4).hexdigest()
    return f"{part.kind_name()}-{what}-{digest}"
