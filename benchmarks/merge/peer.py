"""Merging three experts with harmonia and with mergekit: processor time beyond imports, peak memory, and the numbers.

The base is SmolLM2-135M; the task vectors of its experts are drawn, one of low rank, one sparse, one dense. Both sides
are run from the command line, each in its own environment, in turn and with as many threads. What a process takes to
import the modules that its merge had imported in the end, and does nothing else, is measured beside it and subtracted.

mergekit gets its best settings: no tokenizer to copy and no card to write, no progress bars; ``--lazy-unpickle`` is
for pickles, and ``--low-cpu-memory`` for graphics cards. With bfloat16, it computes in float32 and rounds once, as
harmonia always does. harmonia measures how the experts disagree on the way, as it does unless told not to; a second
row is without.

    python -m venv PEERS && PEERS/bin/pip install -c constraints.txt mergekit==0.1.5
    python -m benchmarks.merge.peer --peer-python PEERS/bin/python --out results
    python -m benchmarks.merge.peer --peer-python PEERS/bin/python --merges "task arithmetic,DARE" --out results

Linear merges must be the same bit for bit. TIES must be, but where a task vector's magnitude is the threshold itself:
of equal magnitudes harmonia keeps the first, mergekit some.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import Cost, cost_of, imports_of
from benchmarks.record import Record, options

EXPERTS, DENSITY = 3, 0.2
OURS = "import sys; from harmonia.cli.main import main; sys.exit(main())"
THEIRS = "import sys; from mergekit.scripts.run_yaml import main; sys.exit(main())"
LEAN = ("--quiet", "--no-copy-tokenizer", "--no-write-model-card")


@dataclass(frozen=True)
class Case:
    """One way of merging, as both sides call it.

    Attributes:
        recipe: of harmonia.
        method: of mergekit.
        setting: of each of its models.
        overall: of the merge.
        alike: what the results must have in common: every bit, all but ties at the threshold, or nothing, where
            numbers are drawn.
    """

    recipe: str
    method: str
    setting: Mapping[str, float]
    overall: Mapping[str, object]
    alike: str


GATED = {
    "linear": Case("linear", "linear", {}, {"normalize": True}, "bits"),
    "TIES": Case("mergekit-ties", "ties", {"density": DENSITY}, {"normalize": True}, "ties"),
}
CASES = GATED | {
    "task arithmetic": Case("task-arithmetic", "task_arithmetic", {}, {"normalize": False}, "bits"),
    "DARE": Case("dare-linear", "dare_linear", {"density": 0.5}, {"normalize": False}, "nothing"),
}


def our_arguments(case: Case, models: Path, out: Path, threads: int) -> list[str | Path]:
    """Return the arguments of ``harmonia``."""
    base: list[str | Path] = [] if case.recipe == "linear" else ["--base", models / "base"]
    density = ["--set", f"weights.density={case.setting['density']}"] if "density" in case.setting else []
    experts: list[str | Path] = [models / f"expert-{i}" for i in range(EXPERTS)]
    return ["merge", *experts, *base, "--recipe", case.recipe, *density, "--threads", str(threads), "--out", out]


def their_arguments(case: Case, models: Path, out: Path, threads: int) -> list[str | Path]:
    """Write the configuration of ``mergekit-yaml`` and return its arguments."""
    record: dict[str, Any] = {
        "merge_method": case.method,
        "models": [
            {"model": str(models / f"expert-{i}"), "parameters": {"weight": 1.0, **case.setting}}
            for i in range(EXPERTS)
        ],
        "parameters": dict(case.overall),
        "dtype": "float32",
        "out_dtype": json.loads((models / "base" / "config.json").read_text())["dtype"],
    }
    if case.recipe != "linear":
        record["base_model"] = str(models / "base")
    path = out.with_suffix(".yaml")
    path.write_text(json.dumps(record))
    return [path, out, *LEAN, "--num-threads", str(threads)]


def differences(case: Case, models: Path, mine: Path, theirs: Path) -> dict[str, int]:
    """Compare two results, tensor by tensor.

    Returns:
        ``differing`` elements, and how many of them are ``at the threshold``: those at which the magnitude of a task
        vector is the smallest that is kept.
    """
    import numpy as np
    import torch

    from benchmarks.merge.experts import whole
    from harmonia.data.checkpoints import Checkpoint

    a, b = Checkpoint.at(mine), Checkpoint.at(theirs)
    base = Checkpoint.at(models / "base")
    experts = [Checkpoint.at(models / f"expert-{i}") for i in range(EXPERTS)]
    if a.tensors.keys() != b.tensors.keys():
        raise SystemExit(f"{mine} and {theirs} have not the same tensors")
    count = at = 0
    for name in a.tensors:
        if a.tensor(name).dtype != b.tensor(name).dtype:
            raise SystemExit(f"{name} is {a.tensor(name).dtype} and {b.tensor(name).dtype}")
        if a.same(name, b, name):
            continue
        x, y = (whole(model, name).view(torch.int32) for model in (a, b))
        places = (x != y).nonzero()[:, 0]
        count += len(places)
        if case.alike == "ties":
            equal = torch.zeros(len(places), dtype=torch.bool)
            theta = whole(base, name)
            for expert in experts:
                size = whole(expert, name).sub_(theta).abs_().numpy()
                kept = max(1, int(DENSITY * len(size)))
                threshold = float(np.partition(size, len(size) - kept)[len(size) - kept])
                equal |= torch.from_numpy(size[places.numpy()] == np.float32(threshold))
            at += int(equal.sum())
    return {"differing": count, "at the threshold": at}


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--peer-python", type=Path, required=True, help="interpreter of mergekit's environment")
    parser.add_argument("--model", default="smollm2", help="the base: a name of the catalogue, a folder or a Hub id")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of all models")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--merges", default=",".join(GATED), help=f"of {', '.join(CASES)}")
    parser.add_argument("--work", type=Path, help="folder of the models, kept; a temporary one by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given, given.work or Path(folder))


def measure(given: Any, work: Path) -> None:
    """Make the models, run both sides in turn, and compare what they wrote."""
    models = work / given.dtype
    making = f"from benchmarks.merge.peer import make; make({given.model!r}, {str(work)!r}, {given.dtype!r})"
    subprocess.run([sys.executable, "-c", making], check=True)  # apart, so that this process stays small
    limits = {name: str(given.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    peer = [given.peer_python, "-c", THEIRS]
    versions = subprocess.run([given.peer_python, "-c", _VERSIONS], check=True, capture_output=True, text=True).stdout
    record = Record(
        "_".join(["merge_peer", given.dtype, *given.merges.lower().replace(" ", "-").split(",")]),
        f"{EXPERTS} experts of {given.model}, {given.dtype}, {given.threads} thread(s): a merge, without imports",
        {"model": given.model, "dtype": given.dtype, "threads": given.threads, "repeats": given.repeats},
    )
    record.facts["mergekit's environment"] = versions.strip()
    for title in given.merges.split(","):
        case = CASES[title]
        out = {side: work / f"{side}-{case.recipe}" for side in ("harmonia", "mergekit", "without disagreement")}
        mine = our_arguments(case, models, out["harmonia"], given.threads)
        alone = [*our_arguments(case, models, out["without disagreement"], given.threads), "--no-disagreement"]
        sides: dict[str, list[str | Path]] = {
            "harmonia": [sys.executable, "-c", OURS, *mine],
            "mergekit": [*peer, *their_arguments(case, models, out["mergekit"], given.threads)],
        }
        if case.recipe != "linear":
            sides["without disagreement"] = [sys.executable, "-c", OURS, *alone]
        empty = {}
        for side, command in sides.items():
            shutil.rmtree(out[side], ignore_errors=True)
            empty[side] = imports_of(command[0], str(command[2]), command[3:], work)
        costs: dict[str, list[Cost]] = {side: [] for side in sides}
        imports: dict[str, list[Cost]] = {side: [] for side in sides}
        for _ in range(given.repeats):
            for side, command in sides.items():
                imports[side].append(cost_of(empty[side], limits))
                shutil.rmtree(out[side], ignore_errors=True)
                costs[side].append(cost_of(command, limits))
        result = out["harmonia"] / "result" / "model"
        _report(record, title, costs, imports)
        if case.alike != "nothing":
            found = differences(case, models, result, out["mergekit"])
            record.facts[f"{title}: elements that differ"] = found["differing"]
            if case.alike == "ties":
                record.facts[f"{title}: of these, at the threshold"] = found["at the threshold"]
    record.save(given.out)


_VERSIONS = """
from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in ("mergekit", "torch", "transformers", "pydantic", "safetensors")))
"""


def make(model: str, work: str, dtype: str) -> None:
    """Write the base and its experts where they are missing."""
    from benchmarks.merge.experts import expert, grown, real_base

    real = real_base(Path(work) / "real", model)
    base = grown(real, Path(work) / dtype / "base", 1, "layers", dtype)
    for number in range(EXPERTS):
        expert(base, Path(work) / dtype / f"expert-{number}", number, dtype)


def _report(
    record: Record, title: str, costs: Mapping[str, Sequence[Cost]], imports: Mapping[str, Sequence[Cost]]
) -> None:
    """Add a row per side, with its shares of mergekit's figures."""
    middle = {
        side: {
            "CPU s": statistics.median(c.cpu - i.cpu for c, i in zip(costs[side], imports[side], strict=True)),
            "imports, CPU s": statistics.median(i.cpu for i in imports[side]),
            "wall s": statistics.median(c.wall for c in costs[side]),
            "peak MB": statistics.median(c.resident for c in costs[side]) / 1e6,
            "of its own, MB": statistics.median(c.anonymous for c in costs[side]) / 1e6,
        }
        for side in costs
    }
    theirs = middle["mergekit"]
    for side, found in middle.items():
        record.add(
            merge=title,
            side=side,
            **found,
            **{
                "of its own, without imports": _beyond(costs[side], imports[side]) / 1e6,
                "times less CPU": theirs["CPU s"] / found["CPU s"],
                "times less memory": theirs["peak MB"] / found["peak MB"],
                "times less of its own": theirs["of its own, MB"] / found["of its own, MB"],
            },
        )


def _beyond(costs: Sequence[Cost], imports: Sequence[Cost]) -> float:
    """Return the median memory beyond that of the libraries, in bytes."""
    return statistics.median(c.anonymous - i.anonymous for c, i in zip(costs, imports, strict=True))


if __name__ == "__main__":
    main()
