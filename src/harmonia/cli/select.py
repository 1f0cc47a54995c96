"""``harmonia select``: pick the documents worth training on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from harmonia.cli.common import Documents, Engine, Work, recipe_name, shares
from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from rich.console import Group


def select(
    *pool: str,
    budget: str | None = None,
    recipe: str = "disf-unit",
    suggest_budget: Annotated[bool, Parameter(negative="")] = False,
    continue_: Annotated[Path | None, Parameter(name="--continue")] = None,
    floor: Annotated[list[str] | None, Parameter(negative="")] = None,
    ceiling: Annotated[list[str] | None, Parameter(negative="")] = None,
    ids_only: Annotated[bool, Parameter(negative="")] = False,
    keep_rejected: Annotated[bool, Parameter(negative="")] = False,
    dtype: str = "float32",
    documents: Documents | None = None,
    engine: Engine | None = None,
    work: Work | None = None,
) -> None:
    """Pick the documents worth training on.

    Writes RUN/result/picks.parquet (id, rank, score, one column per objective term, source, original columns).

    Parameters
    ----------
    pool
        Files, folders, globs or URLs of Parquet, JSONL (.gz, .zst), CSV or text; or a dataset of `harmonia data list`.
    budget
        How much to pick: 0.015, 1.5%, 1000 (documents), 50Mtok or 1.5%tok (tokens).
    recipe
        A recipe's name (`harmonia recipes select`) or a YAML file.
    suggest_budget
        Also say at which budget the marginal gain flattens; the budget is then 10% when none is given.
    continue_
        Add new files to the selection of an earlier RUN: its picks stay, POOL is the new files alone.
    floor
        SOURCE=SHARE: give a source at least this share of the budget; repeatable.
    ceiling
        SOURCE=SHARE: give a source at most this share of the budget; repeatable.
    ids_only
        Leave the original columns out of the picks.
    keep_rejected
        Also write rejected.parquet: what was left out, with the reason.
    dtype
        Compute in float32 (sums in float64) or float64.
    """
    documents, engine, work = documents or Documents(), engine or Engine(), work or Work()
    work.begin()
    from harmonia.cli.pool import inputs_of
    from harmonia.report.terminal import selection
    from harmonia.select.continuation import continue_selection
    from harmonia.select.engine import select as run

    if not pool:
        raise InputError("name the documents: harmonia select FOLDER --budget 1.5%")
    if budget is None and not suggest_budget:
        raise InputError(
            "--budget is missing: 0.015, 1.5%, 1000 (documents), 50Mtok or 1.5%tok (tokens); "
            "or let --suggest-budget propose one"
        )
    budget = "10%" if budget is None else budget
    if continue_ is not None:
        _check_inherited(
            {
                "--recipe": recipe != "disf-unit",
                "--set": work.set,
                "--seed": work.seed,
                "--dtype": dtype != "float32",
                "--ids-only": ids_only,
                "--keep-rejected": keep_rejected,
                "the choice of columns and of --on-bad": documents != Documents(),
            }
        )
        result = continue_selection(
            continue_,
            inputs_of(pool),
            budget=budget,
            floors=shares(floor, "--floor"),
            ceilings=shares(ceiling, "--ceiling"),
            out=work.folder("select-continued"),
            resume=work.resume,
            engine=engine.engine,
            workers=work.workers,
        )
    else:
        result = run(
            inputs_of(pool),
            recipe,
            budget=budget,
            seed=work.seed,
            out=work.folder(f"select-{recipe_name(recipe)}"),
            resume=work.resume,
            settings=work.set or (),
            floors=shares(floor, "--floor"),
            ceilings=shares(ceiling, "--ceiling"),
            dtype=dtype,
            ids_only=ids_only,
            keep_rejected=keep_rejected,
            engine=engine.engine,
            workers=work.workers,
            **documents.reading(),
        )
    summary = result.summary
    record = {
        "run": str(result.folder),
        "picks": str(result.folder / "result" / "picks.parquet"),
        "recipe": result.recipe.name,
        "documents": summary["documents"],
        "picked": summary["picked"],
        "sources": summary["sources"],
        "rejects": summary["rejects"],
        "seconds": summary["seconds"],
        "peak_memory_bytes": summary["peak_memory_bytes"],
    }
    if work.report:
        record["report"] = str(result.report())
    if suggest_budget:
        record["suggested_budget"] = summary["suggested_budget"]

    def shown() -> Group:
        from rich.console import Group

        lines = [f"{name}: {record[name]}" for name in ("picks", "report") if name in record]
        if summary["rejects"]:
            counts = ", ".join(f"{count:,} x {reason}" for reason, count in summary["rejects"].items())
            lines.append(f"rejected rows, see rejects.parquet: {counts}")
        if suggest_budget:
            amount = summary["suggested_budget"]
            lines.append(
                f"suggested budget: {amount} documents, where the marginal gain flattens"
                if amount
                else "no budget to suggest: the gains of these picks do not flatten"
            )
        return Group(selection(summary), *lines)

    work.say(record, shown)


def _check_inherited(given: dict[str, Any]) -> None:
    for option, value in given.items():
        if value:
            raise InputError(f"with --continue, {option} is taken from the earlier run; leave it out")
