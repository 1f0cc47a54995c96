import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.maths.text_classifier import TextClassifier
from harmonia.maths.word_ngrams import words

LAW = ["the court held the appeal", "the appeal was dismissed by the court", "a judge of the court"]
CODE = ["def f ( x ) : return x", "import numpy as np", "for x in range ( 3 ) : print ( x )"]


def test_log_odds_solve_the_penalised_regression():
    model = TextClassifier(LAW, CODE, n=1, buckets=64, strength=2.0)
    from sklearn.feature_extraction.text import HashingVectorizer

    vectors = HashingVectorizer(
        tokenizer=words, token_pattern=None, lowercase=False, n_features=64, alternate_sign=False
    )
    x, y = vectors.transform(LAW + CODE).toarray(), np.repeat([1.0, 0.0], 3)
    # at the optimum of C sum log(1 + exp(-...)) + |w|^2 / 2: w = C X^T (y - p), and sum (y - p) = 0
    residual = y - 1 / (1 + np.exp(-model.log_odds(LAW + CODE)))
    assert residual.sum() == pytest.approx(0, abs=1e-4)
    weights = 2.0 * x.T @ residual
    bias = model.log_odds([""])[0]
    np.testing.assert_allclose(model.log_odds(LAW + CODE), x @ weights + bias, atol=1e-3)


def test_new_texts_fall_on_their_side_whatever_the_sizes_and_order_of_the_sets():
    model = TextClassifier(LAW, CODE * 20)
    scores = model.log_odds(["the judge dismissed the appeal", "print ( np )"])
    assert scores[0] > 0 > scores[1]
    again = TextClassifier(LAW[::-1], (CODE * 20)[::-1]).log_odds(["the judge dismissed the appeal", "print ( np )"])
    np.testing.assert_allclose(scores, again, atol=1e-4)


def test_exchanging_the_sets_changes_the_sign():
    query = [*LAW, "for the court"]
    law, code = TextClassifier(LAW, CODE), TextClassifier(CODE, LAW)
    np.testing.assert_allclose(law.log_odds(query), -code.log_odds(query), atol=1e-4)


def test_bad_examples_are_named():
    with pytest.raises(InputError, match="negative examples hold no text"):
        TextClassifier(LAW, ["", " "])
    with pytest.raises(InputError, match="nothing tells them apart"):
        TextClassifier(LAW, LAW[::-1])
