"""The objective axis: what makes a set of documents good."""

from __future__ import annotations

from abc import abstractmethod

from harmonia.core.part import Part
from harmonia.select.context import Context
from harmonia.select.pool import Pool
from harmonia.select.set_function import SetFunction


class Objective(Part):
    """Turns a pool into a set function."""

    @abstractmethod
    def fit(self, pool: Pool, context: Context) -> SetFunction:
        """Return the set function over ``pool``; whatever must be learned (clusters, a classifier) is learned here.

        Raises:
            InputError: the pool lacks what the objective needs, or holds unusable values.
        """
