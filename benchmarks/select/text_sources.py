"""Recipes on text from eight sources of very unequal size, judged by the bits per byte of every source.

The judge is a byte 5-gram model (Kneser-Ney) trained on the picks; budgets are shares of the pool's tokens, so that all
recipes train on the same amount of text. Held-out texts: the same number of every source. The pool, the held-out texts
and the picks are drawn anew for every seed, and differences to random are paired by seed. Three tasks:

- sources: all recipes at several budgets;
- copies: 20 % of the pool are copies of other documents, exact or with a tenth of the words changed;
- target: dsir and nearest neighbours towards one small source, on and off that source.

    python -m benchmarks.select.text_sources --task sources --out results
    python -m benchmarks.select.text_sources --task sources --features lsa --out results
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import texts_by_domain
from benchmarks.record import Record, compared, options, single_threaded
from harmonia.core.progress import set_quiet
from harmonia.maths.ngram_lm import NgramLM
from harmonia.select import Budget, Gumbel, Hashing, Pool, SelectRecipe, SemDeDup
from harmonia.select.context import Context
from harmonia.select.engine import choose
from harmonia.select.features.base import Encoder
from harmonia.select.judge.base import summary
from harmonia.select.recipes import BOOK

LONGEST, HELD_OUT, TARGET, TARGET_TEXTS = 1500, 40, "software_peps", 100
SHARES = {
    "reviews_imdb": 0.45,
    "science_nlp_abstracts": 0.2,
    "law_dc_code": 0.12,
    "encyclopedia_dbpedia": 0.08,
    "books_standardebooks": 0.06,
    "software_peps": 0.04,
    "court_oral_arguments": 0.03,
    "dialogue_taskmaster4": 0.02,
}
"""Source -> its share of the pool."""


def named(name: str, *changes: str) -> SelectRecipe:
    """Return a named recipe with some settings changed."""
    return BOOK.load(name).with_settings(changes)


DEDUPLICATED = SelectRecipe(
    features=Hashing(), objective=SemDeDup(eps=0.2), solver=Gumbel(temperature=1e9, normalise=False)
)
"""Near-duplicates are dropped; of what is left every document is as likely as any other."""
ARMS: dict[str, dict[str, SelectRecipe]] = {
    "sources": {
        **{name: named(name) for name in ("random", "stratified", "k-means", "disf", "disf-unit")},
        "disf-unit, whole pool": named("disf-unit", "solver.batch=all"),
        **{name: named(name) for name in ("facility-location", "graph-cut", "log-det", "k-center", "semdedup")},
        "prototypes": named("prototypes"),
    },
    "copies": {
        "random": named("random"),
        "semdedup": named("semdedup"),
        "semdedup at eps .2, then random": DEDUPLICATED,
        "disf-unit, whole pool": named("disf-unit", "solver.batch=all"),
        "facility-location": named("facility-location"),
    },
    "target": {
        "random": named("random"),
        "stratified": named("stratified"),
        "dsir": named("dsir", "objective.min_words=0"),
        "embedding-alignment": named("embedding-alignment"),
    },
}
"""Task -> arm -> recipe."""
BUDGETS = {"sources": [0.01, 0.03, 0.1, 0.3], "copies": [0.03, 0.3, 0.75], "target": [0.03, 0.3]}


@dataclass(frozen=True)
class Task:
    """A pool with texts and vectors, held-out texts by source, texts of the target, and what each text is a copy of."""

    pool: Pool
    texts: Sequence[str]
    held_out: dict[str, list[str]]
    target: tuple[str, ...]
    origin: np.ndarray


def hashing(texts: list[str]) -> Encoder:
    """Return harmonia's default encoder for a pool."""
    features = Hashing()
    return features.encoder(texts[:: max(1, len(texts) // features.sample)])


def latent(texts: list[str]) -> Encoder:
    """Return latent semantic analysis fitted on a pool: tf-idf and its 128 leading directions."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    fitted = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+"), TruncatedSVD(128, random_state=0), Normalizer()
    ).fit(texts)
    return lambda some: fitted.transform(list(some)).astype(np.float32)


ENCODERS = {"hashing": hashing, "lsa": latent}


def task(corpus: dict[str, list[str]], size: int, seed: int, features: str, *, copies: bool) -> Task:
    """Draw held-out texts, a target and a pool."""
    random = np.random.default_rng(seed)
    held_out: dict[str, list[str]] = {}
    target: tuple[str, ...] = ()
    texts: list[str] = []
    sources: list[str] = []
    for source, share in SHARES.items():
        rows = random.permutation(len(corpus[source]))
        held_out[source] = [corpus[source][row] for row in rows[:HELD_OUT]]
        rest = rows[HELD_OUT:]
        if source == TARGET:
            target, rest = tuple(corpus[source][row] for row in rest[:TARGET_TEXTS]), rest[TARGET_TEXTS:]
        taken = rest[: round(share * size)]
        texts += [corpus[source][row] for row in taken]
        sources += [source] * len(taken)
    origin = np.arange(len(texts))
    if copies:
        again = random.choice(len(texts), len(texts) // 4)
        texts += [copied(texts[row], random, exact=i % 2 == 0) for i, row in enumerate(again)]
        sources += [sources[row] for row in again]
        origin = np.concatenate([origin, again])
    encoder = ENCODERS[features](texts)
    pool = Pool.from_arrays(encoder(texts), texts=texts, sources=sources)
    return Task(Pool(**{**vars(pool), "encoder": lambda: encoder}), texts, held_out, target, origin)


def copied(text: str, random: np.random.Generator, *, exact: bool) -> str:
    """Return the text, or the text with a tenth of its words drawn anew from it."""
    words = text.split(" ")
    if exact or len(words) < 10:
        return text
    places = random.choice(len(words), len(words) // 10, replace=False)
    for place, word in zip(places, random.choice(words, len(places)), strict=True):
        words[place] = str(word)
    return " ".join(words)


def aimed(recipe: SelectRecipe, target: tuple[str, ...]) -> SelectRecipe:
    """Return the recipe with the target's texts, if its objective takes any."""
    if "target_texts" not in type(recipe.objective).model_fields:
        return recipe
    return recipe.model_copy(update={"objective": recipe.objective.model_copy(update={"target_texts": target})})


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--task", choices=tuple(ARMS), default="sources")
    parser.add_argument("--features", choices=tuple(ENCODERS), default="hashing")
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--budgets", type=float, nargs="+", help="shares of the pool's tokens")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    given.budgets = given.budgets or BUDGETS[given.task]
    single_threaded(given.threads)
    set_quiet(True)
    corpus = texts_by_domain(LONGEST)
    arms = ARMS[given.task]
    values: dict[float, dict[str, dict[str, list[float]]]] = {b: {arm: {} for arm in arms} for b in given.budgets}
    seconds: dict[float, dict[str, float]] = {b: dict.fromkeys(arms, 0.0) for b in given.budgets}
    for seed in range(given.seeds):
        here = task(corpus, given.documents, seed, given.features, copies=given.task == "copies")
        tokens = int(here.pool.tokens.sum())
        for budget in given.budgets:
            for arm, recipe in arms.items():
                start = time.perf_counter()
                _, picks = choose(
                    aimed(recipe, here.target), here.pool, Budget(round(budget * tokens), "tokens"), Context(seed=seed)
                )
                seconds[budget][arm] += (time.perf_counter() - start) / given.seeds
                model = NgramLM.train([here.texts[row] for row in picks.rows])
                bits = {source: model.bits_per_byte(held) for source, held in here.held_out.items()}
                measures = {"mean": summary(bits)["bpb/mean"], "worst": summary(bits)["bpb/worst"]}
                if given.task == "target":
                    measures = {"on target": bits.pop(TARGET), "off target": float(np.mean(list(bits.values())))}
                if given.task == "copies":
                    origin = here.origin[picks.rows]
                    measures["repeated"] = 1 - len(np.unique(origin)) / len(origin)
                for measure, value in measures.items():
                    values[budget][arm].setdefault(measure, []).append(value)
        print(f"seed {seed} done", flush=True)
    record = Record(
        f"text_{given.task}_{given.features}",
        "Bits per byte, mean ± standard deviation over seeds; Δ: paired difference to random with its 95 % interval",
        vars(given),
    )
    for budget in given.budgets:
        for row in compared(values[budget], "random"):
            record.add(budget=budget, **row, seconds=seconds[budget][row["arm"]])
    record.save(given.out)


if __name__ == "__main__":
    main()
