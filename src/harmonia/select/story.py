"""Why a document was taken or left: its rank and gain, its nearest pick, its quality.

For a document that was left, the gain is what it would add to the finished selection, beside what the last document
added to it. Both are measured over the whole selection, whatever batches it was found in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from harmonia.maths.rows import blocks
from harmonia.select.pool import Pool
from harmonia.select.reopen import Finished
from harmonia.select.solver import PerTerm, Threshold, TopN
from harmonia.select.solver.modular import own_terms
from harmonia.select.subset import rows_of


def tell(folder: str | Path, document: str) -> dict[str, Any]:
    """Return the story of one document of a finished selection.

    Args:
        folder: run folder.
        document: its id.

    Returns:
        id, source, picked, tokens, quality, nearest pick with cosine similarity, and rank, score and terms of a pick or
        the gain of a document left; ``because`` says it in words.

    Raises:
        InputError: no such document, or the folder is not that of a finished selection.
    """
    found = Finished(folder)
    pool, row = found.pool, int(found.rows_of([document])[0])
    story: dict[str, Any] = {
        "id": document,
        "source": pool.source_names[pool.sources[row]],
        "tokens": int(pool.tokens[row]),
        "quality": {name: float(values[row]) for name, values in pool.quality.items()},
        "picks": len(found.rows),
        "nearest_pick": _nearest(pool, found.rows, row),
    }
    place = np.flatnonzero(found.rows == row)
    story |= _of_a_pick(found, int(place[0])) if len(place) else _of_one_left(found, row)
    return story


def _of_a_pick(found: Finished, rank: int) -> dict[str, Any]:
    table = pq.read_table(found.run.result / "picks.parquet").slice(rank, 1)
    names = table.column_names
    record = table.to_pylist()[0]
    terms = {name: record[name] for name in names[names.index("score") + 1 : names.index("source")]}
    return {
        "picked": True,
        "rank": rank,
        "score": record["score"],
        "terms": terms,
        "because": f"taken as number {rank + 1} of {len(found.rows)}, with a score of {record['score']:.6g}",
    }


def _of_one_left(found: Finished, row: int) -> dict[str, Any]:
    function = found.recipe.objective.fit(found.pool, found.context())
    if function.forbidden()[row]:
        return {
            "picked": False,
            "gain": None,
            "because": f"left: the objective excludes it ({found.recipe.objective.kind_name()})",
        }
    scores = function.scores()
    if scores is not None and isinstance(found.recipe.solver, PerTerm):
        own = dict(zip(function.names, own_terms(function, np.array([row]))[0].tolist(), strict=True))
        said = ", ".join(f"{name} {score:.6g}" for name, score in own.items())
        return {"picked": False, "gain": None, "terms": own, "because": f"left: no term took it; its scores are {said}"}
    last = float(pq.read_table(found.run.result / "picks.parquet", columns=["score"]).column("score")[-1].as_py())
    if scores is not None:
        gain, solver = float(scores[row]), found.recipe.solver
        what = solver.kind_name()
        return {
            "picked": False,
            "gain": gain,
            "last_score": last,
            "because": f"left: its score of {gain:.6g} was not among the best {len(found.rows)} that {what} took "
            f"(the last one has {last:.6g})"
            if isinstance(solver, TopN | Threshold)
            else f"left: {what} took {len(found.rows)} others; its score is {gain:.6g}, the last one has {last:.6g}",
        }
    climb = function.climb(np.append(found.rows, row), len(found.rows))
    for place in range(len(found.rows)):
        if place == len(found.rows) - 1:
            last = float(climb.gains(np.array([place]))[0])
        climb.add(place)
    gain = float(climb.gains(np.array([len(found.rows)]))[0])
    return {
        "picked": False,
        "gain": gain,
        "last_score": last,
        "because": f"left: it would add {gain:.6g} to the whole selection, to which the last document added {last:.6g}",
    }


def _nearest(pool: Pool, picks: np.ndarray, row: int) -> dict[str, Any] | None:
    others = picks[picks != row]
    if pool.features is None or not len(others):
        return None
    mine = np.asarray(pool.features[np.array([row])], np.float64)[0]
    best, at = -np.inf, 0
    for rows, block in blocks(rows_of(pool.features, others), dtype=np.float64):
        norms = np.linalg.norm(block, axis=1) * np.linalg.norm(mine)
        cosines = np.divide(block @ mine, norms, out=np.zeros(len(block)), where=norms > 0)
        if cosines.max() > best:
            best, at = float(cosines.max()), rows.start + int(cosines.argmax())
    return {"id": pool.name_of(int(others[at])), "rank": int(np.flatnonzero(picks == others[at])[0]), "cosine": best}
