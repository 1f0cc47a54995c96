"""A language model that loses neurons: held-out perplexity by recipe, and how much of the loss a repair gives back.

The text is a shelf of books: some are calibrated on, others are judged by, and no book is on both sides. A seed draws
the calibration sequences; every recipe of a seed sees the same from one calibration. With the excess of a model,
log(perplexity) - log(perplexity of the dense model), a recipe recovers 1 - excess / excess of ``none-wifv``.

    python -m benchmarks.compress.perplexity --out results
    python -m benchmarks.compress.perplexity --baselines --out results
    python -m benchmarks.compress.perplexity --seeds 1 --sequences 16 --judged 1024 --ratios 0.2 --out results
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.datasets import texts_by_book
from benchmarks.record import Record, options, single_threaded
from harmonia.compress.dense import Dense
from harmonia.compress.engine import compress
from harmonia.core.progress import set_quiet

RECIPES = ("none-wifv", "bias-wifv", "ls-wifv", "liar-wifv")
BASELINES = ("flap", "wanda-sp", "magnitude", "llm-pruner", "none-random")
EVERY = 4
"""One book of so many is judged by."""


def shelf() -> tuple[list[str], list[str]]:
    """Return chapters to calibrate on and chapters to judge by, of different books."""
    own, judged = [], []
    for number, (_, chapters) in enumerate(sorted(texts_by_book().items())):
        (judged if number % EVERY == 0 else own).extend(chapters)
    return own, judged


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--ratios", default="0.2,0.4")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sequences", type=int, help="drawn to calibrate on; the recipe's default when left out")
    parser.add_argument("--length", type=int, default=512, help="most tokens of a sequence")
    parser.add_argument("--judged", type=int, default=16_384, help="tokens to judge by")
    parser.add_argument("--baselines", action="store_true", help="other papers' recipes too")
    parser.add_argument("--recipes", help="these instead, comma-separated, to stand beside an earlier run")
    parser.add_argument("--settings", nargs="*", default=[], help="changes to all recipes")
    given = parser.parse_args()
    single_threaded(given.threads)
    torch.set_num_threads(given.threads)
    set_quiet(True)
    ratios = [float(ratio) for ratio in given.ratios.split(",")]
    recipes = RECIPES + (BASELINES if given.baselines else ())
    if given.recipes:
        recipes = tuple(given.recipes.split(","))
    own, judged = shelf()
    dense = Dense.open(given.model)
    drawn = [] if given.sequences is None else [f"calibration.sequences={given.sequences}"]
    found: dict[tuple[str, float], list[float]] = {(recipe, ratio): [] for recipe in recipes for ratio in ratios}
    whole, seconds, tokens = math.nan, dict.fromkeys(recipes, 0.0), 0
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as folder:
            for recipe in recipes:
                start = time.perf_counter()
                # the first and last layers of LLM-Pruner are spared, as in its paper
                spared = ["structure.spare_first=4", "structure.spare_last=2"] if recipe == "llm-pruner" else []
                result = compress(
                    dense,
                    recipe,
                    ratio=ratios,
                    calibration=own,
                    held_out=judged,
                    judged=given.judged,
                    settings=[
                        "structure=neurons",
                        *spared,
                        f"calibration.length={given.length}",
                        *drawn,
                        *given.settings,
                    ],
                    timed=False,
                    seed=seed,
                    statistics=Path(folder) / "statistics",
                    out=Path(folder) / recipe,
                )
                seconds[recipe] += time.perf_counter() - start
                whole = result.summary["dense"]["score"]
                tokens = (result.summary["calibration"] or {}).get("tokens", tokens)
                for point in result.summary["points"]:
                    found[recipe, point["ratio"]].append(point["score"])
                print(f"seed {seed} {recipe}: {[round(found[recipe, ratio][-1], 2) for ratio in ratios]}", flush=True)
    record = Record(
        f"compress_perplexity_{Path(given.model).name}",
        f"{given.model}, neurons removed, {tokens} calibration tokens: held-out perplexity, dense {whole:.2f}",
        vars(given),
    )
    for ratio in ratios:
        excess = {recipe: np.log(found[recipe, ratio]) - math.log(whole) for recipe in recipes}
        for recipe in recipes:
            values = found[recipe, ratio]
            record.add(
                ratio=ratio,
                recipe=recipe,
                perplexity=float(np.exp(np.mean(np.log(values)))),
                seeds=[round(value, 2) for value in values],
                excess=float(np.mean(excess[recipe])),
                **(
                    {"recovered": float(np.mean(1 - excess[recipe] / excess["none-wifv"]))}
                    if "none-wifv" in excess
                    else {}
                ),
                minutes=seconds[recipe] / 60 / given.seeds,
            )
        if not set(RECIPES) <= set(recipes):
            continue
        none, bias, liar = (np.array(found[recipe, ratio]) for recipe in ("none-wifv", "bias-wifv", "liar-wifv"))
        record.facts[f"liar < bias < none at {ratio:g}, seeds"] = int(((liar < bias) & (bias < none)).sum())
        record.facts[f"least recovered by liar at {ratio:g}"] = float(
            (1 - excess["liar-wifv"] / excess["none-wifv"]).min()
        )
    record.save(given.out)


if __name__ == "__main__":
    main()
