"""Facility location by apricot and by submodlib; runs in their environment, one JSON request per line.

Both get unit rows from a file and are timed from there: the similarity matrix max(0, cosine), which each needs whole,
and the greedy search. The first request compiles and is not to be counted.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np


def kernel(rows: np.ndarray) -> np.ndarray:
    """Return max(0, Z Z^T), (n, n) float32."""
    similarity = rows @ rows.T
    return np.maximum(similarity, 0, out=similarity)


def apricot(rows: np.ndarray, k: int, optimizer: str) -> list[int]:
    """Pick k rows with apricot-select."""
    from apricot import FacilityLocationSelection

    found = FacilityLocationSelection(k, metric="precomputed", optimizer=optimizer).fit(kernel(rows))
    return [int(i) for i in found.ranking]


def submodlib(rows: np.ndarray, k: int, optimizer: str) -> list[int]:
    """Pick k rows with submodlib."""
    from submodlib import FacilityLocationFunction

    function = FacilityLocationFunction(n=len(rows), mode="dense", sijs=kernel(rows), separate_rep=False)
    return [
        int(i)
        for i, _ in function.maximize(
            budget=k, optimizer=optimizer, stopIfZeroGain=False, stopIfNegativeGain=False, show_progress=False
        )
    ]


def main() -> None:
    """Answer requests until the input ends."""
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print
    for line in sys.stdin:
        request = json.loads(line)
        if request["library"] == "versions":
            answer = {"seconds": 0.0, "versions": {n: version(n) for n in ("apricot-select", "submodlib-py", "numpy")}}
        else:
            rows = np.load(request["rows"])
            start = time.perf_counter()
            picks = {"apricot": apricot, "submodlib": submodlib}[request["library"]](
                rows, request["k"], request["optimizer"]
            )
            answer = {"seconds": time.perf_counter() - start, "picks": picks}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
