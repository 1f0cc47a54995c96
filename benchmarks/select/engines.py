"""The same selection in one process, in two, and on Ray: seconds, and whether the picks are the same.

Real texts from compressed JSON lines, features ``hashing``, ``disf-unit`` at 1.5 %.

    python -m benchmarks.select.engines --out results
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.record import Record, options, single_threaded
from harmonia.core.progress import set_quiet
from harmonia.core.run import read_log
from harmonia.select import run


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--files", nargs="+", default=["science_nlp_abstracts", "encyclopedia_dbpedia"])
    given = parser.parse_args()
    single_threaded(given.threads)
    set_quiet(True)
    folder = Path(os.environ["HARMONIA_DATA"]) / "text_domains"
    paths = [str(folder / f"{name}.jsonl.zst") for name in given.files]
    record = Record("engines", "One selection by each engine", vars(given))
    first: list[str] = []
    for engine, workers in (("local", 1), ("local", 2), ("ray", 2)):
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            result = run(paths, "disf-unit", budget="1.5%", out=Path(out) / "run", engine=engine, workers=workers)
            seconds = time.perf_counter() - start
            picks = result.picks["id"].to_list()
            phases = {event["name"]: event["seconds"] for event in read_log(result.folder) if event["event"] == "phase"}
        first = first or picks
        record.add(
            engine=engine, workers=workers, seconds=seconds, features=phases["features"], same_picks=picks == first
        )
    record.save(given.out)


if __name__ == "__main__":
    main()
