import json

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.core.seeds import gumbels
from harmonia.maths.word_ngrams import HashedNgrams
from harmonia.select.context import Context
from harmonia.select.objective.dsir import Dsir
from harmonia.select.pool import Pool

RNG = np.random.default_rng(0)
LAW = [" ".join(RNG.choice(["court", "appeal", "judge", "held", "the"], 120)) for _ in range(20)]
CODE = [" ".join(RNG.choice(["def", "return", "import", "for", "the"], 120)) for _ in range(20)]


def fit(pool, part, **context):
    return part.fit(pool, Context(**context)).scores()


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_agrees_with_the_dense_formula(smoothing):
    texts = LAW[:5] + CODE
    scores = fit(Pool.from_arrays(texts=texts), Dsir(target_texts=tuple(LAW[5:]), buckets=500, smoothing=smoothing))
    counts = np.array([np.bincount(HashedNgrams(2, 500)(t), minlength=500) for t in texts], float)
    target = np.sum([np.bincount(HashedNgrams(2, 500)(t), minlength=500) for t in LAW[5:]], axis=0) + smoothing
    p_target, p_raw = target / target.sum(), counts.sum(0) / counts.sum()
    expected = counts @ (np.log(p_target + 1e-8) - np.log(p_raw + 1e-8))
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert scores[:5].min() > scores[5:].max()


def test_a_target_equal_to_the_pool_weighs_everything_the_same_so_noise_decides():
    pool = Pool.from_arrays(texts=LAW + CODE)
    scores = fit(pool, Dsir(target_texts=tuple(LAW + CODE), smoothing=0))
    assert (scores == 0).all()
    noise = gumbels(pool.keys, 0, "gumbel")
    assert (np.argsort(-(scores + noise)) == np.argsort(-noise)).all()


def test_the_sum_makes_a_document_read_twice_weigh_twice():
    texts = [LAW[0], LAW[0] + " \n " + LAW[0], CODE[0]]
    one, two, _ = fit(Pool.from_arrays(texts=texts), Dsir(target_texts=(LAW[1],), n=1))
    assert two == pytest.approx(2 * one, rel=1e-12)


def test_short_documents_are_excluded_with_a_warning():
    said = []
    texts = [LAW[0], "too short", ""]
    scores = fit(Pool.from_arrays(texts=texts), Dsir(target_texts=(LAW[1],)), warn=said.append)
    assert np.isneginf(scores).tolist() == [False, True, True]
    assert said == ["dsir excludes 2 of 3 documents of fewer than 100 words"]
    exactly = " ".join(["w"] * 100)
    assert np.isfinite(fit(Pool.from_arrays(texts=[exactly]), Dsir(target_texts=("w",)))).all()


def test_order_of_documents_and_size_of_blocks_do_not_matter():
    texts, part = LAW + CODE, Dsir(target_texts=tuple(LAW[:3]))
    order = np.random.default_rng(1).permutation(len(texts))
    scores = fit(Pool.from_arrays(texts=texts), part)
    assert (fit(Pool.from_arrays(texts=[texts[i] for i in order]), part) == scores[order]).all()


def test_targets_are_read_from_files_and_form_one_distribution(tmp_path):
    for name, texts in (("a.jsonl", LAW[:3]), ("b.jsonl", LAW[3:6])):
        lines = [json.dumps({"id": f"{name}{i}", "text": text}) for i, text in enumerate(texts)]
        (tmp_path / name).write_text("\n".join(lines))
    pool = Pool.from_arrays(texts=LAW + CODE)
    from_files = fit(pool, Dsir(target=(str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"))))
    np.testing.assert_array_equal(from_files, fit(pool, Dsir(target_texts=tuple(LAW[:6]))))
    one = fit(pool, Dsir(target=str(tmp_path / "a.jsonl")))
    np.testing.assert_array_equal(one, fit(pool, Dsir(target=tmp_path / "a.jsonl")))


def test_a_resumed_run_reads_the_weights_back_and_other_settings_do_not():
    store = {}

    def keep(name, make):
        store.setdefault(name, None)
        store[name] = store[name] or make()
        return store[name]

    pool = Pool.from_arrays(texts=LAW)
    first = fit(pool, Dsir(target_texts=tuple(CODE)), keep=keep)
    silent = Pool.from_arrays(texts=["x"] * len(LAW))
    assert (fit(silent, Dsir(target_texts=tuple(CODE)), keep=keep) == first).all()
    fit(pool, Dsir(target_texts=tuple(LAW)), keep=keep)
    assert len(store) == 2


@pytest.mark.parametrize(
    ("part", "texts", "message"),
    [
        (Dsir(), LAW, r"dsir.target is empty; name a file .* --set objective.target=PATH"),
        (Dsir(target_texts=(" ",)), LAW, "dsir.target: the given list holds no text"),
        (Dsir(target_texts=(LAW[0],)), ["", " "], "none of the 2 documents has a word"),
        (
            Dsir(target_texts=(LAW[0],)),
            ["one two", "three"],
            "all 2 documents have fewer than 100 words; lower it with",
        ),
    ],
)
def test_bad_input_is_named(part, texts, message):
    with pytest.raises(InputError, match=message):
        fit(Pool.from_arrays(texts=texts), part)


def test_a_pool_without_texts_is_refused():
    with pytest.raises(InputError, match="dsir needs the documents' texts"):
        fit(Pool.from_arrays(np.eye(2)), Dsir(target_texts=("a",)))
