"""Which of two sets of texts a text belongs to: logistic regression on hashed bags of words and word n-grams.

log p/(1 - p) = w . x + b with x the n-gram counts of the text, hashed and scaled to length 1: the model of fastText
(Joulin et al. 2017, arXiv 1607.01759) without its bottleneck. The loss is convex and is solved, not sampled, so the
result depends on neither order nor seed. Both sets weigh the same however large they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.word_ngrams import words


class TextClassifier:
    """A linear classifier of texts.

    Args:
        positive: texts of the class whose log-odds are wanted.
        negative: texts of the other class.
        n: longest n-gram in words.
        buckets: number of buckets n-grams are hashed into.
        strength: C, inverse strength of the L2 penalty.

    Raises:
        InputError: a class has no text with a word, or both hold the same texts.
    """

    def __init__(
        self,
        positive: Sequence[str],
        negative: Sequence[str],
        *,
        n: int = 2,
        buckets: int = 1 << 18,
        strength: float = 10.0,
    ) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.linear_model import LogisticRegression

        self._vectors = HashingVectorizer(
            tokenizer=words,
            token_pattern=None,
            lowercase=False,
            ngram_range=(1, n),
            n_features=buckets,
            alternate_sign=False,
        )
        for name, texts in (("positive", positive), ("negative", negative)):
            if not any(text.strip() for text in texts):
                raise InputError(f"the {name} examples hold no text that is not empty")
        if set(positive) == set(negative):
            raise InputError("the positive and the negative examples are the same texts: nothing tells them apart")
        labels = np.repeat([1, 0], [len(positive), len(negative)])
        self._model = LogisticRegression(C=strength, class_weight="balanced", solver="newton-cg", tol=1e-6)
        self._model.fit(self._vectors.transform([*positive, *negative]), labels)

    def log_odds(self, texts: Sequence[str]) -> np.ndarray:
        """Return log p/(1 - p) of the positive class: (len(texts),) float64; the bias b for a text without words."""
        return np.asarray(self._model.decision_function(self._vectors.transform(texts)), np.float64)
