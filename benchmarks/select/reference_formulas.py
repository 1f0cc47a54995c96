"""Recipes against their formulas, written out slowly: largest relative difference of the scores.

- ntk: inner products of explicit gradients, one text and one target at a time, with all logits (float64 and float32);
- dsir: log importance weights with dictionaries and Python's own SHA-256;
- semdedup: the largest cosine with every earlier document of the cluster, by a double loop.

    python -m benchmarks.select.reference_formulas --out results
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.record import Record, options, single_threaded
from benchmarks.select.tangent_scoring import adapted_model
from harmonia.core.progress import set_quiet
from harmonia.maths.duplicates import earlier_similarity
from harmonia.select import Dsir, Pool
from harmonia.select.context import Context

SENTENCE = """the court held that tests of models and of masks are , in law , as fair as they are quick ; see 12 f. for
more on trees , rivers and the colour of bread !"""
WORDS = SENTENCE.split()


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest expected value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def texts(count: int, skew: float, seed: int) -> list[str]:
    """Return random word sequences; ``skew`` tilts the choice of words."""
    random = np.random.default_rng(seed)
    p = np.exp(skew * np.linspace(-1, 1, len(WORDS)))
    return [" ".join(random.choice(WORDS, random.integers(120, 300), p=p / p.sum())) for _ in range(count)]


def dsir_reference(pool: list[str], target: list[str], buckets: int, smoothing: float) -> np.ndarray:
    """Return log w of each document, by the formulas of DSIR."""

    def bag(text: str) -> Counter[int]:
        tokens = re.findall(r"\w+|[^\w\s]+", text.lower())
        grams = tokens + [f"{a} {b}" for a, b in pairwise(tokens)]
        return Counter(int(hashlib.sha256(gram.encode()).hexdigest(), 16) % buckets for gram in grams)

    bags = [bag(text) for text in pool]
    raw: Counter[int] = sum(bags, Counter())
    wanted: Counter[int] = sum((bag(text) for text in target), Counter())
    n_raw, n_wanted = sum(raw.values()), sum(wanted.values()) + smoothing * buckets
    weight = {b: math.log((wanted[b] + smoothing) / n_wanted + 1e-8) - math.log(raw[b] / n_raw + 1e-8) for b in raw}
    return np.array([math.fsum(count * weight[b] for b, count in bag.items()) for bag in bags])


def semdedup_reference(X: np.ndarray, labels: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return the largest cosine of each row with an earlier row of its cluster; -1 where there is none."""
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    return np.array(
        [
            max(
                (
                    float(unit[i] @ unit[j])
                    for i in range(len(X))
                    if labels[i] == labels[j] and (rank[i], i) < (rank[j], j)
                ),
                default=-1.0,
            )
            for j in range(len(X))
        ]
    )


def explicit_kernel(model: Any, names: list[str], probes: Any, left: list[list[int]], right: list[list[int]]) -> Any:
    """Return mean_r <grad u_r.f(x), grad u_r.f(x')>, from every gradient in full: (n, m)."""
    import torch

    parameters = [value for name, value in model.named_parameters() if name in set(names)]
    for value in parameters:
        value.requires_grad_(True)

    def features(sequences: list[list[int]]) -> Any:
        rows = []
        for ids in sequences:
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
            rows.append(
                torch.cat(
                    [
                        torch.cat(
                            [
                                g.flatten()
                                for g in torch.autograd.grad((logits @ u).mean(), parameters, retain_graph=True)
                            ]
                        )
                        for u in probes
                    ]
                ).double()
            )
        return torch.stack(rows)

    kernel = features(left) @ features(right).T / len(probes)
    model.requires_grad_(False)
    return kernel.numpy()


def tangent_scores(record: Record) -> None:
    """Compare the scores of the pseudo kernel and of the probe kernel with their definitions."""
    import torch

    from harmonia.models.lora import lora_names
    from harmonia.models.tangent_lm import Alignment, Example, SummedOutputs, TangentLM

    random = np.random.default_rng(0)
    pool, targets = ([random.integers(0, 300, random.integers(5, 30)).tolist() for _ in range(n)] for n in (40, 12))
    signs = torch.tensor(random.choice([-1.0, 1.0], (4, 300)))
    for kernel, probes in (("pseudo-ntk", torch.ones(1, 300)), ("probe-ntk, R=4", signs)):
        for dtype in (torch.float64, torch.float32):
            model = adapted_model(300).to(dtype)
            names = lora_names(model)
            expected = explicit_kernel(model, names, probes.to(dtype), pool, targets).mean(axis=1)
            tangent = TangentLM(SummedOutputs(model, probes.to(dtype)), len(probes), names, 512)
            for scorer in ("forward", "reverse", "difference"):
                score = Alignment(tangent, [Example(ids, 0) for ids in targets], scorer=scorer)
                found = score([Example(ids, 0) for ids in pool])
                record.add(
                    recipe=kernel,
                    how=f"{scorer}, {str(dtype).removeprefix('torch.')}",
                    scores=len(pool),
                    difference=difference(found, expected),
                )


def main() -> None:
    """Compare."""
    given = options(__doc__).parse_args()
    single_threaded(given.threads)
    set_quiet(True)
    record = Record(
        "reference_formulas", "Largest difference from the formula, relative to the largest score", vars(given)
    )
    tangent_scores(record)
    pool, target = texts(300, 0.0, 0), texts(40, 1.5, 1)
    for smoothing in (0.0, 1.0):
        function = Dsir(target_texts=tuple(target), smoothing=smoothing, min_words=0).fit(
            Pool.from_arrays(texts=pool), Context()
        )
        record.add(
            recipe="dsir",
            how=f"smoothing {smoothing:g}",
            scores=len(pool),
            difference=difference(function.scores(), dsir_reference(pool, target, 10_000, smoothing)),
        )
    random = np.random.default_rng(0)
    labels = random.integers(0, 12, 800)
    X = random.normal(size=(12, 64))[labels] + random.normal(size=(800, 64))
    rank = random.random(800)
    for dtype in (np.float64, np.float32, np.float16):
        found = np.maximum(earlier_similarity(X.astype(dtype), labels, rank), -1)
        expected = semdedup_reference(X.astype(dtype).astype(np.float64), labels, rank)
        record.add(
            recipe="semdedup",
            how=f"{np.dtype(dtype).name} vectors",
            scores=len(X),
            difference=difference(found, expected),
        )
    record.save(given.out)


if __name__ == "__main__":
    main()
