"""``harmonia compare federate``: several ways to train with the same clients, judged by the model of the last round."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from harmonia.cli.clients import Dealt, LocalTraining, Schedule
from harmonia.cli.common import Work, seeds_from, words

REMEDIES = "fedavg,fedprox,scaffold,fedmr,fedgela,fedlesam"
"""What is compared when nothing else is asked: plain averaging first."""


def federate(
    data: str,
    *,
    recipes: str = REMEDIES,
    seeds: int = 5,
    baseline: str | None = None,
    dealt: Annotated[Dealt | None, Parameter(name="*")] = None,
    schedule: Annotated[Schedule | None, Parameter(name="*")] = None,
    local: Annotated[LocalTraining | None, Parameter(name="*")] = None,
    personal: bool = True,
    work: Annotated[Work | None, Parameter(name="*")] = None,
) -> None:
    """Train with several recipes on the same clients, first weights and rounds, and compare what comes out.

    Prints mean, spread and the paired difference to the baseline with its 95 % interval, for the model of the last
    round, never the best one on the way; and what each recipe sends and computes. With --report, accuracy stands
    against rounds, bytes and client seconds:

        harmonia compare federate digits --partition pcdd:2 --recipes fedavg,fedprox,fedskip,fedgela --report

    Parameters
    ----------
    data
        Labelled examples, as of `harmonia federate`.
    recipes
        Comma-separated names or YAML files; the first is the baseline.
    seeds
        How many seeds; at least 2 for intervals. A seed deals the examples, draws the first weights and chooses the
        clients of every round, the same for every recipe.
    baseline
        Recipe to compare with; the first of --recipes when left out.
    personal
        Also judge every client's own model, trained once more from the final one.
    """
    work = work or Work()
    work.begin()
    from harmonia.federate.comparison import compare
    from harmonia.report.pages import report as write
    from harmonia.report.terminal import comparison

    chosen = seeds_from(work.seed, seeds)
    folder = work.folder("compare-federate")
    record = compare(
        data,
        words(recipes),
        **(dealt or Dealt()).named(),
        **vars(schedule or Schedule()),
        settings=(local or LocalTraining()).settings(work.set),
        seeds=chosen,
        baseline=baseline,
        personal=personal,
        out=folder,
        resume=work.resume,
        workers=work.workers,
    )
    if work.report:
        write(folder)
    work.say({"run": str(folder), **record}, lambda: comparison(record))
