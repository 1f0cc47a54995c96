"""Write the tables of the documentation that the code itself can tell: recipes, parts, and what fits what.

    python scripts/doc_tables.py

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; the rest of a page is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harmonia.core.errors import InputError
from harmonia.data.catalogue import ENTRIES
from harmonia.select.context import Context
from harmonia.select.judge import JudgeChoice
from harmonia.select.objective import Decorrelation, Quality, Weighted
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.recipe import SelectRecipe
from harmonia.stages import recipes

DOCS = Path(__file__).parents[1] / "docs"

METHOD_PAGES = {
    "disf": ("disf", "disf-unit"),
    "datamask": ("datamask", "frank-wolfe"),
    "ntk-selector": ("ntk-selector", "ntk-selector-probe", "loss-alignment", "embedding-alignment"),
    "dsir": ("dsir",),
    "semdedup-d4": ("semdedup", "d4"),
    "quality": ("quality", "qurating", "classifier", "heuristic-cls", "perplexity"),
    "coverage": ("facility-location", "graph-cut", "k-center", "prototypes", "k-means"),
    "volume": ("log-det", "leverage"),
    "doremi": ("doremi",),
    "baselines": ("random", "full", "stratified"),
}
"""Page in docs/methods -> the recipes that it describes."""

_TEXT = "the court shall hear the parties and the clerk shall write the record of the case"
_EXAMPLES = {
    "classifier": {"positive_texts": (_TEXT,)},
    "heuristic-cls": {"positive_texts": (_TEXT,), "alpha": 0.05},
    "dsir": {"target_texts": (_TEXT,), "min_words": 0},
    "mean-alignment": {"target_texts": (_TEXT,)},
    "knn-vote": {"target_texts": (_TEXT,), "neighbours": 3},
}


def recipe_table() -> str:
    """Return every recipe with its parts, its meaning and its page."""
    page_of = {name: page for page, names in METHOD_PAGES.items() for name in names}
    return _table(
        ("recipe", "features", "objective", "solver", "what it does"),
        (
            (
                ", ".join(
                    [f"[`{row['name']}`](methods/{page_of[row['name']]}.md)", *(f"`{a}`" for a in row["aliases"])]
                ),
                *(f"`{kind}`" for kind in row["axes"].values()),
                _plain(row["meaning"]),
            )
            for row in recipes("select")
        ),
    )


def part_table(axis: str) -> str:
    """Return the parts of one axis with their fields and meanings."""
    record = JudgeChoice if axis == "judge" else SelectRecipe
    return _table(
        ("kind", "what it does", "fields"),
        (
            (
                f"`{part.kind_name()}`",
                _plain(part.meaning()),
                ", ".join(f"`{name}`" for name in part.model_fields if name != "kind"),
            )
            for part in record.axes()[axis]
        ),
    )


def compatibility_table() -> str:
    """Return which solvers take which objective, found by asking each objective on a small pool."""
    rows = []
    for objective in _objectives():
        name = f"`{objective.kind_name()}`"
        if isinstance(objective, Decorrelation):
            name += f" {objective.normalise}"
        if isinstance(objective, Weighted):
            rows.append((name, "if all its terms are", "yes", "if all its terms are"))
            continue
        modular, relaxed = capabilities(objective)
        rows.append((name, "yes" if modular else "", "yes", "yes" if relaxed else ""))
    return _table(("objective", "scores single documents", "climbs", "relaxes"), rows)


def capabilities(objective: Objective) -> tuple[bool, bool]:
    """Return whether an objective scores single documents, and whether it has a concave relaxation."""
    function = objective.fit(_pool(), Context(warn=lambda message: None))
    try:
        function.relax(4)
    except InputError:
        return function.scores() is not None, False
    return function.scores() is not None, True


def _objectives() -> Iterable[Objective]:
    for part in SelectRecipe.axes()["objective"]:
        if part is Decorrelation:
            yield from (Decorrelation(normalise=n) for n in ("pool_unit", "per_set", "covariance", "participation"))
        elif part is Weighted:
            yield Weighted(terms=({"weight": 1.0, "objective": Quality()},))
        else:
            yield part(**_EXAMPLES.get(part.kind_name(), {}))  # type: ignore[misc]


def _pool() -> Pool:
    rng = np.random.default_rng(0)
    texts = [f"{_TEXT} {i} {rng.integers(100)}" for i in range(16)]
    pool = Pool.from_arrays(rng.normal(size=(16, 4)).astype(np.float32), quality=rng.random(16), texts=texts)
    return replace(pool, encoder=lambda: lambda given: np.ones((len(given), 4), np.float32))


def catalogue_table() -> str:
    """Return the datasets and weights of the catalogue."""
    return _table(
        ("name", "what it is", "documents", "download", "licence", "from"),
        (
            (
                f"`{entry.name}`",
                entry.about,
                f"{entry.documents:,}" if entry.documents else "weights",
                f"{entry.size / 1e6:.0f} MB",
                entry.licence,
                entry.origin,
            )
            for entry in ENTRIES.values()
        ),
    )


TABLES: dict[str, Callable[[], str]] = {
    "recipes": recipe_table,
    "compatibility": compatibility_table,
    "catalogue": catalogue_table,
    **{axis: lambda axis=axis: part_table(axis) for axis in ("features", "objective", "solver", "judge")},
}


def filled(page: str) -> str:
    """Return a page with its tables written anew."""
    return re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells)


def _plain(meaning: str) -> str:
    return meaning.replace("``", "`")


def main() -> None:
    """Rewrite every page that holds a table."""
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (new := filled(page)) != page:
            path.write_text(new, encoding="utf-8")
            print(path.relative_to(DOCS))


if __name__ == "__main__":
    main()
