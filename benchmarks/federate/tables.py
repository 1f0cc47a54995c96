"""The papers' comparisons at laptop scale: label skew, missing classes with mixtures, partial participation.

Data: Fashion-MNIST, 12,000 training and 4,000 test images (HARMONIA_DATA or its Debian package), the LeNet-like network
of 20,522 weights, one local epoch of batches of 32, momentum 0.9. Accuracy of the last round and the mean of the last
three, never the best; five seeds, paired differences to FedAvg. Learning rates are chosen per recipe on a part of the
training images first (``--tune``), with one seed that is not used again.

    python -m benchmarks.federate.tables --table skew --run RUN --seeds 5
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Record, options
from harmonia.core.errors import RunError
from harmonia.core.seeds import generator
from harmonia.data.labelled import Labelled, open_labelled
from harmonia.federate.comparison import compare
from harmonia.federate.recipes import BOOK

TABLES: dict[str, dict[str, Any]] = {
    "skew": {
        "partition": "dirichlet:0.1",
        "clients": 10,
        "rounds": 30,
        "recipes": "fedavg,fedprox,scaffold,fednova,feddyn,moon,fedavgm,fedadam,fedsam,fedlesam,fedskip",
    },
    "p10c2": {
        "partition": "pcdd:2",
        "clients": 10,
        "rounds": 30,
        "recipes": "fedavg,fedprox,scaffold,moon,feddecorr,fedmr-intra,fedmr,fedetf,fedgela,fedlesam,fedskip,fedper,"
        "fedrep,fedbabu,gela-lesam,gela-mr,etf-mr-lesam-skip",
    },
    "p10c3": {
        "partition": "pcdd:3",
        "clients": 10,
        "rounds": 30,
        "recipes": "fedavg,feddecorr,fedmr-intra,fedmr,fedetf,fedgela",
    },
    "p50c2": {
        "partition": "pcdd:2",
        "clients": 50,
        "active": 0.2,
        "rounds": 60,
        "recipes": "fedavg,feddecorr,fedmr-intra,fedmr,fedetf,fedgela",
    },
    "partial": {
        "partition": "dirichlet:0.1",
        "clients": 20,
        "active": 0.25,
        "rounds": 40,
        "recipes": "fedavg,fedsam,fedlesam,scaffold,fedgamma,fedlesam-s,feddyn,fedlesam-d",
    },
}
RATES = (0.01, 0.03, 0.1)
"""Learning rates among which ``--tune`` chooses."""


def data(train: int = 12_000, test: int = 4_000) -> Labelled:
    """Return a part of Fashion-MNIST."""
    whole = open_labelled("fashion-mnist").in_order()
    random = generator(0, "part")
    rows = [np.sort(random.permutation(len(part))[:n]) for part, n in ((whole.train, train), (whole.test, test))]
    return whole.subset(*rows)


def tuned(names: list[str], sample: Labelled, given: dict[str, Any], folder: Path, workers: int) -> dict[str, float]:
    """Return the learning rate that does best on held-out training images, with a seed that no table uses."""
    random = generator(0, "validation")
    order = random.permutation(len(sample.train))
    held = np.sort(order[: len(order) // 6])
    rest = np.sort(order[len(order) // 6 :])
    exam = replace(sample, train=sample.train.subset(rest), test=sample.train.subset(held))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        scores = {
            name: {rate: pool.submit(score, name, rate, exam, given, folder / f"{name}-{rate}") for rate in RATES}
            for name in names
        }
        return {name: max(RATES, key=lambda rate: scores[name][rate].result()) for name in names}


def score(name: str, rate: float, exam: Labelled, given: dict[str, Any], folder: Path) -> float:
    """Return the accuracy of a recipe at a rate; -1 where it diverges.

    A recipe whose heads stay with the clients has no global model: it is chosen by the clients' own accuracy.
    """
    private = BOOK.get(name).head.private
    recipe = at_rate(name, rate)
    try:
        found = compare(exam, [recipe], seeds=[1000], personal=private, out=folder, resume=True, **given)
    except RunError as error:
        print(f"{name} at {rate}: {error}")
        return -1.0
    return float(found["recipes"][name]["personal_accuracy/mean" if private else "accuracy/last3"]["mean"])


def at_rate(name: str, rate: float) -> Any:
    """Return a recipe as the tables run it."""
    record = BOOK.get(name)
    if record.drift.kind_name() == "scaffold":  # its correction is read off plain steps
        return record.with_settings([f"training.learning_rate={rate}", "training.momentum=0"])
    return record.with_settings([f"training.learning_rate={rate}", "training.momentum=0.9"])


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--table", choices=TABLES, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder of the comparison; it resumes")
    parser.add_argument("--recipes")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tune", action="store_true", help="choose learning rates first")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    asked = dict(TABLES[given.table])
    names = (given.recipes or asked.pop("recipes")).split(",")
    asked.pop("recipes", None)
    if given.rounds:
        asked["rounds"] = given.rounds
    sample = data()
    rates = (
        tuned(names, sample, asked, given.run / "tuning", given.workers) if given.tune else dict.fromkeys(names, 0.03)
    )
    found = compare(
        sample,
        [at_rate(name, rates[name]) for name in names],
        seeds=range(given.seeds),
        out=given.run / "table",
        resume=True,
        workers=given.workers,
        **asked,
    )
    record = Record(f"federate_{given.table}", f"{given.table}: Fashion-MNIST, {asked}", {"seeds": found["seeds"]})
    for name in names:
        metrics = found["recipes"][name]

        def shown(metric: str, of: dict[str, Any] = metrics, name: str = name) -> str:
            held = of.get(metric)
            if held is None or held["mean"] is None:
                return "–"
            text = f"{held['mean']:.3f}"
            if held["std"] is not None:
                text += f" ± {held['std']:.3f}"
            if name != found["baseline"] and held["low"] is not None:
                text += f" ({held['difference']:+.3f} [{held['low']:+.3f}, {held['high']:+.3f}])"
            return text

        record.add(
            recipe=name,
            rate=rates[name],
            last=shown("accuracy/last"),
            last3=shown("accuracy/last3"),
            balanced=shown("balanced_accuracy"),
            spread=shown("class_spread"),
            personal=shown("personal_accuracy/mean"),
            sharpness=shown("sharpness"),
            averages=metrics["averages"]["mean"],
            megabytes=metrics["megabytes"]["mean"],
            client_seconds=metrics["client_seconds"]["mean"],
        )
    record.save(given.out)


if __name__ == "__main__":
    main()
