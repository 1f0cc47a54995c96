"""Auxiliary data for a small target: which recipe finds what helps a language model on 30 target documents?

A tiny Llama is trained on seven sources of text without the target source. The pool holds 1,200 documents of these
sources and 60 of the target's. Each arm takes 120 of the pool; the model is then trained for a fixed number of steps on
target plus picks, and judged by the bits per byte of held-out target documents. "none" trains on the target alone,
with the same number of steps. Differences to random are paired by seed (target, pool and held-out documents).

    python -m benchmarks.select.tangent_transfer --out results
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.datasets import texts_by_domain
from benchmarks.record import Record, compared, options, single_threaded
from harmonia.core.progress import set_quiet
from harmonia.select import (
    Budget,
    Constant,
    Gumbel,
    Hashing,
    LossGradient,
    MeanAlignment,
    MeanHidden,
    NoFeatures,
    Pool,
    ProbeNTK,
    PseudoNTK,
    SelectRecipe,
    TopN,
)
from harmonia.select.context import Context
from harmonia.select.engine import choose

if TYPE_CHECKING:
    from harmonia.models.llama import Llama

LONGEST, POOL, RARE, TARGET_TEXTS, HELD_OUT, PICKS = 500, 1200, 60, 30, 60, 120


def arms(model: str, targets: tuple[str, ...]) -> dict[str, SelectRecipe | None]:
    """Return the recipes under comparison; None trains on the target alone."""
    tangent = {"model": model, "target_texts": targets, "batch_tokens": 4096, "max_tokens": 128}
    aligned = {"objective": MeanAlignment(target_texts=targets), "solver": TopN()}
    return {
        "random": SelectRecipe(features=NoFeatures(), objective=Constant(), solver=Gumbel()),
        "none": None,
        "n-gram embedding": SelectRecipe(features=Hashing(), **aligned),
        "hidden states": SelectRecipe(features=MeanHidden(model=model, max_tokens=128), **aligned),
        "loss-alignment": SelectRecipe(features=LossGradient(**tangent, cosine=False), **aligned),
        "pseudo-ntk": SelectRecipe(features=PseudoNTK(**tangent), **aligned),
        "probe-ntk, R=2": SelectRecipe(features=ProbeNTK(**tangent, probes=2), **aligned),
    }


def trained(model: Llama, stream: np.ndarray, steps: int, rate: float, seed: int) -> Llama:
    """Train a model on a stream of tokens."""
    from harmonia.models.train_lm import Schedule, Windows, train

    windows = Windows(stream, 128, seed)
    train(model, lambda step: windows.take(step * 8, 8), Schedule(steps, rate, steps // 10), device="cpu")
    return model


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--target", default="court_oral_arguments")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base-steps", type=int, default=600)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    single_threaded(given.threads)
    set_quiet(True)
    import torch

    from harmonia.models.llama import Llama, LlamaConfig
    from harmonia.models.tokenizer import pack, save_tokenizer, train_tokenizer
    from harmonia.models.train_lm import bits_per_byte

    torch.set_num_threads(given.threads)
    corpus = texts_by_domain(LONGEST)
    own = corpus.pop(given.target)
    each = POOL // len(corpus)
    random = np.random.default_rng(0)
    general = {name: [texts[i] for i in random.permutation(len(texts))[:2000]] for name, texts in corpus.items()}
    tokenizer = train_tokenizer((text for texts in general.values() for text in texts), 2048)
    values: dict[str, dict[str, list[float]]] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Llama(LlamaConfig(tokenizer.get_vocab_size(), width=128, layers=2, context=128), 0)
        mixed = [text for texts in general.values() for text in texts]
        stream = pack(tokenizer, [mixed[i] for i in random.permutation(len(mixed))])
        trained(base, stream, given.base_steps, 3e-3, 0).save(folder)
        save_tokenizer(tokenizer, folder, 128)
        for seed in range(given.seeds):
            random = np.random.default_rng(seed)
            order = [own[i] for i in random.permutation(len(own))]
            targets, held, rare = (
                order[:TARGET_TEXTS],
                order[TARGET_TEXTS : TARGET_TEXTS + HELD_OUT],
                order[TARGET_TEXTS + HELD_OUT : TARGET_TEXTS + HELD_OUT + RARE],
            )
            texts = [texts[i] for texts in corpus.values() for i in random.permutation(len(texts))[:each]] + rare
            for arm, recipe in arms(folder, tuple(targets)).items():
                start = time.perf_counter()
                rows = np.empty(0, np.int64) if recipe is None else picked(recipe, texts, seed)
                seconds[arm] = seconds.get(arm, 0.0) + (time.perf_counter() - start) / given.seeds
                chosen = [texts[row] for row in rows] + targets
                stream = pack(tokenizer, [chosen[i] for i in random.permutation(len(chosen))])
                model = trained(Llama.load(Path(folder)), stream, given.steps, 1e-3, seed)
                measures = values.setdefault(arm, {"bits per byte": [], "share of target": []})
                measures["bits per byte"].append(bits_per_byte(model, tokenizer, held))
                measures["share of target"].append(float(np.mean(rows >= len(texts) - RARE)) if len(rows) else 0.0)
            print(f"seed {seed} done", flush=True)
    record = Record(
        "tangent_transfer",
        "Mean ± standard deviation over seeds; Δ: paired difference to random with its 95 % interval",
        vars(given),
    )
    for row in compared(values, "random"):
        record.add(**row, selection_seconds=seconds[row["arm"]])
    record.facts["base rate of the target in the pool"] = RARE / len(texts)
    record.save(given.out)


def picked(recipe: SelectRecipe, texts: list[str], seed: int) -> np.ndarray:
    """Return the rows that a recipe picks from texts in memory."""
    pool = Pool.from_arrays(texts=texts)
    if not isinstance(recipe.features, NoFeatures):
        encoder = recipe.features.encoder(texts)
        pool = Pool(**{**vars(pool), "features": encoder(texts), "encoder": lambda: encoder})
    return choose(recipe, pool, Budget(PICKS), Context(seed=seed))[1].rows


if __name__ == "__main__":
    main()
