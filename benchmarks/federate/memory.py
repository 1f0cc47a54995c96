"""Memory of a federation with many clients of which few take part: it shall not grow with those that do not.

The same images are dealt to more and more clients, a hundred of which take part in each round; every size runs in a
process of its own. Anonymous resident memory after the rounds, beside that after the first. Recipes whose clients keep
nothing (fedavg, fedlesam) and one whose clients keep a vector each (scaffold), which grows with those that took part.

    python -m benchmarks.federate.memory --clients 100,1000,10000
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.federate.engines import images
from benchmarks.record import Record, options, single_threaded


def anonymous_mib() -> float:
    """Return the anonymous resident memory of this process in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def measure(recipe: str, clients: int, active: int, rounds: int, total: int) -> None:
    """Print the memory after the first rounds and after the last, and the clients that something is kept of."""
    from harmonia.federate.engine import federate

    data = images(1, total)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for until in (2, rounds):
            federate(
                data,
                recipe,
                clients=clients,
                partition="iid",
                rounds=until,
                active=active / clients,
                every=rounds,
                personal=False,
                settings=["training.steps=1", "training.batch=2"],
                engine="loop",
                out=Path(folder) / str(until),
            )
            found.append(anonymous_mib())
        kept = len(list((Path(folder) / str(rounds) / "state" / "clients").glob("*.safetensors")))
    print(found[0], found[1], kept)


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--clients", default="100,1000,10000")
    parser.add_argument("--active", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--images", type=int, default=20_000, help="of all clients together")
    parser.add_argument("--recipes", default="fedavg,fedlesam,scaffold")
    parser.add_argument("--one", nargs=2, metavar=("RECIPE", "CLIENTS"), help="measure one in this process")
    given = parser.parse_args()
    if given.one:
        single_threaded(given.threads)
        measure(given.one[0], int(given.one[1]), given.active, given.rounds, given.images)
        return
    record = Record(
        "federate_memory",
        f"{given.active} active clients, {given.rounds} rounds, {given.images} images: anonymous memory, MiB",
        {key: getattr(given, key) for key in ("active", "rounds", "images")},
    )
    for recipe in given.recipes.split(","):
        for clients in given.clients.split(","):
            command = [sys.executable, "-m", "benchmarks.federate.memory", "--one", recipe, clients]
            command += ["--active", str(given.active), "--rounds", str(given.rounds), "--images", str(given.images)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            early, late, kept = (float(word) for word in said[-3:])
            record.add(recipe=recipe, clients=int(clients), early=early, late=late, kept=int(kept))
    record.save(given.out)


if __name__ == "__main__":
    main()
