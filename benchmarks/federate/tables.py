"""The papers' comparisons at laptop scale: label skew, missing classes with mixtures, partial participation.

Data: Fashion-MNIST, 12,000 training and 4,000 test images (HARMONIA_DATA or its Debian package), the LeNet-like network
of 20,522 weights, one local epoch of batches of 32, momentum 0.9. Accuracy of the last round and the mean of the last
three, never the best; five seeds, paired differences to FedAvg. Learning rates, and then the number that a method is
known by, are chosen per recipe on a part of the training images first (``--tune``), with one seed that is not used
again.

    python -m benchmarks.federate.tables --table skew --run RUN --seeds 5
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import Record, options
from harmonia.core.compare import statistic
from harmonia.core.errors import RunError
from harmonia.core.files import read_json, write_json
from harmonia.core.seeds import generator
from harmonia.data.labelled import Labelled, open_labelled
from harmonia.federate.comparison import compare
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.recipes import BOOK

TABLES: dict[str, dict[str, Any]] = {
    "skew": {
        "partition": "dirichlet:0.1",
        "clients": 10,
        "rounds": 30,
        "recipes": "fedavg,fedprox,scaffold,feddyn,moon,fedavgm,fedsam,fedlesam,fedskip",
    },
    "mild": {
        "partition": "dirichlet:0.5",
        "clients": 10,
        "rounds": 30,
        "recipes": "fedavg,fedskip",
    },
    "p10c2": {
        "partition": "pcdd:2",
        "clients": 10,
        "rounds": 30,
        "recipes": "fedavg,fedprox,scaffold,moon,feddecorr,fedmr-intra,fedmr,fedetf,fedgela,fedlesam,fedskip,fedper,"
        "fedrep,fedbabu,gela-lesam,gela-mr,etf-mr-lesam-skip",
    },
    "p10c2-unrectified": {
        "partition": "pcdd:2",
        "clients": 10,
        "rounds": 30,
        "model": "cnn:64,rectified=false",  # features that can point anywhere, as fixed class vectors want
        "recipes": "fedavg,fedetf,fedgela,gela-mr",
    },
    "p10c3": {
        "partition": "pcdd:3",
        "clients": 10,
        "rounds": 30,
        "recipes": "fedavg,fedmr-intra,fedmr,fedetf,fedgela",
    },
    "p50c2": {
        "partition": "pcdd:2",
        "clients": 50,
        "active": 0.2,
        "rounds": 60,
        "recipes": "fedavg,fedmr-intra,fedmr,fedetf,fedgela",
    },
    "partial": {
        "partition": "dirichlet:0.1",
        "clients": 20,
        "active": 0.25,
        "rounds": 40,
        "recipes": "fedavg,fedsam,fedlesam,scaffold,fedgamma,fedlesam-s,feddyn,fedlesam-d",
    },
}
RATES = (0.01, 0.02)
"""Learning rates among which ``--tune`` chooses; above, with momentum 0.9, some seeds of FedAvg diverge."""
NUMBERS: dict[str, tuple[str, tuple[float, ...]]] = {
    "fedgela": ("head.scale", (4, 30)),
    "fedetf": ("head.scale", (4, 30)),
    "gela-lesam": ("head.scale", (4, 30)),
    "gela-mr": ("head.scale", (4, 30)),
    "etf-mr-lesam-skip": ("head.scale", (4, 30)),
    "fedmr-intra": ("loss.mu", (0.001, 0.05)),
    "fedmr": ("loss.mu_inter", (0.001, 0.01)),
    "fedlesam": ("perturb.rho", (0.01, 0.05)),
    "fedsam": ("perturb.rho", (0.01, 0.1)),
    "fedskip": ("schedule.period", (2,)),
}
"""Per recipe the number that ``--tune`` chooses at the best rate, and what it tries beside the default."""


def data(train: int = 12_000, test: int = 4_000) -> Labelled:
    """Return a part of Fashion-MNIST."""
    whole = open_labelled("fashion-mnist").in_order()
    random = generator(0, "part")
    rows = [np.sort(random.permutation(len(part))[:n]) for part, n in ((whole.train, train), (whole.test, test))]
    return whole.subset(*rows)


Settings = tuple[str, ...]


def tuned(names: list[str], sample: Labelled, given: dict[str, Any], folder: Path, workers: int) -> dict[str, Settings]:
    """Return the settings that do best on held-out training images, with a seed that no table uses."""
    random = generator(0, "validation")
    order = random.permutation(len(sample.train))
    held = np.sort(order[: len(order) // 6])
    rest = np.sort(order[len(order) // 6 :])
    exam = replace(sample, train=sample.train.subset(rest), test=sample.train.subset(held))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:

        def best(candidates: dict[str, list[Settings]]) -> dict[str, Settings]:
            scores = {
                name: [pool.submit(score, name, settings, exam, given, folder) for settings in tried]
                for name, tried in candidates.items()
            }
            found = {}
            for name, tried in candidates.items():
                reached = [future.result() for future in scores[name]]
                found[name] = tried[reached.index(max(reached))]
                print(name, dict(zip(tried, reached, strict=True)), flush=True)
            return found

        rated = best({name: [(f"training.learning_rate={rate}",) for rate in RATES] for name in names})
        candidates: dict[str, list[Settings]] = {}
        for name in names:
            number, tried = NUMBERS.get(name, ("", ()))
            candidates[name] = [rated[name], *((*rated[name], f"{number}={x}") for x in tried)]
        return best(candidates)


def score(name: str, settings: Settings, exam: Labelled, given: dict[str, Any], folder: Path) -> float:
    """Return the accuracy of a recipe with these settings; -1 where it diverges.

    A recipe whose heads stay with the clients has no global model: it is chosen by the clients' own accuracy.
    """
    torch.set_num_threads(1)
    recipe = as_run(name, settings)
    private = recipe.head.private
    place = folder / "-".join((name, *settings))
    try:
        found = compare(exam, [recipe], seeds=[1000], personal=private, out=place, resume=True, **given)
    except RunError:
        return -1.0
    return float(found["recipes"][name]["personal_accuracy/mean" if private else "accuracy/last3"]["mean"])


def as_run(name: str, settings: Settings) -> FederateRecipe:
    """Return a recipe as the tables run it."""
    record = BOOK.get(name)
    plain = record.drift.kind_name() == "scaffold"  # its correction is read off plain steps
    return record.with_settings([f"training.momentum={0 if plain else 0.9}", *settings])


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--table", choices=TABLES, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder of the comparison; it resumes")
    parser.add_argument("--recipes")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tune", action="store_true", help="choose learning rates first")
    parser.add_argument("--chosen", type=Path, help="chosen.json of another table's run: its settings, not tuned again")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    asked = dict(TABLES[given.table])
    names = (given.recipes or asked.pop("recipes")).split(",")
    asked.pop("recipes", None)
    if given.rounds:
        asked["rounds"] = given.rounds
    sample = data()
    settings: dict[str, Settings] = {name: ("training.learning_rate=0.02",) for name in names}  # noqa: C420
    if given.chosen:
        settings = {name: tuple(read_json(given.chosen)[name]) for name in names}
    elif given.tune:
        settings = tuned(names, sample, asked, given.run / "tuning", given.workers)
        write_json(given.run / "chosen.json", settings)
    found = compare(
        sample,
        [as_run(name, settings[name]) for name in names],
        seeds=range(given.seeds),
        out=given.run / "table",
        resume=True,
        workers=given.workers,
        **asked,
    )
    few = int(min(found["recipes"][name]["averages"]["mean"] or np.inf for name in names))
    baseline = after(found["curves"][found["baseline"]], few)
    record = Record(f"federate_{given.table}", f"{given.table}: Fashion-MNIST, {asked}", {"seeds": found["seeds"]})
    for name in names:
        metrics = found["recipes"][name]

        def shown(metric: str, of: dict[str, Any] = metrics, name: str = name) -> str:
            return written(of.get(metric), differs=name != found["baseline"])

        reached = after(found["curves"][name], few)
        comparable = len(reached) == len(baseline) == given.seeds
        record.add(
            recipe=name,
            settings=", ".join(setting.split(".", 1)[1] for setting in settings[name]),
            last=shown("accuracy/last"),
            last3=shown("accuracy/last3"),
            balanced=shown("balanced_accuracy"),
            spread=shown("class_spread"),
            personal=shown("personal_accuracy/mean"),
            sharpness=shown("sharpness"),
            **{
                f"last after {few} averages": written(
                    asdict(statistic(reached, baseline)) if comparable else None, differs=name != found["baseline"]
                )
            },
            averages=metrics["averages"]["mean"],
            megabytes=metrics["megabytes"]["mean"],
            client_seconds=metrics["client_seconds"]["mean"],
        )
    record.save(given.out)


def after(curves: list[list[dict[str, Any]]], averages: int) -> list[float]:
    """Return each seed's accuracy right after so many averages."""
    return [next(point["accuracy"] for point in curve if point["averages"] == averages) for curve in curves]


def written(held: dict[str, Any] | None, *, differs: bool) -> str:
    """Return a statistic in words; its difference to the baseline with its interval."""
    if held is None or held["mean"] is None:
        return "–"
    text = f"{held['mean']:.3f}"
    if held["std"] is not None:
        text += f" ± {held['std']:.3f}"
    if differs and held["low"] is not None:
        text += f" ({held['difference']:+.3f} [{held['low']:+.3f}, {held['high']:+.3f}])"
    return text


if __name__ == "__main__":
    main()
