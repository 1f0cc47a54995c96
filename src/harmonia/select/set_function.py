"""A set function over the pool: what an objective builds and a solver climbs, samples or relaxes.

Values are to be maximised and are normalised for a chosen set of ``size`` documents, so that terms of a weighted
sum are on one scale and the same whatever the solver.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.climb import Climb


class Relaxation(Protocol):
    """A concave extension to fractional membership m in [0, 1]^n with sum m = size."""

    def value(self, m: np.ndarray) -> float:
        """Return f(m); at a 0/1 vector it equals the set function."""
        ...

    def gradient(self, m: np.ndarray) -> np.ndarray:
        """Return the gradient at m: (n,) float64."""
        ...

    def curvature(self, direction: np.ndarray) -> float:
        """Return c >= 0 such that f(m + t p) = f(m) + t gradient.p - c t^2 along ``direction`` p (f is quadratic)."""
        ...


class SetFunction(ABC):
    """f over subsets of a pool of ``n`` documents."""

    n: int
    names: tuple[str, ...]
    """Column name of each additive term; one column per term appears in the picks."""

    @abstractmethod
    def climb(self, rows: np.ndarray | None, size: int) -> Climb:
        """Return a growing empty set over ``rows`` of the pool (all when None), meant to reach ``size`` documents.

        A climb over a subset knows nothing of the rest of the pool: it is the same as if the pool were those rows.
        """

    def scores(self) -> np.ndarray | None:
        """Return the (n,) score of each document when f is modular (a sum over documents), else None."""
        return None

    def forbidden(self) -> np.ndarray:
        """Return which documents no set may hold: (n,) bool. A set with one of them is worth -inf."""
        scores = self.scores()
        return np.zeros(self.n, bool) if scores is None else np.isneginf(scores)

    def addends(self) -> list[tuple[float, SetFunction]]:
        """Return (weight, set function) of each additive term, one per name."""
        return [(1.0, self)]

    def relax(self, size: int) -> Relaxation:
        """Return the concave relaxation for sets of ``size``.

        Raises:
            InputError: there is none.
        """
        raise InputError(f"{'+'.join(self.names)} has no concave relaxation; use solver greedy or mask-policy-gradient")

    def evaluate(self, sets: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return f of each set: (G, S) indices -> (G,) float64.

        Args:
            sets: G sets of S distinct members; indices into ``rows`` when it is given, else into the pool.
            rows: the active part of the pool; f is then the function of that part alone.

        The default climbs through each set; set functions with a closed form override it.
        """
        values = np.empty(len(sets))
        for g, members in enumerate(sets):
            climb = self.climb(rows, len(members))
            total = 0.0
            for member in members:
                total += float(climb.gains(np.array([member]))[0])
                climb.add(int(member))
            values[g] = total
        return values


class ModularClimb:
    """The climb of a sum over documents: gains never change."""

    diminishing = True
    incremental = True

    def __init__(self, gains: np.ndarray) -> None:
        self._gains = np.asarray(gains, np.float64)
        self.size = len(self._gains)

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return self._gains if rows is None else self._gains[rows]

    def add(self, row: int) -> None:
        """Nothing changes."""


class _Linear:
    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights

    def value(self, m: np.ndarray) -> float:
        held = np.flatnonzero(m)  # a document left out may have the score -inf
        return float(self.weights[held] @ m[held])

    def gradient(self, m: np.ndarray) -> np.ndarray:
        return self.weights

    def curvature(self, direction: np.ndarray) -> float:
        return 0.0


class Modular(SetFunction):
    """The mean score of the chosen documents: f(S) = sum_{i in S} score_i / size.

    A score of -inf marks a document that must not be chosen.
    """

    def __init__(self, name: str, scores: np.ndarray) -> None:
        scores = np.asarray(scores, np.float64)
        if np.isnan(scores).any() or np.isposinf(scores).any():
            row = int(np.flatnonzero(np.isnan(scores) | np.isposinf(scores))[0])
            raise InputError(f"{name}: the score of row {row} is {scores[row]}; scores must be numbers")
        self.names = (name,)
        self.n = len(scores)
        self._scores = scores

    def scores(self) -> np.ndarray:
        return self._scores

    def climb(self, rows: np.ndarray | None, size: int) -> ModularClimb:
        return ModularClimb((self._scores if rows is None else self._scores[rows]) / max(size, 1))

    def relax(self, size: int) -> _Linear:
        return _Linear(self._scores / max(size, 1))

    def evaluate(self, sets: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        scores = self._scores if rows is None else self._scores[rows]
        return scores[sets].mean(axis=1)


def weighed(weight: float, values: np.ndarray | float) -> np.ndarray:
    """Return weight x values, float64; -inf stays -inf: what is excluded is so whatever the weight, 0 or negative.

    >>> weighed(-2, np.array([1, -np.inf])).tolist()
    [-2.0, -inf]
    """
    out = np.array(values, np.float64)
    np.multiply(out, weight, out=out, where=~np.isneginf(out))
    return out


class WeightedClimb:
    """The climb of a weighted sum; it also knows each term's own gain, for the columns of the picks."""

    def __init__(self, weights: Sequence[float], climbs: Sequence[Climb]) -> None:
        self.weights = weights
        self.climbs = climbs
        self.size = climbs[0].size
        self.diminishing = all(
            c.diminishing and (w >= 0 or isinstance(c, ModularClimb)) for w, c in zip(weights, climbs, strict=True)
        )
        self.incremental = all(c.incremental for c in climbs)

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return sum(
            (weighed(w, c.gains(rows)) for w, c in zip(self.weights, self.climbs, strict=True)),
            start=np.zeros(self.size if rows is None else len(rows)),
        )

    def term_gains(self, row: int) -> list[float]:
        """Return the unweighted gain of one row under each term."""
        gains: list[float] = []
        for climb in self.climbs:
            gains += (
                climb.term_gains(row) if isinstance(climb, WeightedClimb) else [float(climb.gains(np.array([row]))[0])]
            )
        return gains

    def add(self, row: int) -> None:
        for climb in self.climbs:
            climb.add(row)


class WeightedSum(SetFunction):
    """f = sum_t weight_t f_t."""

    def __init__(self, weights: Sequence[float], terms: Sequence[SetFunction]) -> None:
        self.weights = list(weights)
        self.terms = list(terms)
        self.n = terms[0].n
        seen: dict[str, int] = {}
        names = []
        for name in (name for term in terms for name in term.names):
            seen[name] = seen.get(name, 0) + 1
            names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
        self.names = tuple(names)

    def addends(self) -> list[tuple[float, SetFunction]]:
        return [
            (weight * inner, addend)
            for weight, term in zip(self.weights, self.terms, strict=True)
            for inner, addend in term.addends()
        ]

    def scores(self) -> np.ndarray | None:
        parts = [scores for term in self.terms if (scores := term.scores()) is not None]
        if len(parts) < len(self.terms):
            return None
        return sum((weighed(w, p) for w, p in zip(self.weights, parts, strict=True)), start=np.zeros(self.n))

    def forbidden(self) -> np.ndarray:
        return np.any([term.forbidden() for term in self.terms], axis=0)

    def climb(self, rows: np.ndarray | None, size: int) -> WeightedClimb:
        return WeightedClimb(self.weights, [term.climb(rows, size) for term in self.terms])

    def relax(self, size: int) -> Relaxation:
        for weight, term in zip(self.weights, self.terms, strict=True):
            if weight < 0 and term.scores() is None:
                raise InputError(
                    f"{'+'.join(term.names)} with the weight {weight:g} is convex and has no certificate; "
                    "use solver greedy or mask-policy-gradient"
                )
        return _WeightedRelaxation(self.weights, [term.relax(size) for term in self.terms])

    def evaluate(self, sets: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        return sum(
            (weighed(w, t.evaluate(sets, rows)) for w, t in zip(self.weights, self.terms, strict=True)),
            start=np.zeros(len(sets)),
        )


class _WeightedRelaxation:
    def __init__(self, weights: Sequence[float], terms: Sequence[Relaxation]) -> None:
        self.pairs = list(zip(weights, terms, strict=True))

    def value(self, m: np.ndarray) -> float:
        return float(sum(weighed(w, t.value(m)) for w, t in self.pairs))

    def gradient(self, m: np.ndarray) -> np.ndarray:
        return sum((weighed(w, t.gradient(m)) for w, t in self.pairs), start=np.zeros(len(m)))

    def curvature(self, direction: np.ndarray) -> float:
        return sum(w * t.curvature(direction) for w, t in self.pairs)
