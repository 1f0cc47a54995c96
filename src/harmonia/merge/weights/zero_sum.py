"""Weights by whose sum nothing can be divided."""

from __future__ import annotations

from collections.abc import Sequence

from harmonia.core.errors import InputError


def refuse_zero_sum(normalize: bool, counts: Sequence[float]) -> None:
    """Refuse weights that sum to zero where their sum divides.

    Raises:
        InputError: they do.
    """
    if normalize and abs(sum(counts)) <= 1e-12 * sum(map(abs, counts)):
        listed = ", ".join(f"{count:g}" for count in counts)
        raise InputError(
            f"the weights {listed} sum to 0, so nothing can be divided by it: change them, or set normalize=false"
        )
