"""Measured speed of pruned models against the speed-up that the removed multiplications promise.

Tokens per second of a forward pass at batch 1 and 8, of prompts of several lengths, and of decoding a token at a time
with a cache. Models take turns pass by pass, a figure is the median, and the promise is the ratio of multiplications
per token at that length. Units that stay are the first ones: which of them stay changes no time.

    python -m benchmarks.compress.latency --out results
    python -m benchmarks.compress.latency --models minilm --repeats 3 --ratios 0.5 --out results
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from benchmarks.record import Record, options, single_threaded
from harmonia.compress.dense import Dense
from harmonia.compress.structure import Both, Neurons
from harmonia.core.progress import set_quiet
from harmonia.models.pruned import Cut, macs_per_token, sliced

STRUCTURES = {"smollm2": Neurons(), "minilm": Both()}
WITHIN = 0.2
"""How far the measured speed-up may be from the promised one."""


def smaller(dense: Dense, ratio: float, multiple: int) -> Any:
    """Return the model with a share of its units removed, neurons down to a multiple."""
    cuts = {}
    for site in STRUCTURES.get(dense.name, Both()).sites(dense.model, 128):
        kept = site.units - int(ratio * site.units + 1e-9)
        if site.kind == "neurons":
            kept = max(multiple, round(kept / multiple) * multiple)
        cuts[site.name] = Cut(np.arange(min(kept, site.units)))
    return sliced(dense.model, cuts)


def passes(models: list[Any], batch: int, length: int, repeats: int) -> np.ndarray:
    """Return the seconds of each model's pass of random tokens, in turn: (models, repeats)."""
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, models[0].config.vocab_size, (batch, length)))
    taken = np.zeros((len(models), repeats))
    with torch.inference_mode():
        for turn in range(-2, repeats):
            for place, model in enumerate(models):
                start = time.perf_counter()
                model(input_ids=ids)
                if turn >= 0:
                    taken[place, turn] = time.perf_counter() - start
    return taken


def decoding(models: list[Any], batch: int, length: int, tokens: int) -> np.ndarray:
    """Return the seconds of each model's next token behind a prompt, in turn: (models, tokens)."""
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, models[0].config.vocab_size, (batch, length)))
    taken = np.zeros((len(models), tokens))
    with torch.inference_mode():
        caches = [model(input_ids=ids, use_cache=True).past_key_values for model in models]
        for turn in range(-2, tokens):
            for place, model in enumerate(models):
                start = time.perf_counter()
                model(input_ids=ids[:, :1], past_key_values=caches[place], use_cache=True)
                if turn >= 0:
                    taken[place, turn] = time.perf_counter() - start
    return taken


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--models", default="minilm,smollm2")
    parser.add_argument("--ratios", default="0.2,0.4,0.6")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--lengths", default="128,512")
    parser.add_argument("--multiples", default="1", help="of neurons, e.g. 1,32")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--decoded", type=int, default=24, help="tokens to decode one at a time; 0 for none")
    given = parser.parse_args()
    single_threaded(given.threads)
    torch.set_num_threads(given.threads)
    set_quiet(True)
    record = Record(
        "compress_latency", "Speed-up over the dense model: measured, promised, and one over the other", vars(given)
    )
    shares: dict[str, list[float]] = {"pass": [], "decoding": []}
    for name in given.models.split(","):
        dense = Dense.open(name)
        ratios = [float(ratio) for ratio in given.ratios.split(",")]
        if name == "minilm" and 0.5 not in ratios:
            ratios = sorted([*ratios, 0.5])
        arms = [(ratio, int(multiple)) for ratio in ratios for multiple in given.multiples.split(",")]
        models = [dense.model, *(smaller(dense, *arm) for arm in arms)]
        kinds = ["pass", "decoding"] if dense.task == "causal" and given.decoded else ["pass"]
        for kind in kinds:
            for batch in map(int, given.batches.split(",")):
                for length in map(int, given.lengths.split(",")):
                    if kind == "pass":
                        taken = passes(models, batch, length, given.repeats)
                    else:
                        taken = decoding(models, batch, length, given.decoded)
                    tokens = batch * (length if kind == "pass" else 1)
                    whole = macs_per_token(dense.model, length)
                    for (ratio, multiple), model, own in zip(arms, models[1:], taken[1:], strict=True):
                        promised = whole / macs_per_token(model, length)
                        # pass by pass beside the dense model's, so that a busy second falls on both
                        measured = float(np.median(taken[0] / own))
                        shares[kind].append(measured / promised)
                        record.add(
                            model=name,
                            what=kind,
                            ratio=ratio,
                            multiple=multiple,
                            batch=batch,
                            length=length,
                            **{
                                "tokens per s, dense": float(tokens / np.median(taken[0])),
                                "tokens per s, pruned": float(tokens / np.median(own)),
                            },
                            measured=measured,
                            promised=promised,
                            share=measured / promised,
                        )
    for kind, found in shares.items():
        if found:
            record.facts[f"{kind}: share of the promise, least and most"] = [round(min(found), 3), round(max(found), 3)]
            record.facts[f"{kind}: within {WITHIN:.0%}"] = f"{sum(abs(s - 1) <= WITHIN for s in found)} of {len(found)}"
    record.save(given.out)


if __name__ == "__main__":
    main()
