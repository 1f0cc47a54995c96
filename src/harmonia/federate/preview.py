"""What can be told before anything is trained: who would get which examples, and what would be sent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError, require
from harmonia.data.labelled import Labelled
from harmonia.data.partitions import parse_partition
from harmonia.federate.engine import examples_of, network_for
from harmonia.federate.population import Population
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.recipes import BOOK

WHERE = ("down", "up", "kept", "server")
"""Sent to a client, sent by it, kept by it, kept by the server beside the model."""


def partition(
    data: str | Path | Labelled,
    partition: str = "dirichlet:0.5",
    *,
    clients: int | None = None,
    label: str | None = None,
    size: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return who gets which examples, as ``harmonia.federate`` deals them with the same seed.

    Args:
        data: labelled examples.
        partition: how examples are dealt.
        clients: how many there are; 10 when left out, or as many as a partition by column finds.
        label: column of the labels.
        size: the sides that images are brought to.
        seed: of the deal.

    Returns:
        The record: data, classes, partition and seed, and in ``population`` sizes, classes and skew of the clients.

    Raises:
        InputError: unusable data, or a partition that cannot be made.
    """
    if clients is not None and clients < 1:
        raise InputError(f"--clients {clients}: a number of at least 1 is needed")
    examples = examples_of(data, label, size)
    dealt = parse_partition(partition)
    population = Population.of(examples, dealt, clients, seed)
    return {
        "stage": "federate",
        "kind": "partition",
        "data": examples.name,
        "classes": list(examples.classes),
        "partition": partition,
        "means": type(dealt).meaning(),
        "seed": seed,
        "population": population.summary(),
    }


def plan(
    data: str | Path | Labelled,
    recipe: str | Path | FederateRecipe = "fedavg",
    *,
    clients: int = 10,
    active: float = 1.0,
    model: str | None = None,
    settings: Iterable[str] = (),
    label: str | None = None,
    size: int | None = None,
) -> dict[str, Any]:
    """Return what a recipe keeps and sends, without training.

    Args:
        data: labelled examples; their shape and classes decide the sizes.
        recipe: a name, a YAML file or a record.
        clients: how many there are.
        active: share of them that takes part in a round.
        model: the network.
        settings: changes to the recipe.
        label: column of the labels.
        size: the sides that images are brought to.

    Returns:
        The record: ``messages`` has a row per array, ``bytes`` what one client is sent, sends and keeps and what the
        server keeps beside the model, ``round`` what all active clients move in a round, ``notes`` what was resolved.

    Raises:
        InputError: unusable data or recipe, or two parts that do not go together; the message names both.
    """
    require("torch", "federate")
    from harmonia.federate.model import ClientModel
    from harmonia.federate.planner import Plan

    if clients < 1:
        raise InputError(f"--clients {clients}: a number of at least 1 is needed")
    if not 0 < active <= 1:
        raise InputError(f"--active {active}: a share above 0 and at most 1 is needed")
    record = BOOK.load(recipe).with_settings(settings)
    examples = examples_of(data, label, size)
    network = network_for(examples, model)
    backbone = network.build(tuple(examples.train.inputs.shape[1:]))
    made = Plan.of(record, ClientModel(backbone, record.head, len(examples.classes), network.features, 0).sizes)
    number = max(1, round(active * clients))
    rows: list[dict[str, Any]] = made.table()
    each = {where: sum(row["bytes"] for row in rows if row["where"] == where) for where in WHERE}
    return {
        "stage": "federate",
        "kind": "plan",
        "recipe": made.recipe.name,
        "axes": {axis: part.kind_name() for axis, part in made.recipe.choices().items()},
        "data": examples.name,
        "network": network.model_dump(mode="json"),
        "parameters": {"shared": made.sizes.shared, "private": made.sizes.private},
        "clients": clients,
        "active": number,
        "messages": rows,
        "bytes": each,
        "round": {way: number * each[way] for way in ("down", "up")},
        "backward": made.needs.backward,
        "notes": list(made.notes),
    }
