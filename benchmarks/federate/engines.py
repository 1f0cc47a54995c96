"""Time of a client in a round: one after another, several in one pass, worker processes, and Flower's simulation.

Twenty clients, the same recipe, model, examples and steps in every engine; one thread per process. The plain loop is
the reference. With ``--model mlp:1 --steps 1 --batch 1`` clients do next to nothing, which shows what an engine adds.

    python -m benchmarks.federate.engines --model mlp --batch 8
    python -m benchmarks.federate.engines --model cnn --batch 32 --flower --pfllib PFLlib/system
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Record, options, single_threaded
from harmonia.data.labelled import Examples, Labelled


def images(clients: int, each: int, side: int = 28, classes: int = 10) -> Labelled:
    """Return random images, so many for every client."""
    random = np.random.default_rng(0)

    def some(n: int) -> Examples:
        return Examples(
            random.integers(0, 256, (n, 1, side, side)).astype(np.uint8), np.arange(n, dtype=np.int64) % classes
        )

    names = tuple(map(str, range(classes)))
    return Labelled("images", "image", names, some(clients * each), some(classes), "none", "random")


def seconds_of(engine: str, given: Any, data: Labelled) -> list[float]:
    """Return the seconds of every round but the first."""
    import torch

    from harmonia.core.run import Run
    from harmonia.data.partitions import parse_partition
    from harmonia.federate.engine import architecture
    from harmonia.federate.engines import start_engine
    from harmonia.federate.failure import handled
    from harmonia.federate.population import Population
    from harmonia.federate.recipes import BOOK
    from harmonia.federate.rounds import Rounds

    torch.set_num_threads(given.threads)
    recipe = BOOK.get(given.recipe).with_settings([f"training.batch={given.batch}", f"training.steps={given.steps}"])
    population = Population.of(data, parse_partition("iid"), given.clients, 0)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.start(Path(folder) / "run", recipe, {"references": []})
        work = Rounds(
            run,
            recipe,
            population,
            architecture(given.model),
            rounds=given.rounds,
            active=given.clients,
            every=given.rounds,
            personal=False,
            on_failure="abort",
            seed=0,
            device="cpu",
        )
        found = []
        with start_engine(engine, given.workers, work.clients, work.store) as running:
            for _ in range(given.rounds):
                start = time.perf_counter()
                jobs = work.coordinator.jobs()
                work.coordinator.take(handled(running, jobs, work.coordinator.model, "abort"))
                found.append(time.perf_counter() - start)
        return found[1:]


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--recipe", default="fedavg")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="alternations between the engines")
    parser.add_argument("--flower", action="store_true", help="measure Flower's own averaging in its simulation too")
    parser.add_argument("--pfllib", type=Path, help="folder system of a checkout of PFLlib, to measure it too")
    given = parser.parse_args()
    single_threaded(given.threads)
    data = images(given.clients, given.batch * given.steps)
    engines = ["loop", "vmap", "processes"]
    seconds: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in range(given.repeats):  # engines alternate, so that a busy minute falls on all of them
        for engine in engines:
            seconds[engine] += seconds_of(engine, given, data)
        if given.pfllib:
            from benchmarks.peers.pfllib_rounds import pfllib_seconds

            seconds["PFLlib"] = seconds.get("PFLlib", []) + pfllib_seconds(given, data)
    if given.flower:
        from benchmarks.peers.flower_rounds import flower_seconds

        seconds["Flower simulation"] = flower_seconds(given, data)
    record = Record(
        f"federate_engines_{given.model}_{given.batch}_{given.steps}",
        f"{given.clients} clients, {given.model}, {given.steps} steps of {given.batch}: ms per client and round",
        {key: getattr(given, key) for key in ("clients", "model", "recipe", "batch", "steps", "rounds", "workers")},
    )
    loop = statistics.median(seconds["loop"])
    for engine, found in seconds.items():
        middle = statistics.median(found)
        record.add(engine=engine, milliseconds=1000 * middle / given.clients, **{"times the loop": middle / loop})
    record.save(given.out)


if __name__ == "__main__":
    main()
