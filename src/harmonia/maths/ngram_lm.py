"""A byte n-gram language model with interpolated Kneser-Ney smoothing: a quick judge of text.

P_m(b | c) = max(N(cb) - D_m, 0) / N(c) + D_m T(c) / N(c) P_{m-1}(b | c'), where c' drops the oldest byte of the
context c, T(c) counts the distinct bytes seen after it, N counts occurrences at the highest order and distinct left
neighbours below it, D_m = n_1 / (n_1 + 2 n_2), and P_0 = 1/256 (Kneser and Ney 1995; Chen and Goodman 1999).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harmonia.core.errors import InputError

_BITS = 9  # a byte, or the mark of the start
_START = 256
_BATCH = 1 << 21  # bytes worked on at once
_BUFFER = 1 << 24  # n-grams counted between two merges


@dataclass(frozen=True)
class _Level:
    """n-grams of one length with their probability, and contexts with the weight of the next lower level."""

    ngrams: np.ndarray
    probability: np.ndarray
    contexts: np.ndarray
    backoff: np.ndarray


class NgramLM:
    """Probabilities of the next byte; made by ``NgramLM.train`` and unchanged from then on.

    >>> model = NgramLM.train(["abab" * 50, "abba" * 50], order=3)
    >>> bool(model.bits_per_byte(["abab"]) < 1 < model.bits_per_byte(["qrst"]))
    True
    """

    def __init__(self, order: int, levels: Sequence[_Level]) -> None:
        self.order = order
        self._levels = levels

    @classmethod
    def train(cls, texts: Iterable[str], order: int = 5) -> NgramLM:
        """Count the n-grams of ``texts`` in one pass; memory grows with the number of distinct n-grams only.

        Args:
            texts: at least one text that is not empty.
            order: n, in bytes, 1 to 7.

        Raises:
            InputError: ``order`` is out of range, or there is no text.
        """
        if not 1 <= order <= 7:
            raise InputError(f"the order of the n-gram model is {order}; it lies in 1 to 7")
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        held = 0
        for batch in _batches(texts):
            keys, _ = _ngrams(batch, order)
            parts.append(_count(keys, np.ones(len(keys), np.int64)))
            held += len(parts[-1][0])
            if held > _BUFFER:
                parts = [_merge(parts)]
                held = 0
        if not parts or not len(parts[0][0]):
            raise InputError("the n-gram model has no text to learn from")
        keys, counts = _merge(parts)
        tables = [(keys, counts)]
        for length in range(order - 1, 0, -1):
            keys = keys & np.uint64((1 << _BITS * length) - 1)
            tables.append(_count(keys, np.ones(len(keys), np.int64)))
            keys = tables[-1][0]
        levels: list[_Level] = []
        for keys, counts in reversed(tables):
            levels.append(_level(keys, counts, levels))
        return cls(order, levels)

    def bits(self, texts: Sequence[str]) -> np.ndarray:
        """Return -log2 P of each text, summed over its bytes (UTF-8): (len(texts),) float64; 0 for an empty text."""
        found: list[np.ndarray] = []
        for batch in _batches(texts):
            keys, lengths = _ngrams(batch, self.order)
            distinct, place = np.unique(keys, return_inverse=True)
            cost = -np.log2(_probability(distinct, self._levels))[place]
            found.append(np.bincount(np.repeat(np.arange(len(batch)), lengths), weights=cost, minlength=len(batch)))
        return np.concatenate(found) if found else np.empty(0)

    def bits_per_byte(self, texts: Sequence[str]) -> float:
        """Return the bits per byte of all texts together.

        Raises:
            InputError: the texts hold no byte.
        """
        size = sum(len(_encode(text)) for text in texts)
        if not size:
            raise InputError("bits per byte need at least one text that is not empty")
        return float(self.bits(texts).sum()) / size

    def next_byte(self, context: bytes) -> np.ndarray:
        """Return the probability of each byte after ``context`` at the start of a text: (256,) float64."""
        history = 0
        for symbol in [*[_START] * (self.order - 1), *context][len(context) :]:
            history = history << _BITS | symbol
        return _probability(np.uint64(history << _BITS) + np.arange(256, dtype=np.uint64), self._levels)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _batches(texts: Iterable[str]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for text in texts:
        batch.append(_encode(text))
        size += len(batch[-1])
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _ngrams(batch: Sequence[bytes], order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n-gram that ends at each byte, oldest symbol in the highest bits: (bytes,) uint64; and the lengths."""
    lengths = np.array([len(text) for text in batch], np.int64)
    padding = order - 1
    symbols = np.full(int(lengths.sum()) + padding * len(batch), _START, np.uint64)
    places = np.arange(int(lengths.sum())) + padding * (1 + np.repeat(np.arange(len(batch)), lengths))
    symbols[places] = np.frombuffer(b"".join(batch), np.uint8)
    keys = np.zeros(len(places), np.uint64)
    for back in range(order):
        keys |= symbols[places - back] << np.uint64(_BITS * back)
    return keys, lengths


def _count(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys, kind="stable")
    distinct, starts = np.unique(keys[order], return_index=True)
    return distinct, np.add.reduceat(counts[order], starts) if len(starts) else counts


def _merge(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return _count(np.concatenate([keys for keys, _ in parts]), np.concatenate([counts for _, counts in parts]))


def _level(keys: np.ndarray, counts: np.ndarray, lower: Sequence[_Level]) -> _Level:
    contexts, starts, kinds = np.unique(keys >> np.uint64(_BITS), return_index=True, return_counts=True)
    totals = np.add.reduceat(counts, starts)
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    # an estimate of 0 or 1 would leave unseen or seen bytes without mass
    discount = float(np.clip(once / max(once + 2 * twice, 1), 0.1, 0.9))
    backoff = discount * kinds / totals
    owner = np.repeat(np.arange(len(contexts)), kinds)
    below = _probability(keys & np.uint64((1 << _BITS * len(lower)) - 1), lower)
    return _Level(keys, (counts - discount) / totals[owner] + backoff[owner] * below, contexts, backoff)


def _probability(keys: np.ndarray, levels: Sequence[_Level]) -> np.ndarray:
    """Return P of the last symbol of each n-gram given those before it: (m,) float64."""
    result = np.ones(len(keys))
    waiting = np.arange(len(keys))
    for length in range(len(levels), 0, -1):
        level = levels[length - 1]
        wanted = keys[waiting] & np.uint64((1 << _BITS * length) - 1)
        place, found = _find(level.ngrams, wanted)
        result[waiting[found]] *= level.probability[place[found]]
        waiting, wanted = waiting[~found], wanted[~found]
        place, found = _find(level.contexts, wanted >> np.uint64(_BITS))
        result[waiting[found]] *= level.backoff[place[found]]
    result[waiting] /= 256
    return result


def _find(table: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return place, table[place] == wanted
