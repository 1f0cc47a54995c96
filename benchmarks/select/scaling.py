"""Time and memory as the pool grows: 256-dimensional vectors in Parquet through the whole engine.

A mixture of 1,000 clusters is written in float16, with a short text and a source for every document; ``disf-unit``
takes 1.5 % of it (batches of 1,024, one worker). Each size runs in a process of its own. Two peaks of memory are read
there: resident memory, which counts pages of the memory-mapped feature files that the system may drop at any time, and
anonymous memory, which it cannot drop. The exponent is the slope of log seconds against log documents.

    python -m benchmarks.select.scaling --out results
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.record import Record, options, single_threaded
from harmonia.core.measure import peak_memory_bytes
from harmonia.core.run import read_log
from harmonia.select import run

BLOCK = 25_000


def write_pool(folder: Path, n: int, d: int) -> None:
    """Write a mixture of 1,000 clusters as Parquet files of 250,000 documents."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(1000, d)).astype(np.float32)
    shares = random.dirichlet(np.full(1000, 0.5))
    folder.mkdir()
    schema = pa.schema(
        [("id", pa.string()), ("text", pa.string()), ("source", pa.string()), ("embedding", pa.list_(pa.float16(), d))]
    )
    for first in range(0, n, 10 * BLOCK):
        with pq.ParquetWriter(folder / f"part-{first:09d}.parquet", schema) as file:
            for start in range(first, min(first + 10 * BLOCK, n), BLOCK):
                size = min(BLOCK, n - start)
                label = random.choice(1000, size, p=shares)
                rows = (centres[label] + random.normal(size=(size, d))).astype(np.float16)
                names = [f"document-{i}" for i in range(start, start + size)]
                file.write_batch(
                    pa.record_batch(
                        [
                            pa.array(names),
                            pa.array([f"{name} of cluster {c}" for name, c in zip(names, label, strict=True)]),
                            pa.array([f"source-{c % 8}" for c in label]),
                            pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), d),
                        ],
                        schema=schema,
                    )
                )


class AnonymousMemory:
    """Samples the anonymous memory of this process in the background; ``peak`` in bytes."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            lines = Path("/proc/self/status").read_text().splitlines()
            self.peak = max(self.peak, next(int(x.split()[1]) for x in lines if x.startswith("RssAnon")) * 1024)
            time.sleep(0.02)


def measure(folder: Path, recipe: str) -> None:
    """Select from a folder and print what it took as JSON."""
    memory = AnonymousMemory()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        result = run(
            str(folder),
            recipe,
            budget="1.5%",
            out=Path(out) / "run",
            settings=["features=given"],
            workers=1,
            embedding_column="embedding",
        )
        seconds = time.perf_counter() - start
        phases = {event["name"]: event["seconds"] for event in read_log(result.folder) if event["event"] == "phase"}
        disk = sum(path.stat().st_size for path in result.folder.rglob("*") if path.is_file())
    print(
        json.dumps(
            {
                "seconds": seconds,
                "phases": phases,
                "resident": peak_memory_bytes(),
                "anonymous": memory.peak,
                "disk": disk,
            }
        )
    )


def main() -> None:
    """Measure every size in a process of its own."""
    parser = options(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--recipe", default="disf-unit")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--measure", type=Path, help="folder of a pool: select from it in this process and print what it took"
    )
    given = parser.parse_args()
    single_threaded(given.threads)
    if given.measure:
        measure(given.measure, given.recipe)
        return
    record = Record(f"scaling_{given.recipe}", "Whole selection through the engine (features=given)", vars(given))
    medians = []
    for n in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            pool = Path(folder) / "pool"
            write_pool(pool, n, given.dimension)
            command = [
                sys.executable,
                "-m",
                "benchmarks.select.scaling",
                "--measure",
                str(pool),
                "--recipe",
                given.recipe,
                "--threads",
                str(given.threads),
            ]
            runs = [
                json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
                for _ in range(given.repeats)
            ]
        found = sorted(runs, key=lambda r: r["seconds"])[len(runs) // 2]
        medians.append(found["seconds"])
        record.add(
            documents=n,
            seconds=found["seconds"],
            **found["phases"],
            microseconds_per_document=1e6 * found["seconds"] / n,
            resident_mb=found["resident"] / 1e6,
            anonymous_mb=found["anonymous"] / 1e6,
            disk_bytes_per_document=found["disk"] / n,
        )
    if len(medians) > 1:
        record.facts["exponent"] = float(np.polyfit(np.log(given.sizes), np.log(medians), 1)[0])
    record.save(given.out)


if __name__ == "__main__":
    main()
