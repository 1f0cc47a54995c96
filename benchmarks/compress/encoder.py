"""Half of an encoder's heads and neurons removed: how far its embeddings turn, by recipe and setting.

The loss is 1 - mean cosine between the embeddings of the smaller and of the dense model, on texts that nobody
calibrated on. A seed draws the calibration sequences; every arm of a seed sees the same, and those that can share one
calibration.

    python -m benchmarks.compress.encoder --out results
    python -m benchmarks.compress.encoder --seeds 1 --sequences 60 --judged 1024 --arms bias/liar --out results
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.record import Record, options, single_threaded
from harmonia.compress.dense import Dense
from harmonia.compress.engine import compress
from harmonia.core.progress import set_quiet

SEQUENTIAL = "calibration.target=dense-output"
STREAM = "calibration.target=dense-stream"
GLOBAL = "allocation=global-standardised"
MACS = "allocation=mac-search"
ARMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "none": ("none-wifv", ()),
    "bias": ("bias-wifv", ()),
    "flap": ("flap", ()),
    "scale": ("none-wifv", ("reconstruction=scale",)),
    "ls": ("ls-wifv", ()),
    "liar": ("liar-wifv", ()),
    "liar, global": ("liar-wifv", (GLOBAL,)),
    "liar, sequential": ("liar-wifv", (SEQUENTIAL,)),
    "bias, stream": ("bias-wifv", (STREAM,)),
    "liar, stream": ("liar-wifv", (STREAM,)),
    "liar, wanda, stream": ("liar-wifv", ("criterion=wanda-sp", STREAM)),
    "liar, obs joint, stream": ("liar-obs", (STREAM,)),
    "liar, global, sequential": ("liar-wifv", (GLOBAL, SEQUENTIAL)),
    "liar, obs one by one": ("liar-wifv", ("criterion=obs:single", "criterion.intercept=true")),
    "liar, obs joint": ("liar-obs", ()),
    "liar, obs joint, sequential": ("liar-obs", (SEQUENTIAL,)),
    "bias, obs joint": ("liar-obs", ("reconstruction=bias",)),
    "liar, magnitude": ("liar-magnitude", ()),
    "liar, wanda": ("liar-wifv", ("criterion=wanda-sp",)),
    "bias, macs": ("bias-wifv", (MACS,)),
    "liar, macs": ("liar-wifv", (MACS,)),
    "liar, obs joint, macs": ("liar-obs", (MACS,)),
    "liar, obs joint, macs, sequential": ("liar-obs", (MACS, SEQUENTIAL)),
    "kcm": ("kcm", ()),
}


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--calibration", default="tales")
    parser.add_argument("--held-out", help="other text to judge by; a part of the calibration text when left out")
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sequences", type=int, help="drawn to calibrate on; the recipe's default when left out")
    parser.add_argument("--judged", type=int, default=16_384, help="tokens to judge by")
    parser.add_argument("--arms", help="some of the arms, with / between them")
    given = parser.parse_args()
    single_threaded(given.threads)
    torch.set_num_threads(given.threads)
    set_quiet(True)
    arms = ARMS if given.arms is None else {name: ARMS[name] for name in given.arms.split("/")}
    dense = Dense.open(given.model)
    losses: dict[str, list[float]] = {arm: [] for arm in arms}
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    drawn = [] if given.sequences is None else [f"calibration.sequences={given.sequences}"]
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as folder:
            for number, (arm, (recipe, settings)) in enumerate(arms.items()):
                start = time.perf_counter()
                result = compress(
                    dense,
                    recipe,
                    ratio=given.ratio,
                    calibration=given.calibration,
                    held_out=given.held_out,
                    judged=given.judged,
                    settings=[*settings, *drawn],
                    timed=False,
                    seed=seed,
                    statistics=Path(folder) / "statistics",
                    out=Path(folder) / str(number),
                )
                losses[arm].append(1 - result.summary["points"][0]["score"])
                seconds[arm].append(time.perf_counter() - start)
                print(f"seed {seed} {arm}: {losses[arm][-1]:.4f}, {seconds[arm][-1]:.0f} s", flush=True)
    record = Record(
        f"compress_encoder_{Path(given.model).name}", f"{given.model}, {given.ratio:g} removed: 1 - cosine", vars(given)
    )
    for arm, found in losses.items():
        row: dict[str, object] = {"arm": arm, "loss": float(np.mean(found)), "std": float(np.std(found))}
        if "bias" in losses:
            row["of bias"] = float(np.mean(np.divide(found, losses["bias"])))
        record.add(**row, seconds=float(np.mean(seconds[arm])))
    if {"bias", "liar"} <= losses.keys():
        shares = np.divide(losses["liar"], losses["bias"])
        record.facts["liar's loss over that of bias, each seed"] = [round(float(share), 4) for share in shares]
        record.facts["at most half in every seed"] = bool((shares <= 0.5).all())
    record.save(given.out)


if __name__ == "__main__":
    main()
