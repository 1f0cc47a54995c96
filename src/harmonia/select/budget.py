"""How much may be picked: documents or tokens, with optional shares per source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harmonia.core.errors import InputError, suggest

_TOKENS = re.compile(r"([0-9]*\.?[0-9]+)\s*([kmgbt%]?)\s*tok(?:ens?)?", re.IGNORECASE)
_SCALE = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Budget:
    """An amount of documents or of tokens.

    Attributes:
        amount: how many documents or tokens.
        unit: ``"documents"`` or ``"tokens"``. A token budget takes documents in order up to and including the one
            that reaches it, as QuRating does.
        floors: source -> smallest share of the budget, in [0, 1].
        ceilings: source -> largest share of the budget, in [0, 1].
    """

    amount: int
    unit: Literal["documents", "tokens"] = "documents"
    floors: Mapping[str, float] = field(default_factory=dict)
    ceilings: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(
        cls,
        text: str | float,
        documents: int,
        tokens: int,
        *,
        floors: Mapping[str, float] | None = None,
        ceilings: Mapping[str, float] | None = None,
    ) -> Budget:
        """Read a budget against a pool of known size.

        ``0.015``, ``1.5%`` and ``1000`` are documents, ``50Mtok`` and ``1.5%tok`` tokens.

        Raises:
            InputError: not a budget, zero or negative, or more than the pool holds.

        >>> Budget.parse("1.5%", 1000, 10**6).amount, Budget.parse("2Mtok", 1000, 10**7).unit
        (15, 'tokens')
        """
        word = str(text).strip()
        bounds = {"floors": dict(floors or {}), "ceilings": dict(ceilings or {})}
        if match := _TOKENS.fullmatch(word):
            scale = tokens / 100 if match[2] == "%" else _SCALE[match[2].lower()]
            amount = round(float(match[1]) * scale)
            _check(amount, tokens, "tokens", word)
            return cls(amount, "tokens", **bounds)
        try:
            number = float(word.removesuffix("%"))
        except ValueError:
            raise InputError(
                f"budget {word!r} is not a budget; write 0.015, 1.5%, 1000 (documents), 50Mtok or 1.5%tok (tokens)"
            ) from None
        share = (
            number / 100 if word.endswith("%") else number if 0 < number < 1 or (number == 1 and "." in word) else None
        )
        if share is not None and share > 1:
            raise InputError(f"budget {word} is more than the pool; give at most 100%")
        if share is None and number != int(number) if np.isfinite(number) else True:
            raise InputError(f"budget {word!r}: a number of documents must be whole; a share lies below 1 or ends in %")
        amount = int(number) if share is None else max(1, round(share * documents)) if share > 0 else 0
        _check(amount, documents, "documents", word)
        return cls(amount, "documents", **bounds)

    def size(self, costs: np.ndarray) -> int:
        """Return the number of documents the budget will hold, estimated by the mean cost for tokens."""
        if self.unit == "documents":
            return min(self.amount, len(costs))
        return max(1, min(len(costs), round(self.amount / float(costs.mean()))))

    def bounds(self, source_names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the most of the budget per source: two (sources,) float64 arrays, in its unit.

        Raises:
            InputError: an unknown source, a share outside [0, 1], or shares that cannot all hold.
        """
        low, high = np.zeros(len(source_names)), np.full(len(source_names), np.inf)
        for what, given, out in (("floor", self.floors, low), ("ceiling", self.ceilings, high)):
            for name, share in given.items():
                if name not in source_names:
                    raise InputError(f"{what}: no source {name!r}{suggest(name, source_names)}")
                if not 0 <= share <= 1:
                    raise InputError(f"{what} of {name!r} is {share}; a share of the budget lies in [0, 1]")
                out[source_names.index(name)] = share * self.amount
        if low.sum() > self.amount * (1 + 1e-9):
            raise InputError(f"the floors add up to {low.sum() / self.amount:.2f} of the budget; at most 1 is possible")
        if (low > high).any():
            name = source_names[int(np.flatnonzero(low > high)[0])]
            raise InputError(f"the floor of {name!r} is above its ceiling")
        return low, high


def _check(amount: int, available: int, unit: str, word: str) -> None:
    if amount < 1:
        raise InputError(f"budget {word} is no {unit}; give at least 1")
    if amount > available:
        raise InputError(f"budget {word} is {amount} {unit}, but the pool has only {available}")
