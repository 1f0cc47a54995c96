"""The axis ``weight``: how much each client's model counts in the average."""

from __future__ import annotations

from collections.abc import Sequence

from harmonia.core.part import Part


class Weight(Part):
    """How much each client's change counts: w + sum_i c_i (v_i - w), with c_i = unit_i times a common scale.

    Two steps, so that the server can add up changes as they come and never holds all of them.
    """

    def unit(self, examples: float, steps: int) -> float:
        """Return what a client's change counts before the common scale.

        Args:
            examples: n_i; for a slot that visited several clients, their sum.
            steps: K_i, local steps.
        """
        raise NotImplementedError

    def scale(self, examples: Sequence[float], steps: Sequence[int]) -> float:
        """Return the common scale, once it is known who took part."""
        raise NotImplementedError
