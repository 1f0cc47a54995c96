"""How fast the features ``hashing`` are on real texts, and their share of a whole selection.

The first part embeds every text in one process. The second runs the engine from compressed JSON lines to picks with
``disf-unit`` at 1.5 %, one worker, and reads the seconds of its phases.

    python -m benchmarks.select.hashing_speed --out results
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.datasets import texts_by_domain
from benchmarks.record import Record, options, single_threaded
from benchmarks.timing import in_turn
from harmonia.core.run import read_log
from harmonia.select import Hashing, run


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    single_threaded(given.threads)
    texts = [text for domain in texts_by_domain(10**9).values() for text in domain]
    size = sum(len(text.encode()) for text in texts) / 1e6
    encoders = {
        "words 1-2 (default)": Hashing(),
        "words 1-2, 1024 dimensions": Hashing(dimension=1024),
        "words 1": Hashing(words=1),
        "bytes 5": Hashing(words=0, bytes=5),
    }
    ready = {
        name: features.encoder(texts[:: max(1, len(texts) // features.sample)]) for name, features in encoders.items()
    }
    batches = [texts[i : i + 4096] for i in range(0, len(texts), 4096)]

    def embed(name: str) -> None:
        for batch in batches:
            ready[name](batch)

    record = Record("hashing_speed", f"{len(texts):,} documents, {size:.0f} MB, one core", vars(given))
    for name, timed in in_turn({name: partial(embed, name) for name in encoders}, given.repeats).items():
        record.add(
            features=name,
            seconds=timed.median,
            documents_per_second=round(len(texts) / timed.median),
            megabytes_per_second=size / timed.median,
        )
    folder = Path(os.environ["HARMONIA_DATA"]) / "text_domains"
    with tempfile.TemporaryDirectory() as out:
        result = run(
            [str(path) for path in sorted(folder.glob("*.jsonl.zst"))],
            "disf-unit",
            budget="1.5%",
            out=Path(out) / "run",
            workers=1,
        )
        phases = {event["name"]: event["seconds"] for event in read_log(result.folder) if event["event"] == "phase"}
        record.facts["engine, seconds by phase"] = phases
        record.facts["engine, share of features"] = phases["features"] / sum(phases.values())
        record.facts["engine, peak resident memory in MB"] = result.summary["peak_memory_bytes"] / 1e6
    record.save(given.out)


if __name__ == "__main__":
    main()
