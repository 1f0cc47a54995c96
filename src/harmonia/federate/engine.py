"""The engine of stage ``federate``: deal the examples, make the plan, lead the rounds, judge, write what came out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from harmonia.core.errors import InputError, require
from harmonia.core.measure import reset_peak_memory
from harmonia.core.part import parts_in, shorthand
from harmonia.core.recipe import Recipe, validate
from harmonia.core.run import Run
from harmonia.data.labelled import Labelled, open_labelled
from harmonia.data.partitions import parse_partition
from harmonia.federate.failure import POLICIES
from harmonia.federate.population import Population
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.recipes import BOOK
from harmonia.federate.result import FederateResult
from harmonia.models.classifiers import AnyArchitecture, Architecture

ENGINES = ("auto", "loop", "vmap", "processes", "flower")
DEFAULTS = {"image": "cnn", "text": "text-bag", "vector": "mlp"}
"""Kind of data -> the network that is trained when none is named."""
SMALL = 16
"""Sides of an image below which convolutions have nothing to reduce, and a perceptron is trained."""


def federate(
    data: str | Path | Labelled,
    recipe: str | Path | FederateRecipe = "fedavg",
    *,
    clients: int | None = None,
    partition: str = "dirichlet:0.5",
    rounds: int = 50,
    active: float = 1.0,
    model: str | None = None,
    settings: Iterable[str] = (),
    label: str | None = None,
    size: int | None = None,
    seed: int = 0,
    every: int = 1,
    personal: bool = True,
    engine: str = "auto",
    workers: int | None = None,
    timeout: float | None = None,
    on_failure: str = "abort",
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
) -> FederateResult:
    """Train one model with clients that keep their examples.

    Args:
        data: a name (``digits``, ``fashion-mnist``), a file or folder of labelled examples, or examples in memory.
        recipe: a name, a YAML file or a record.
        clients: how many there are; 10 when left out, or as many as a partition by column finds.
        partition: how examples are dealt to them, e.g. ``"pcdd:2"``, ``"dirichlet:0.1"``, ``"column:domain"``.
        rounds: R.
        active: share of the clients that take part in a round, at least one.
        model: the network, e.g. ``"cnn"`` or ``"mlp"``; by default what suits the data.
        settings: changes to the recipe, ``axis.field=value``.
        label: column of the labels, where the data have columns.
        size: the sides that images are brought to, where their sizes differ.
        seed: of the deal, the first weights, the choice of clients and their batches.
        every: judge the global model after each so many rounds, and after the last.
        personal: train every client once more from the final model and judge it on the client's own test examples.
        engine: where clients run: ``loop``, ``vmap``, ``processes``, ``flower``, or ``auto``.
        workers: processes, where the engine has several; None for one per core.
        timeout: seconds in which a round's answers must come, with engine ``processes`` or ``flower``; who is later
            did not answer.
        on_failure: what to do when a client does not answer or sends what cannot be used: ``abort`` the run, ``drop``
            the client for the round, or ``retry`` it once and then drop it.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``.
        out: run folder.
        resume: go on with an interrupted run.

    Raises:
        InputError: unusable data, recipe or settings; parts that do not go together.
    """
    require("torch", "federate")
    for option, value in (("clients", clients), ("rounds", rounds), ("every", every)):
        if value is not None and value < 1:
            raise InputError(f"--{option} {value}: a number of at least 1 is needed")
    for option, word, known in (("engine", engine, ENGINES), ("on-failure", on_failure, POLICIES)):
        if word not in known:
            raise InputError(f"--{option} {word}: one of {', '.join(known)} is needed")
    if timeout is not None and not timeout > 0:
        raise InputError(f"--timeout {timeout:g}: more than 0 seconds are needed")
    if not 0 < active <= 1:
        raise InputError(f"--active {active}: a share above 0 and at most 1 is needed")
    record = BOOK.load(recipe).with_settings(settings)
    examples = examples_of(data, label, size)
    network = network_for(examples, model)
    dealt = parse_partition(partition)
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-federate-"))
    request = {
        "data": examples.name,
        "fingerprint": examples.fingerprint(),
        "clients": clients,
        "partition": dealt.model_dump(mode="json"),
        "rounds": rounds,
        "active": active,
        "model": network.model_dump(mode="json"),
        "seed": seed,
        "every": every,
        "personal": personal,
        "references": list(dict.fromkeys([*record.references(), *dealt.references, *network.references])),
    }
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            from harmonia.federate.rounds import Rounds

            reset_peak_memory()
            population = Population.of(examples, dealt, clients, seed)
            work = Rounds(
                run,
                record,
                population,
                network,
                rounds=rounds,
                active=max(1, round(active * population.clients)),
                every=every,
                personal=personal,
                on_failure=on_failure,
                seed=seed,
                device=device,
            )
            work.lead(engine, workers, timeout)
            work.write()
            run.finish()
    return FederateResult(folder)


class _Asked(Recipe):
    """A network that is asked for by name, read as a recipe's axis is."""

    stage: ClassVar[str] = "federate"
    model: AnyArchitecture


def examples_of(data: str | Path | Labelled, label: str | None = None, size: int | None = None) -> Labelled:
    """Return labelled examples, opened where they are not in memory, in the order in which they are dealt.

    Raises:
        InputError: there are none, or they cannot be used.
    """
    return (data if isinstance(data, Labelled) else open_labelled(data, label=label, size=size)).in_order()


def network_for(data: Labelled, model: str | None) -> Architecture:
    """Return the network that was asked for, or the one that suits the data.

    Raises:
        InputError: there is no such network.
    """
    small = data.kind == "image" and min(data.train.inputs.shape[2:]) < SMALL
    return architecture(model or ("mlp" if small else DEFAULTS[data.kind]))


def architecture(text: str) -> Architecture:
    """Return the network that ``kind`` or ``kind:value`` names.

    Raises:
        InputError: there is none; the nearest is suggested.
    """
    return architecture_of(shorthand(text, parts_in(_Asked.model_fields["model"].annotation)), f"--model {text}")


def architecture_of(record: dict[str, Any], where: str = "network") -> Architecture:
    """Return a network from its record.

    Raises:
        InputError: it is not one; the message names ``where`` and the field.
    """
    found: Architecture = validate(_Asked, {"model": record}, where).model
    return found
