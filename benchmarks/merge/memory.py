"""Memory of a merge when the model doubles, in depth and in the size of its tensors: it shall stay what it is.

The base is SmolLM2-135M with its layers repeated, or with the rows of every tensor repeated; three experts are drawn as
in ``merge.peer``. Every merge is a process of its own, run from the command line. Memory of its own is without pages of
files; what remains without the libraries is that beyond a process which only imports what the merge had imported.

    python -m benchmarks.merge.memory --times 1,2,4 --out results
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.processes import cost_of, imports_of
from benchmarks.record import Record, options

OURS = "import sys; from harmonia.cli.main import main; sys.exit(main())"
EXPERTS = 3


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--model", default="smollm2", help="a name of the catalogue, a folder or a Hub id")
    parser.add_argument("--times", default="1,2,4", help="how often layers, or rows, are repeated")
    parser.add_argument("--grow", default="layers,rows", help="what is repeated")
    parser.add_argument("--recipes", default="linear,mergekit-ties,ties")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16", help="of all models")
    parser.add_argument("--work", type=Path, help="folder of the models; a temporary one by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given, given.work or Path(folder))


def measure(given: Any, work: Path) -> None:
    """Make models of every size, merge them, and take them away."""
    limits = {"OMP_NUM_THREADS": str(given.threads)}
    record = Record(
        "merge_memory",
        f"{EXPERTS} experts, {given.threads} thread(s): peak memory of a merge, MB",
        {key: getattr(given, key) for key in ("model", "dtype", "threads")},
    )
    for how in given.grow.split(","):
        for times in given.times.split(","):
            models = work / f"{how}-{times}-{given.dtype}"
            making = f"from benchmarks.merge.memory import make; make({given.model!r}, {str(work)!r}, {str(models)!r}, "
            making += f"{times}, {how!r}, {given.dtype!r})"
            said = subprocess.run([sys.executable, "-c", making], check=True, capture_output=True, text=True).stdout
            for recipe in given.recipes.split(","):
                out = models / recipe
                experts = [models / f"expert-{i}" for i in range(EXPERTS)]
                base = [] if recipe == "linear" else ["--base", models / "base"]
                request = ["merge", *experts, *base, "--recipe", recipe, "--threads", str(given.threads), "--out", out]
                empty = cost_of(imports_of(sys.executable, OURS, request, models), limits)
                shutil.rmtree(out)
                cost = cost_of([sys.executable, "-c", OURS, *request], limits)
                shutil.rmtree(out)
                record.add(
                    recipe=recipe,
                    repeated=how,
                    times=int(times),
                    **{
                        "parameters, millions": int(said) / 1e6,
                        "peak": cost.resident / 1e6,
                        "of its own": cost.anonymous / 1e6,
                        "without the libraries": (cost.anonymous - empty.anonymous) / 1e6,
                        "CPU s": cost.cpu - empty.cpu,
                    },
                )
            shutil.rmtree(models)
    record.save(given.out)


def make(model: str, work: str, models: str, times: int, how: Any, dtype: str) -> None:
    """Write a base and its experts, and print its parameters."""
    from benchmarks.merge.experts import expert, grown, real_base

    base = grown(real_base(Path(work) / "real", model), Path(models) / "base", times, how, dtype)
    for number in range(EXPERTS):
        expert(base, Path(models) / f"expert-{number}", number, dtype)
    print(sum(tensor.size for tensor in base.tensors.values()))


if __name__ == "__main__":
    main()
