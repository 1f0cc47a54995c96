"""The page of a diagnosis of experts: where they pull apart, and what that suggests, with the figures behind it."""

from __future__ import annotations

from typing import Any

from harmonia.report.experts import facts, pictures
from harmonia.report.page import render


def page(record: dict[str, Any]) -> str:
    """Return the page of a diagnosis.

    Args:
        record: what ``harmonia.merge.diagnosis.diagnose`` returns.
    """
    return render(
        "diagnose_merge.html",
        "Diagnosis of experts",
        record=record,
        facts=facts(record["model"]),
        pictures=pictures(record),
    )
