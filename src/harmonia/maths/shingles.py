"""Word shingles: two texts are near duplicates when their sets of k-word runs have a large Jaccard similarity.

J(a, b) = |A & B| / |A | B|. Broder 1997, "On the resemblance and containment of documents". Against a small reference
set the similarity is exact and cheap: a text of which less than a share t of the shingles occurs anywhere in the
reference cannot reach J >= t with any one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np

_FACTORS = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xFF51AFD7ED558CCD,
        0xC4CEB9FE1A85EC53,
        0xBF58476D1CE4E5B9,
        0x94D049BB133111EB,
    ],
    np.uint64,
)


def shingles(text: str, width: int = 5) -> np.ndarray:
    """Return the distinct hashed runs of ``width`` words, sorted: (m,) uint64.

    Words are split at white space and compared in lower case. A text of fewer words is one shingle; a text
    without words has none.

    Args:
        text: any text.
        width: words per shingle, 1 to 8.

    >>> len(shingles("a b c d e f")), len(shingles("a b")), len(shingles(" "))
    (2, 1, 0)
    """
    words = np.fromiter(map(crc32, text.lower().encode().split()), np.uint64)
    if not len(words):
        return words
    width = min(width, len(words))
    runs = np.zeros(len(words) - width + 1, np.uint64)
    for place in range(width):
        run = (words[place : place + len(runs)] + np.uint64(1)) * _FACTORS[place]
        runs += run ^ (run >> np.uint64(29))
    return np.unique(runs)


class ShingleIndex:
    """The shingles of a few reference texts, to ask how near a text comes to any of them.

    Args:
        texts: the reference; one uint64 and one int32 is kept per distinct shingle of each text.
        width: words per shingle.
    """

    def __init__(self, texts: Iterable[str], width: int = 5) -> None:
        self.width = width
        sets = [shingles(text, width) for text in texts]
        self._sizes = np.array([len(s) for s in sets], np.int64)
        runs = np.concatenate(sets) if sets else np.empty(0, np.uint64)
        owners = np.repeat(np.arange(len(sets), dtype=np.int32), self._sizes)
        order = np.argsort(runs, kind="stable")
        self._runs, self._owners = runs[order], owners[order]

    def similarity(self, text: str, threshold: float = 0.0) -> float:
        """Return the largest Jaccard similarity with a reference text, or 0 when it is below ``threshold``."""
        own = shingles(text, self.width)
        if not len(own) or not len(self._runs):
            return 0.0
        low, high = np.searchsorted(self._runs, own, "left"), np.searchsorted(self._runs, own, "right")
        counts = high - low
        if np.count_nonzero(counts) < threshold * len(own):
            return 0.0
        # positions low_i .. high_i - 1 of every shingle, end to end
        ends = np.cumsum(counts)
        positions = np.arange(ends[-1]) + np.repeat(low - (ends - counts), counts)
        common = np.bincount(self._owners[positions], minlength=len(self._sizes))
        best = float((common / (len(own) + self._sizes - common)).max())
        return best if best >= threshold else 0.0
