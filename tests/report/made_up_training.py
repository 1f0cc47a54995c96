"""Made-up federated trainings: records as the stage writes them, and the folder of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core.compare import compare
from harmonia.core.files import write_json
from harmonia.data.partitions import describe, parse_partition
from harmonia.federate.advice import advice
from harmonia.federate.comparison import BETTER
from harmonia.federate.curve import curve
from harmonia.federate.needs import Sizes
from harmonia.federate.planner import Plan
from harmonia.federate.recipes import BOOK

CLASSES = ("ant", "bee", "cat", "dog")


def population(clients: int = 5, classes=CLASSES, partition: str = "pcdd:2", per_class: int = 40) -> dict[str, Any]:
    """Return what a partition of made-up labels is like."""
    labels = np.repeat(np.arange(len(classes)), per_class)
    rows = parse_partition(partition).split(labels, {}, clients, 0)
    return {**describe(rows, labels, len(classes)).record(), "test_sizes": [len(own) // 4 for own in rows]}


def messages(recipe: str, private: int = 0) -> list[dict[str, Any]]:
    return Plan.of(BOOK.get(recipe), Sizes(1000, private, len(CLASSES), 16)).table()


def history(rounds: int = 6, classes=CLASSES, clients: int = 5, *, period: int = 1, final: float = 0.8, every: int = 1):
    """Return a row per round; accuracy climbs to ``final``, and the last class is never learned."""
    found = []
    for number in range(1, rounds + 1):
        averaged = number % period == 0 or number == rounds
        judged = averaged and (number % every == 0 or number == rounds)
        accuracy = final * number / rounds
        each = [min(1.0, accuracy * len(classes) / (len(classes) - 1))] * (len(classes) - 1) + [0.0]
        found.append(
            {
                "round": number,
                "averaged": averaged,
                "clients": [c for c in range(clients) if (c + number) % 3],
                "lost": [0] if number == 2 else [],
                "loss": 1.0 / number,
                "drift": 0.5 / number,
                "bytes_down": 4000 * clients,
                "bytes_up": 4000 * clients,
                "client_seconds": 0.25 * clients,
                "accuracy": accuracy if judged else None,
                "balanced_accuracy": accuracy if judged else None,
                "test_loss": 1.0 if judged else None,
                "per_class": each if judged else None,
            }
        )
    return found


def training(clients: int = 5, classes=CLASSES, *, private: bool = False, personal: bool = True, **shape: Any) -> dict:
    """Return the summary of a run; ``shape`` goes to ``history``."""
    changes = {key: shape.pop(key) for key in ("recipe", "warnings", "data") if key in shape}
    rows = history(classes=classes, clients=clients, **shape)
    if private:
        rows = [{**row, **dict.fromkeys(("accuracy", "balanced_accuracy", "test_loss", "per_class"))} for row in rows]
    judged = [row for row in rows if row["accuracy"] is not None]
    own = [0.9 + 0.01 * (c % 5) for c in range(clients - 1)] + [None]
    return {
        "stage": "federate",
        "recipe": "scaffold",
        "axes": {"head": "local" if private else "linear", "drift": "scaffold", "training": "sgd"},
        "seed": 0,
        "data": "animals",
        "classes": list(classes),
        "population": population(clients, classes),
        "network": {"kind": "mlp", "hidden": [], "features": 16, "rectified": True},
        "parameters": {"shared": 1000, "private": 68 if private else 0},
        "messages": messages("scaffold", 68 if private else 0),
        "rounds": len(rows),
        "averages": sum(row["averaged"] for row in rows),
        "final": judged[-1] if judged else None,
        "last3": {key: float(np.mean([row[key] for row in judged[-3:]])) for key in ("accuracy", "balanced_accuracy")}
        if judged
        else None,
        "personal": {"clients": own, "mean": 0.915, "weighted": 0.92} if personal else None,
        "history": rows,
        "bytes": {way: sum(row[f"bytes_{way}"] for row in rows) for way in ("down", "up")},
        "client_seconds": sum(row["client_seconds"] for row in rows),
        "seconds": {"training": 12.5, "judging": 1.5},
        "peak_memory_bytes": 3 * 2**28,
        "warnings": [],
        "cite": ["@inproceedings{karimireddy2020scaffold}"],
        **changes,
    }


def make_training_run(folder: Path, summary: dict) -> Path:
    write_json(folder / "result" / "summary.json", summary)
    write_json(folder / "run.json", {"status": "finished", "request": {"stage": "federate"}})
    write_json(folder / "environment.json", {"python": "3.13"})
    (folder / "recipe.yaml").write_text("stage: federate\nname: scaffold\n", encoding="utf-8")
    return folder


def compared_trainings(finals: dict[str, float], seeds: int = 3, *, private=(), periods=None, **extra: Any) -> dict:
    """Return the record of a comparison; ``finals``: recipe -> last accuracy, ``periods``: rounds between averages."""
    periods = periods or {}
    rows = {
        (name, seed): history(period=periods.get(name, 1), final=final + 0.01 * seed * (1 + len(name) % 3))
        for name, final in finals.items()
        for seed in range(seeds)
    }
    for (name, _), each in rows.items():
        for row in each:
            row["client_seconds"] *= 1 + len(name) / 10
            if name in private:
                row["accuracy"] = None

    def measure(name: str, seed: int) -> dict[str, float]:
        last = rows[name, seed][-1]
        accuracy = math.nan if name in private else last["accuracy"]
        return {
            "accuracy/last": accuracy,
            "accuracy/last3": 0.9 * accuracy,
            "balanced_accuracy": accuracy,
            "class_spread": 0.1,
            "personal_accuracy/mean": 0.9,
            "personal_accuracy/weighted": 0.91,
            "drift": last["drift"],
            "averages": float(sum(row["averaged"] for row in rows[name, seed])),
            "megabytes": 0.1 * (3 + (seed == 1) * 1e-15),
            "client_seconds": sum(row["client_seconds"] for row in rows[name, seed]),
        }

    return {
        "stage": "federate",
        "judge": "accuracy of the model of the last round on the test examples of all",
        "better": BETTER,
        "network": {"kind": "mlp"},
        "classes": list(CLASSES),
        "population": population(),
        "curves": {name: [curve(rows[name, seed]) for seed in range(seeds)] for name in finals},
        "messages": {name: messages("scaffold" if i else "fedavg") for i, name in enumerate(finals)},
        "warnings": [],
        "cite": [],
        **compare(measure, list(finals), list(range(seeds))).record(),
        **extra,
    }


def clients_that_disagree(clients: int = 5, classes=CLASSES, **changes: Any) -> dict:
    """Return the record of a diagnosis of clients."""
    rows = np.random.default_rng(1).normal(size=(clients, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = (rows @ rows.T).round(4)
    off = cosine[~np.eye(clients, dtype=bool)]
    record = {
        "stage": "federate",
        "kind": "clients",
        "data": "animals",
        "classes": list(classes),
        "partition": "pcdd:2",
        "seed": 0,
        "population": population(clients, classes),
        "rounds_before": 5,
        "conflict": {
            "clients": list(range(clients)),
            "cosine": cosine.tolist(),
            "mean_cosine": float(off.mean()),
            "opposed_pairs": float((off < 0).mean()),
            "conflicting_share": 0.4,
            "magnitude_ratio": 1.8,
        },
        "drift": {"mean": 0.5, "model": 5.0},
        "accuracy": 0.5,
        "per_class": [0.5] * len(classes),
        "warnings": [],
    }
    record["advice"] = advice(record)
    return {**record, **changes}


def dealt(clients: int = 5, classes=CLASSES, **changes: Any) -> dict:
    """Return the record of a partition."""
    return {
        "stage": "federate",
        "kind": "partition",
        "data": "animals",
        "classes": list(classes),
        "partition": "pcdd:2",
        "means": "Every client has the same number of classes.",
        "seed": 0,
        "population": population(clients, classes),
        **changes,
    }
