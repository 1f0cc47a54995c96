"""Least squares: kept inputs stand in for those that are gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.compress.reconstruction.base import (
    OutputError,
    Reconstruction,
    Repaired,
    balanced,
    check,
    moments_for,
)
from harmonia.compress.site import Moments, Seen
from harmonia.core.errors import InputError
from harmonia.maths.interpolation import Factored, Nested, SingularError, in_order, is_chain
from harmonia.maths.ridge import Relative, penalties

GRID = tuple(float(f"{mantissa}e{exponent}") for exponent in range(-4, 1) for mantissa in (1, 3))
"""The ridges that ``auto`` may take: 1e-4, 3e-4, ... 3."""
START = 0.1
"""The one that it begins with."""


class LeastSquares(Reconstruction):
    """Every removed input is replaced by a linear combination of kept ones, folded into the weights; no bias is added.

    A = (G_SS + lam)^-1 G_SR and W' = W_S + W_R A^T: (d_out, s). This is also the W' nearest to the dense output in
    squares, with lam pulling it to W_S. LIAR without its bias: Wang et al. 2024 (arXiv 2407.13331).
    """

    kind: Literal["ls"] = "ls"
    references: ClassVar[tuple[str, ...]] = ("wang2024liar",)
    main: ClassVar[str] = "ridge"
    centred: ClassVar[bool] = False

    ridge: Literal["auto"] | Annotated[float, Field(ge=0, le=10)] = "auto"
    """lam, relative to what ``relative_to`` says. auto: of 1e-4, 3e-4, ... 3 the one with less error than its
    neighbours on sequences that were held out, downhill from 0.1; where none were, 0.1 with fewer than 4 d tokens, 1e-4
    from 16 d on, 0.01 in between."""
    relative_to: Relative = "channel"
    """channel: to each input's own sum of squares, so that few large inputs do not decide for all; layer: to the mean
    of these; nothing: absolute."""

    def repair(
        self, weight: np.ndarray, bias: np.ndarray | None, seen: Seen | None, kept: np.ndarray, run: int = 1
    ) -> Repaired:
        return self.curve(weight, bias, seen, [kept], run)[0]

    def curve(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        seen: Seen | None,
        sets: Sequence[np.ndarray],
        run: int = 1,
    ) -> list[Repaired]:
        """Return ``repair`` for each of many sets: of sets in one another, all from one factorisation per ridge."""
        for kept in sets:
            check(weight, bias, seen, kept, run)
        moments = moments_for(self.kind, seen)
        order = sorted(range(len(sets)), key=lambda number: len(sets[number]))
        if not is_chain([sets[number] for number in order]):
            return super().curve(weight, bias, seen, sets, run)
        found: dict[int, Repaired] = {}
        if moments.wanted is None:
            whole = [number for number in order if len(sets[number]) == weight.shape[1]]
            found = dict.fromkeys(whole, Repaired(weight, bias, 0.0, None))
            order = [number for number in order if number not in found]
        if order:
            best = self._best(weight, bias, moments, None if seen is None else seen.held, [sets[n] for n in order])
            found |= dict(zip(order, best, strict=True))
        return [found[number] for number in range(len(sets))]

    def _best(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        moments: Moments,
        held: Moments | None,
        chain: list[np.ndarray],
    ) -> list[Repaired]:
        """Return the repairs of sets that are each part of the next, under the best ridge for each."""
        gram = moments.centred if self.centred else moments.gram
        wished, whole = moments.aim(weight, self.centred)
        nested = Nested(gram, wished, weight, chain)
        first = START if held else untested(moments)
        judge = None if held is None or self.ridge != "auto" else OutputError(weight, bias, held, nested.order)
        best: dict[int, tuple[float, Repaired]] = {}

        def better(ridge: float, places: Sequence[int]) -> list[int]:
            """Try a ridge, and return the sets for which none before was as good."""
            factored = self._factored(nested, gram, moments, ridge)
            found = []
            for place in places:
                kept = chain[place]
                solution = factored.solution(len(kept))
                new = in_order(nested.order, kept, solution)
                shift = balanced(weight, bias, moments, kept, new) if self.centred else bias
                loss = judge.of_first(solution, shift) if judge else 0.0
                if place not in best or loss < best[place][0]:
                    best[place] = loss, Repaired(new, shift, factored.left(solution, whole), ridge)
                    found.append(place)
            return found

        every = list(range(len(chain)))
        if judge is None:
            better(first if self.ridge == "auto" else self.ridge, every)
        else:
            middle = GRID.index(START)
            better(START, every)
            for ridges in (GRID[middle + 1 :], GRID[:middle][::-1]):
                # downhill, and the other way only where the first led up
                left = [place for place in every if best[place][1].ridge == START]
                for ridge in ridges:
                    left = better(ridge, left) if left else left
        return [best[place][1] for place in every]

    def _factored(self, nested: Nested, gram: np.ndarray, moments: Moments, ridge: float) -> Factored:
        s = len(nested.order)
        if ridge == 0 and moments.count < s + self.centred:
            raise InputError(
                f"{moments.count} calibration tokens do not determine the weights of {s} kept inputs; raise "
                "reconstruction.ridge above 0, or give more calibration"
            )
        try:
            return nested.factored(penalties(gram, ridge, self.relative_to)[nested.order])
        except SingularError as error:
            raise InputError(
                f"with ridge={ridge:g} the {s} kept inputs depend on each other over {moments.count} tokens; raise "
                "reconstruction.ridge, or give more calibration"
            ) from error


def untested(moments: Moments) -> float:
    """Return the ridge for so many tokens where none are held out to choose it.

    >>> [untested(Moments(count, np.zeros(2), np.eye(2), 1)) for count in (7, 8, 32)]
    [0.1, 0.01, 0.0001]
    """
    d = len(moments.mean)
    return 0.1 if moments.count < 4 * d else 0.01 if moments.count < 16 * d else 1e-4


def too_few(name: str, tokens: int, kept: int) -> str | None:
    """Return a warning where least squares has few tokens for what it fits, else None.

    Args:
        name: of the consumer.
        tokens: N, that it is fitted on.
        kept: s, inputs that stay.
    """
    if tokens >= 8 * kept:
        return None
    return (
        f"{name}: {tokens} calibration tokens for {kept} kept inputs; least squares may overfit below "
        f"{8 * kept}, give more text or a larger reconstruction.ridge"
    )
