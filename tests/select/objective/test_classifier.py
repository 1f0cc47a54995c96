import json

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.core.seeds import uniforms
from harmonia.maths.text_classifier import TextClassifier
from harmonia.select.context import Context
from harmonia.select.keyed_sample import keyed_sample
from harmonia.select.objective.classifier import Classifier
from harmonia.select.objective.heuristic_cls import HeuristicClassifier
from harmonia.select.pool import Pool

RNG = np.random.default_rng(0)
LAW = tuple(" ".join(RNG.choice(["court", "appeal", "judge", "held", "the"], 12)) for _ in range(15))
CODE = tuple(" ".join(RNG.choice(["def", "return", "import", "for", "the"], 12)) for _ in range(15))


def fit(pool, part, **context):
    return part.fit(pool, Context(**context)).scores()


def test_scores_are_the_log_odds_of_the_trained_model():
    pool = Pool.from_arrays(texts=[*LAW[5:], *CODE[5:]])
    scores = fit(pool, Classifier(positive_texts=LAW[:5], negative_texts=CODE[:5]))
    np.testing.assert_array_equal(scores, TextClassifier(LAW[:5], CODE[:5]).log_odds([*LAW[5:], *CODE[5:]]))
    assert scores[:10].min() > 0 > scores[10:].max()


def test_without_negative_examples_random_documents_of_the_pool_stand_in():
    texts = [*LAW[5:], *CODE]
    pool = Pool.from_arrays(texts=texts)
    scores = fit(pool, Classifier(positive_texts=LAW[:5]), seed=3)
    drawn = [texts[i] for i in sorted(keyed_sample(pool.keys, 5, 3, "negative examples"))]
    np.testing.assert_allclose(scores, TextClassifier(LAW[:5], drawn).log_odds(texts), atol=1e-9)
    assert scores[:10].mean() > scores[10:].mean()


def test_examples_are_read_from_files(tmp_path):
    for name, texts in (("good.jsonl", LAW[:5]), ("bad.jsonl", CODE[:5])):
        (tmp_path / name).write_text("".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts)))
    pool = Pool.from_arrays(texts=list(LAW + CODE))
    part = Classifier(positive=str(tmp_path / "good.jsonl"), negative=str(tmp_path / "bad.jsonl"))
    direct = Classifier(positive_texts=LAW[:5], negative_texts=CODE[:5])
    np.testing.assert_array_equal(fit(pool, part), fit(pool, direct))


def test_order_of_documents_does_not_matter():
    texts, part = list(LAW + CODE), Classifier(positive_texts=LAW[:5], negative_texts=CODE[:5])
    order = np.random.default_rng(0).permutation(len(texts))
    np.testing.assert_array_equal(
        fit(Pool.from_arrays(texts=[texts[i] for i in order]), part), fit(Pool.from_arrays(texts=texts), part)[order]
    )


def test_heuristic_classification_keeps_what_passes_the_noisy_threshold():
    texts = [*LAW[5:], *CODE[5:]]
    pool = Pool.from_arrays(texts=texts)
    scores = fit(pool, HeuristicClassifier(positive_texts=LAW[:5], negative_texts=CODE[:5]))
    probability = 1 / (1 + np.exp(-TextClassifier(LAW[:5], CODE[:5]).log_odds(texts)))
    noise = uniforms(pool.keys, 0, "pareto") ** (-1 / 9) - 1
    kept = probability > 1 - noise
    assert (np.isfinite(scores) == kept).all()
    np.testing.assert_allclose(scores[kept], (probability + noise - 1)[kept], atol=1e-12)


def test_a_share_of_two_minus_p_to_the_power_minus_alpha_of_equal_documents_passes():
    # P(p > 1 - e) = P(e > 1 - p) = (2 - p)^-alpha
    pool = Pool.from_arrays(texts=["judge court def"] * 4000)
    part = HeuristicClassifier(positive_texts=("judge court",), negative_texts=("def return",), alpha=9)
    p = 1 / (1 + np.exp(-TextClassifier(["judge court"], ["def return"]).log_odds(["judge court def"])[0]))
    share = np.isfinite(fit(pool, part)).mean()
    expected = (2 - p) ** -9
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 4000))


def test_a_larger_alpha_is_stricter_document_by_document():
    pool = Pool.from_arrays(texts=list(LAW + CODE))
    parts = [HeuristicClassifier(positive_texts=LAW[:5], negative_texts=CODE[:5], alpha=a) for a in (2, 40)]
    loose, strict = (np.isfinite(fit(pool, part)) for part in parts)
    assert not (strict & ~loose).any()
    assert loose.sum() > strict.sum()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Classifier(), "classifier.positive is empty; name a file"),
        (HeuristicClassifier(), "heuristic-cls.positive is empty; name a file"),
        (Classifier(positive_texts=("",)), "classifier.positive: the given list holds no text"),
        (Classifier(positive_texts=("a",), negative_texts=("a",)), "nothing tells them apart"),
    ],
)
def test_bad_examples_are_named(part, message):
    with pytest.raises(InputError, match=message):
        fit(Pool.from_arrays(texts=["x y", "z"]), part)
