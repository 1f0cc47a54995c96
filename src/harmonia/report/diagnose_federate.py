"""The page of a diagnosis of clients: how they disagree, and what that suggests, with the figures behind it."""

from __future__ import annotations

from typing import Any

from harmonia.report import partition
from harmonia.report.heat import cosines
from harmonia.report.numbers import cosine
from harmonia.report.page import render


def page(record: dict[str, Any]) -> str:
    """Return the page of a diagnosis.

    Args:
        record: what ``harmonia.federate.diagnosis.diagnose`` returns.
    """
    conflict = record["conflict"]
    names = [f"client {client}" for client in conflict["clients"]]
    return render(
        "diagnose_federate.html",
        "Diagnosis of clients",
        record=record,
        facts=partition.facts(record["population"]),
        findings=partition.findings(record["population"]),
        picture=partition.picture(record["population"], record["classes"]),
        conflict=conflict,
        mean_cosine=cosine(conflict["mean_cosine"]),
        cosines=cosines(names, conflict["cosine"]),
        moved=record["drift"]["mean"] / record["drift"]["model"] if record["drift"]["model"] else None,
    )
