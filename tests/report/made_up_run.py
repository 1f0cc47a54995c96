"""A made-up selection run with realistic values, and its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from harmonia.core.files import write_json
from harmonia.select.context import Context
from harmonia.select.pool import Pool
from harmonia.select.solver.base import Picks
from harmonia.select.summary import summarise


def make_pool(
    sources: list[str],
    per_source: int = 60,
    dimension: int = 12,
    quality: bool = True,
    text: str = "words of",
    seed: int = 0,
    ids: list[str] | None = None,
) -> tuple[Pool, list[str]]:
    rng = np.random.default_rng(seed)
    n = len(sources) * per_source
    names = [s for s in sources for _ in range(per_source)]
    centres = np.repeat(rng.normal(size=(len(sources), dimension)), per_source, axis=0)
    features = (centres + 0.7 * rng.normal(size=(n, dimension))).astype(np.float32)
    texts = [f"{text} {name} number {i} " + "lorem " * int(rng.lognormal(3, 1)) for i, name in enumerate(names)]
    return Pool.from_arrays(
        features,
        quality={"score": rng.normal(size=n)} if quality else None,
        sources=names,
        texts=texts,
        ids=ids or [f"shard-{i // 50:04d}/{i % 50:05d}" for i in range(n)],
    ), texts


def picks_of(rows: np.ndarray) -> Picks:
    k = len(rows)
    return Picks(
        np.asarray(rows, np.int64),
        np.geomspace(1, 0.01, k) if k else np.zeros(0),
        {},
        np.zeros(k, np.int64),
        {"value": 0.5, "gap": float("inf")},
    )


def make_run(folder: Path, pool: Pool, texts: list[str], picks: Picks, **extra: Any) -> dict[str, Any]:
    summary, sample = summarise(pool, picks, lambda rows: [texts[i] for i in rows], Context(warn=lambda message: None))
    summary |= {
        "recipe": {"name": "disf-unit", "yaml": "stage: select\nname: disf-unit\n"},
        "seed": 0,
        "budget": "10%",
        "seconds": {"reading": 0.5, "features": 12.0, "selecting": 1.5},
        "peak_memory_bytes": 3 * 2**28,
        "cite": ["@inproceedings{fan2025disf,\n  title = {Combatting Dimensional Collapse}\n}"],
        **extra,
    }
    (folder / "result").mkdir(parents=True)
    write_json(folder / "result" / "summary.json", summary)
    write_json(folder / "run.json", {"status": "finished", "request": {"stage": "select"}})
    write_json(folder / "environment.json", {"python": "3.13"})
    pq.write_table(sample, folder / "result" / "sample.parquet")
    return summary
