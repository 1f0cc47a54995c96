"""A stage: its name, the question it answers, its recipes and its bibliography."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harmonia.core.citation import entries
from harmonia.core.recipe import Recipe, RecipeBook


class Trial(Protocol):
    """How a stage is put to the test: what ``harmonia.testing.check_recipe`` needs to run the common battery."""

    identity: str
    """Field of the result that says what was found, whatever its order: ids of documents, names of clients."""

    def run(self, recipe: Recipe, data: Any, *, seed: int, out: Path, resume: bool = False) -> dict[str, np.ndarray]:
        """Run the recipe on the data and return its result as arrays to compare."""
        ...

    def reordered(self, data: Any, folder: Path) -> Any:
        """Return the same data in another order, for which the result must be the same; files go into the folder."""
        ...

    def limits(self, recipe: Recipe) -> Iterator[tuple[str, Recipe, Recipe]]:
        """Yield (name, the recipe at a limit of its settings, the simpler recipe that it must then equal)."""
        ...

    def spoiled(self, data: Any, folder: Path) -> Iterator[tuple[str, Any, str]]:
        """Yield (name, unusable data, a word that the error must contain); files go into the folder."""
        ...


@dataclass(frozen=True)
class Stage:
    """What the command line and the tests need to know of a stage.

    Attributes:
        name: the verb.
        question: the question it answers.
        book: its named recipes.
        references: its BibTeX file.
        compare: runs several recipes on the same data, seeds and budget; the arguments are the stage's own.
        trial: how the common battery runs it.
        reads: whether data at a place (a path, a name), or in memory, are of the kind that this stage learns from.
        diagnose: measures how the sources of such data disagree; the arguments are the stage's own.
    """

    name: str
    question: str
    book: RecipeBook[Any]
    references: Path
    compare: Callable[..., dict[str, Any]]
    trial: Trial
    reads: Callable[[Any], bool]
    diagnose: Callable[..., dict[str, Any]]

    def cite(self, keys: Iterable[str]) -> str:
        """Return the BibTeX of these references.

        Raises:
            HarmoniaError: a key that the bibliography lacks.
        """
        return "\n\n".join(entries(keys, self.references))
