"""A whole sparsity curve by one run against a run per ratio: time, and the difference of the weights.

Sides run to their end as the command does: draw text, calibrate, score, repair, write, load, judge. The record says
where the time goes, and the ratios for what ends with the weights (calibration to repair) and for repair alone. The
model is in memory and its libraries are imported before either side begins.

    python -m benchmarks.compress.curve --out results
    python -m benchmarks.compress.curve --model smollm2 --calibration books --judged 4096 --out results
    python -m benchmarks.compress.curve --sequences 40 --judged 512 --repeats 1 --out results
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import Record, options, single_threaded
from harmonia.compress.dense import Dense
from harmonia.compress.engine import compress
from harmonia.compress.result import CompressResult
from harmonia.core.progress import set_quiet

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
PHASES = ("calibrate", "score", "allocate", "repair", "write", "judge")


def run(
    dense: Dense, ratios: tuple[float, ...], given: Any, out: Path
) -> tuple[float, dict[str, float], CompressResult]:
    """Return the seconds of a run, those of its phases, and the result."""
    start = time.perf_counter()
    result = compress(
        dense,
        given.recipe,
        ratio=list(ratios),
        calibration=given.calibration,
        judged=given.judged,
        timed=given.timed,
        settings=[] if given.sequences is None else [f"calibration.sequences={given.sequences}"],
        out=out,
    )
    taken = time.perf_counter() - start
    return taken, result.summary["seconds"], result


def apart(one: Any, other: Any) -> float:
    """Return the largest difference of two models' weights, tensor by tensor relative to the largest weight."""
    mine, its = dict(one.named_parameters()), dict(other.named_parameters())
    assert mine.keys() == its.keys()
    return max(float((its[name] - w).abs().max() / w.abs().max().clamp_min(1e-30)) for name, w in mine.items())


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--recipe", default="liar-wifv")
    parser.add_argument("--calibration", default="tales")
    parser.add_argument("--sequences", type=int, help="drawn to calibrate on; the recipe's default when left out")
    parser.add_argument("--judged", type=int, default=16_384, help="tokens to judge by")
    parser.add_argument("--timed", action="store_true", help="measure the latency of every model, too")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    single_threaded(given.threads)
    torch.set_num_threads(given.threads)
    set_quiet(True)
    dense = Dense.open(given.model)
    sides: dict[str, list[tuple[float, dict[str, float]]]] = {"one run": [], "six runs": []}
    difference = 0.0
    for repeat in range(given.repeats):
        with tempfile.TemporaryDirectory() as folder:
            if repeat == 0:  # what is imported at first use
                few = argparse.Namespace(**{**vars(given), "sequences": 16, "judged": 64})
                run(dense, (0.5,), few, Path(folder) / "warm")
            taken, phases, whole = run(dense, RATIOS, given, Path(folder) / "curve")
            sides["one run"].append((taken, phases))
            total: dict[str, float] = dict.fromkeys(PHASES, 0.0)
            seconds = 0.0
            for ratio in RATIOS:
                taken, phases, alone = run(dense, (ratio,), given, Path(folder) / f"{ratio:g}")
                seconds += taken
                total = {name: total[name] + phases.get(name, 0.0) for name in PHASES}
                difference = max(difference, apart(alone.model(), whole.model(ratio)))
            sides["six runs"].append((seconds, total))
    record = Record(
        f"compress_curve_{Path(given.model).name}",
        f"{given.model}, {given.recipe}, ratios {RATIOS}: seconds, medians over {given.repeats} turns",
        vars(given),
    )
    middle: dict[str, dict[str, float]] = {}
    for side, runs in sides.items():
        middle[side] = {"whole": statistics.median(taken for taken, _ in runs)} | {
            name: statistics.median(phases.get(name, 0.0) for _, phases in runs) for name in PHASES
        }
        record.add(side=side, **middle[side])
    one, six = middle["one run"], middle["six runs"]
    to_weights = ("calibrate", "score", "allocate", "repair")
    record.facts = {
        "times faster, end to end": six["whole"] / one["whole"],
        "times faster, without judging": (six["whole"] - six["judge"]) / (one["whole"] - one["judge"]),
        "times faster, calibration to weights": sum(six[name] for name in to_weights)
        / sum(one[name] for name in to_weights),
        "times faster, repair alone": six["repair"] / one["repair"],
        "largest relative difference of a weight": difference,
    }
    record.save(given.out)


if __name__ == "__main__":
    main()
