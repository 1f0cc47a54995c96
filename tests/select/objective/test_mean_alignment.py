"""Mean alignment: the identity of the mean, resuming, naming of bad documents, tangents through the objective."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select.context import Context
from harmonia.select.features.hashing import Hashing
from harmonia.select.objective import mean_alignment
from harmonia.select.objective.mean_alignment import MeanAlignment
from harmonia.select.pool import Pool

TEXTS = ["the cat sat on the mat", "stocks fell again today", "a dog chased a cat", "the court ruled on the appeal"]
TARGETS = ("a cat and a dog", "the cat slept")


def pool_of(texts=TEXTS, features=None, encode=None):
    encode = encode or Hashing(dimension=64).encoder([])
    features = encode(texts) if features is None else features
    return replace(Pool.from_arrays(features, texts=list(texts)), encoder=lambda: encode)


class Quick:
    """An aligning encoder whose score of a text is its length times the number of targets."""

    targets: tuple[str, ...] = ("own",)
    built = 0
    scored: tuple[str, ...] = ()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 2), np.float32)

    def alignment(self, targets):
        self.built += 1

        def score(texts):
            self.scored += tuple(texts)
            return np.array([float(len(text)) * len(targets) for text in texts])

        return score


def test_mean_inner_product():
    pool = pool_of()
    scores = MeanAlignment(target_texts=TARGETS).fit(pool, Context()).scores()
    z, t = np.asarray(pool.features, float), Hashing(dimension=64).encoder([])(TARGETS).astype(float)
    np.testing.assert_allclose(scores, (z @ t.T).mean(axis=1), atol=1e-10)
    assert set(np.argsort(-scores)[:2]) == {0, 2}


def test_duplicates():
    once = MeanAlignment(target_texts=TARGETS).fit(pool_of(), Context()).scores()
    twice = MeanAlignment(target_texts=TARGETS * 2).fit(pool_of(TEXTS * 3), Context()).scores()
    np.testing.assert_allclose(twice, np.tile(once, 3), atol=1e-12)
    assert np.array_equal(twice[:4], twice[4:8])


def test_target_from_a_file(tmp_path):
    (tmp_path / "target.jsonl").write_text("".join(f'{{"text": "{t}"}}\n' for t in TARGETS))
    found = MeanAlignment(target=(str(tmp_path / "target.jsonl"),)).fit(pool_of(), Context()).scores()
    assert np.array_equal(found, MeanAlignment(target_texts=TARGETS).fit(pool_of(), Context()).scores())


def test_an_aligning_encoder_scores_the_texts_itself():
    encoder = Quick()
    pool = pool_of(features=np.ones((4, 2)), encode=encoder)
    lengths = np.array([len(t) for t in TEXTS], float)
    assert np.array_equal(MeanAlignment(target_texts=TARGETS).fit(pool, Context()).scores(), 2 * lengths)
    # without a target of its own it takes the encoder's
    assert np.array_equal(MeanAlignment().fit(pool, Context()).scores(), lengths)


def test_finished_chunks_are_not_scored_again(monkeypatch):
    monkeypatch.setattr(mean_alignment, "_CHUNK", 3)
    texts = [f"{'x' * i}" for i in range(1, 11)]
    kept: dict[str, dict[str, np.ndarray]] = {}

    def keep(name, make):
        if name not in kept:
            kept[name] = make()
        return kept[name]

    def run():
        encoder = Quick()
        pool = pool_of(texts, np.ones((10, 2)), encoder)
        return MeanAlignment(target_texts=TARGETS).fit(pool, Context(keep=keep)).scores(), encoder

    whole, first = run()
    assert len(kept) == 4 and first.scored == tuple(texts) and first.built == 1
    kept.pop(sorted(kept)[2])
    again, second = run()
    assert np.array_equal(whole, again) and second.scored == tuple(texts[6:9])
    assert run()[1].built == 0  # nothing left to score: no gradient of the target either
    MeanAlignment(target_texts=("other",)).fit(pool_of(texts, np.ones((10, 2)), Quick()), Context(keep=keep))
    assert len(kept) == 8  # another target has its own scores


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_chunks_change_nothing(monkeypatch, chunk):
    monkeypatch.setattr(mean_alignment, "_CHUNK", chunk)
    pool = pool_of(features=np.ones((4, 2)), encode=Quick())
    assert MeanAlignment().fit(pool, Context()).scores().tolist() == [float(len(t)) for t in TEXTS]


def test_tangent_features_through_the_objective(tiny_llama):
    pytest.importorskip("peft")
    from harmonia.select.features.pseudo_ntk import PseudoNTK

    targets = ("the cat sat.", "a dog ran.")
    encoder = PseudoNTK(model=tiny_llama, target_texts=targets, rank=2).encoder([])
    scores = MeanAlignment().fit(pool_of(features=encoder(TEXTS), encode=encoder), Context()).scores()
    assert np.array_equal(scores, encoder.alignment(targets)(TEXTS))


def test_targets_in_the_pool_are_warned_of():
    said: list[str] = []
    MeanAlignment(target_texts=(TEXTS[1], "new")).fit(pool_of(), Context(warn=said.append))
    assert said == [
        "mean-alignment: 1 document of the pool ('1') are in the target too; drop them if the target is also a test set"
    ]


def test_a_score_that_is_not_finite_names_the_document():
    class Broken(Quick):
        def alignment(self, targets):
            return lambda texts: np.array([1.0, np.nan, np.inf, 0.0])

    with pytest.raises(InputError, match=r"the score of document '1' is nan \(2 of 4\)"):
        MeanAlignment().fit(pool_of(features=np.ones((4, 2)), encode=Broken()), Context())


def test_no_target():
    with pytest.raises(InputError, match=r"mean-alignment\.target is empty; name a file"):
        MeanAlignment().fit(pool_of(), Context())


def test_pool_without_encoder():
    with pytest.raises(InputError, match=r"mean-alignment compares the pool with other texts .*features=hashing"):
        MeanAlignment(target_texts=TARGETS).fit(Pool.from_arrays(np.eye(3)), Context())


def test_other_dimension():
    pool = pool_of(features=np.ones((4, 5)))
    with pytest.raises(InputError, match="the target's vectors have 64 dimensions and the pool's 5"):
        MeanAlignment(target_texts=TARGETS).fit(pool, Context())


def test_target_vector_not_finite():
    def encode(texts):
        return np.array([[1.0, 2.0], [np.nan, 0.0]])

    with pytest.raises(InputError, match="vector of target text 1 is not finite"):
        MeanAlignment(target_texts=TARGETS).fit(pool_of(features=np.ones((4, 2)), encode=encode), Context())
