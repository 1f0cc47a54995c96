"""The picture of a partition, clients by classes; and its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harmonia.report.heat import DEPTH, Cell, Heat, tint
from harmonia.report.numbers import brief, count, known, percent, value
from harmonia.report.page import render

SHOWN = 50
"""Most clients in a picture."""


def page(record: dict[str, Any]) -> str:
    """Return the page of a partition.

    Args:
        record: what ``harmonia.federate.partition`` returns.
    """
    return render(
        "partition.html",
        "Clients and their examples",
        record=record,
        facts=facts(record["population"]),
        findings=findings(record["population"]),
        picture=picture(record["population"], record["classes"]),
    )


def picture(population: Mapping[str, Any], classes: Sequence[str]) -> Heat:
    """Return examples per client and class; the tint of a class is its share of the client's examples.

    The first clients are shown where there are many: clients are numbered at random.
    """
    rows = []
    largest = max(population["sizes"])
    for client, held in enumerate(population["table"][:SHOWN]):
        size = population["sizes"][client]
        whole = Cell(count(size), f"client {client}: {count(size)} examples", "pool", tint(size, (0.0, largest)))
        each = [
            Cell(
                words=count(n) if n else "",
                tip=f"client {client}, {name}: {count(n)} of {count(size)} examples, {percent(n / size)}",
                # a class that a client hardly has is told from one that it lacks
                depth=max(4, round(DEPTH * n / size)) if n else 0,
            )
            for name, n in zip(classes, held, strict=True)
        ]
        rows.append((f"client {client}", [whole, *each]))
    return Heat(["examples", *classes], rows, corner="")


def facts(population: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a partition: clients, examples, the smallest and the largest client, skew."""
    sizes, clients = population["sizes"], len(population["sizes"])
    classes = len(population["table"][0])
    return {
        "clients": clients,
        "shown": min(clients, SHOWN),
        "examples": sum(sizes),
        "smallest": min(sizes),
        "largest": max(sizes),
        "classes": classes,
        "held": sum(population["classes_held"]) / clients,
        "missing": sum(population["classes_missing"]) / (clients * classes),
        "distance": population["mean_distance"],
        "effective": sum(population["effective_classes"]) / clients,
        "information": population["information"],
    }


def findings(population: Mapping[str, Any]) -> list[str]:
    """Return in words how clients differ."""
    of = facts(population)
    if of["clients"] == 1:
        return [f"One client has all {count(of['examples'])} examples."]
    smallest, largest = of["smallest"], of["largest"]
    told = f"{count(smallest)} to {count(largest)}" if smallest < largest else count(smallest)
    said = [f"{count(of['clients'])} clients have {told} examples each."]
    if of["missing"] > 0:
        said.append(
            f"A client has {brief(of['held'])} of the {of['classes']} classes on average and lacks "
            f"{percent(of['missing'])} of them."
        )
    else:
        said.append(f"Every client has examples of all {of['classes']} classes.")
    if known(of["distance"]):
        said.append(
            f"A client's shares of classes lie {value(of['distance'])} from those of all (total variation, mean over "
            "clients): 0 is alike, 1 has nothing in common."
        )
    return said
