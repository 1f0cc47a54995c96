"""Hashed n-grams of words: the bag in which DSIR compares corpora.

Tokens are runs of letters and digits or runs of punctuation, in lower case; an n-gram is its tokens joined by one
space; its bucket is the SHA-256 of that text, read as one number, modulo the number of buckets (Xie et al. 2023).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable

import numpy as np

_WORD_OR_PUNCTUATION = re.compile(r"\w+|[^\w\s]+")
_REMEMBERED = 2_000_000  # n-grams whose bucket is held in memory, about 250 MB


def words(text: str) -> list[str]:
    """Return the lower-case tokens of a text.

    >>> words("Don't stop.")
    ['don', "'", 't', 'stop', '.']
    """
    return _WORD_OR_PUNCTUATION.findall(text.lower())


class _Buckets(dict[str, int]):
    """n-gram -> bucket, hashed on first sight; forgets everything when full, so that memory stays bounded."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def __missing__(self, ngram: str) -> int:
        if len(self) >= _REMEMBERED:
            self.clear()
        bucket = int.from_bytes(hashlib.sha256(ngram.encode("utf-8", "surrogatepass")).digest()) % self.count
        self[ngram] = bucket
        return bucket


class HashedNgrams:
    """Texts to buckets of their n-grams of 1 to ``n`` words.

    Args:
        n: longest n-gram in words.
        buckets: number of buckets.

    >>> HashedNgrams(2, 10000)("the cat").tolist()  # "the", "cat", "the cat"
    [8288, 2366, 143]
    """

    def __init__(self, n: int = 2, buckets: int = 10_000) -> None:
        self.n = n
        self.buckets = buckets
        self._bucket_of = _Buckets(buckets)

    def __call__(self, text: str) -> np.ndarray:
        """Return the bucket of every n-gram of ``text``, shortest n-grams first: (m,) int64; none for no word."""
        tokens = words(text)
        ngrams = list(tokens)
        for length in range(2, self.n + 1):
            ngrams += map(" ".join, zip(*(tokens[i:] for i in range(length)), strict=False))
        return np.fromiter(map(self._bucket_of.__getitem__, ngrams), np.int64, len(ngrams))

    def count(self, texts: Iterable[str]) -> np.ndarray:
        """Return how often each bucket occurs over all texts: (buckets,) int64."""
        total = np.zeros(self.buckets, np.int64)
        for text in texts:
            total += np.bincount(self(text), minlength=self.buckets)
        return total

    def word_count(self, ngrams: int) -> int:
        """Return the number of words of a text from its number of n-grams."""
        longest = self.n * (self.n - 1) // 2
        return (ngrams + longest) // self.n if ngrams >= longest else (math.isqrt(8 * ngrams + 1) - 1) // 2
