"""``harmonia diagnose --clients``: how clients disagree, before rounds are spent.

Label skew is counted. Gradients are compared at a model that was trained briefly on everybody's examples in turn, since
at random weights they say little; drift is how far one local training takes a client from that model.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError, require
from harmonia.core.files import read_json, write_json
from harmonia.core.run import Run
from harmonia.data.labelled import Labelled
from harmonia.data.partitions import parse_partition
from harmonia.federate.advice import advice
from harmonia.federate.engine import examples_of, network_for
from harmonia.federate.population import Population
from harmonia.federate.recipes import BOOK

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.federate.rounds import Rounds

WARM = 5
"""Rounds of plain averaging before gradients are compared."""
SHOWN = 32
"""Clients of which gradients are compared; they are the first, as clients are numbered at random."""


def diagnose(
    data: str | Path | Sequence[str | Path] | Labelled,
    *,
    clients: int | None = None,
    partition: str = "dirichlet:0.5",
    model: str | None = None,
    label: str | None = None,
    size: int | None = None,
    settings: Iterable[str] = (),
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Measure how clients disagree.

    Args:
        data: labelled examples.
        clients: how many there are; 10 when left out, or as many as a partition by column finds.
        partition: how examples are dealt to them.
        model: the network that is trained briefly.
        label: column of the labels.
        size: the sides that images are brought to.
        settings: changes to ``fedavg``, by which it is trained.
        seed: fixes every random choice.
        out: run folder; a fresh temporary folder when left out.
        resume: go on with an interrupted run.

    Returns:
        The record: sizes, classes and skew of the clients, gradient conflict, drift, advice.

    Raises:
        InputError: unusable data, several data sets, or fewer than two clients.
    """
    require("torch", "federate")
    places: Sequence[Any] = data if isinstance(data, list | tuple) else [data]
    if len(places) != 1:
        raise InputError("name one set of labelled examples")
    if clients is not None and clients < 2:
        raise InputError(f"--clients {clients}: a diagnosis compares clients, at least two")
    record = BOOK.get("fedavg").with_settings(settings)
    examples = examples_of(places[0], label, size)
    network, dealt = network_for(examples, model), parse_partition(partition)
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-diagnose-"))
    request = {
        "data": examples.name,
        "fingerprint": examples.fingerprint(),
        "clients": clients,
        "partition": dealt.model_dump(mode="json"),
        "model": network.model_dump(mode="json"),
        "seed": seed,
        "diagnosis": True,
        "references": list(dict.fromkeys([*record.references(), *dealt.references, *network.references])),
    }
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            from harmonia.federate.rounds import Rounds

            population = Population.of(examples, dealt, clients, seed)
            work = Rounds(
                run,
                record,
                population,
                network,
                rounds=WARM,
                active=population.clients,
                every=WARM,
                personal=False,
                on_failure="abort",
                seed=seed,
                device="cpu",
            )
            work.lead("auto", None)
            write_json(run.result / "diagnosis.json", _measure(work, partition))
            run.finish()
    found: dict[str, Any] = read_json(folder / "result" / "diagnosis.json")
    return found


def _measure(work: Rounds, partition: str) -> dict[str, Any]:
    from harmonia.maths.conflict import summary

    model, last = work.coordinator.model, work.history[-1]
    shown = range(min(SHOWN, work.population.clients))
    record: dict[str, Any] = {
        "stage": "federate",
        "kind": "clients",
        "data": work.population.data.name,
        "classes": list(work.population.data.classes),
        "partition": partition,
        "seed": work.seed,
        "population": work.population.summary(),
        "rounds_before": WARM,
        "conflict": {"clients": list(shown), **summary(gradients(work, model, shown))},
        "drift": {"mean": last["drift"], "model": float(model.norm())},
        "accuracy": last["accuracy"],
        # a class may have no test example
        "per_class": [None if math.isnan(x) else x for x in last["per_class"]],
        "warnings": work.run.warnings,
    }
    record["advice"] = advice(record)
    return record


def gradients(work: Rounds, model: Tensor, clients: Sequence[int]) -> Tensor:
    """Return the gradient of each client's loss over all of its examples, at one model: (N, P)."""
    import torch

    from harmonia.federate.judge import BATCH

    held, found = work.clients, []
    whole = torch.cat([model, held.first[work.model.shared.stop :].to(model)])
    for client in clients:
        rows, total = held.rows[client], torch.zeros_like(whole)
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            leaf = whole.clone().requires_grad_(True)
            features = work.model.features(leaf[None], held.inputs[part][None])
            logits = work.model.logits(leaf[None], features, None, "global")[0]
            loss = torch.nn.functional.cross_entropy(logits, held.labels[part], reduction="sum")
            total += torch.autograd.grad(loss, leaf)[0] / len(rows)
        found.append(total[work.model.shared])
    return torch.stack(found)
