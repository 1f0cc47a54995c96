"""``harmonia compare compress``: several ways to make a model smaller, judged on text that none of them saw."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from harmonia.cli.common import Work, seeds_from, words
from harmonia.cli.compress import Removal

REPAIRS = "bias-wifv,none-wifv,ls-wifv,liar-wifv"
"""What is compared when nothing else is asked: repairs of the same cut, the bias alone first."""


def compress(
    model: str,
    *,
    recipes: str = REPAIRS,
    seeds: int = 3,
    baseline: str | None = None,
    keep_models: Annotated[bool, Parameter(negative="")] = False,
    removal: Annotated[Removal | None, Parameter(name="*")] = None,
    work: Annotated[Work | None, Parameter(name="*")] = None,
) -> None:
    """Make a model smaller with several recipes on the same text, and compare what is left of it.

    Prints mean, spread and the paired difference to the baseline with its 95 % interval. What layers read is seen once
    per seed, for all recipes and ratios:

        harmonia compare compress smollm2 --recipes none-wifv,bias-wifv,liar-wifv --ratios 0.2,0.4 --calibration books

    Parameters
    ----------
    model
        As of `harmonia compress`.
    recipes
        Comma-separated names or YAML files; the first is the baseline.
    seeds
        How many seeds; at least 2 for intervals. A seed draws the calibration sequences; what is judged by stays.
    baseline
        Recipe to compare with; the first of --recipes when left out.
    keep_models
        Leave the checkpoints of all runs on the disk.
    """
    work, removal = work or Work(), removal or Removal()
    work.begin()
    from harmonia.compress.comparison import compare
    from harmonia.report.pages import report as write
    from harmonia.report.terminal import comparison

    chosen = seeds_from(work.seed, seeds)
    folder = work.folder("compare-compress")
    record = compare(
        model,
        words(recipes),
        **removal.named(),
        settings=work.set or (),
        seeds=chosen,
        baseline=baseline,
        keep_models=keep_models,
        out=folder,
        resume=work.resume,
        workers=work.workers or 1,
    )
    if work.report:
        write(folder)
    work.say({"run": str(folder), **record}, lambda: comparison(record))
