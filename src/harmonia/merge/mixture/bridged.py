"""One embedding and one head for experts of several widths, and the least-squares maps to the experts' own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import Checkpoint
from harmonia.maths.ridge_regression import RidgeRegression
from harmonia.merge.bridging.base import Average

if TYPE_CHECKING:
    from torch import Tensor

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"

_ROWS = 4096
"""Words of the vocabulary that are worked on at a time."""


@dataclass(frozen=True)
class Ends:
    """Embedding and head, the shared ones in memory and the experts' in their files.

    Attributes:
        experts: the dense models.
        embedding: M_e: (V, d_m) float32.
        head: M_h: (V, d_m) float32; the embedding itself where all experts tie the two.
        widths: d_i.
    """

    experts: Sequence[Checkpoint]
    embedding: Tensor
    head: Tensor
    widths: tuple[int, ...]

    @property
    def width(self) -> int:
        """d_m."""
        return self.embedding.shape[1]

    @classmethod
    def of(cls, experts: Sequence[Checkpoint], tied: bool, average: Average) -> Ends:
        """Return the zero-padded means of experts' embeddings and heads.

        Args:
            experts: of one vocabulary.
            tied: whether heads are embeddings.
            average: what sums are divided by: l, or the number of experts that have the column.

        Raises:
            InputError: several vocabularies.
        """
        shapes = [expert.tensor(EMBEDDING).shape for expert in experts]
        if len({shape[0] for shape in shapes}) > 1:
            raise InputError(
                f"experts have vocabularies of {', '.join(str(shape[0]) for shape in shapes)} words: bridging joins "
                "widths, not tokenizers; give experts of one tokenizer"
            )
        embedding = padded_mean([whole(expert, EMBEDDING) for expert in experts], average)
        head = embedding if tied else padded_mean([whole(expert, HEAD) for expert in experts], average)
        return cls(experts, embedding, head, tuple(shape[1] for shape in shapes))

    def least_squares(self) -> dict[str, Tensor]:
        """Return In_i, from rows of M_e to those of an expert, and Out_i = pinv(M_h) head_i, by expert."""
        import torch

        tensors = {}
        name = EMBEDDING if self.head is self.embedding else HEAD
        for number, expert in enumerate(self.experts):
            into = _map(self.embedding, whole(expert, EMBEDDING))
            out = _map(self.head, whole(expert, name))
            tensors[f"{number}.in.0.weight"] = torch.from_numpy(into.T.astype(np.float32)).contiguous()
            tensors[f"{number}.out.0.weight"] = torch.from_numpy(out.astype(np.float32)).contiguous()
        return tensors


def padded_mean(tables: Sequence[Tensor], average: Average) -> Tensor:
    """Return the mean of tables that are padded with zeros on the right: (V, d_i) each -> (V, max d_i).

    Args:
        tables: at least one.
        average: experts: sums are divided by the number of tables. contributors: by that of the tables that have the
            column.

    >>> import torch
    >>> tables = [torch.ones(1, 1), torch.full((1, 2), 3.0)]
    >>> padded_mean(tables, "experts").tolist(), padded_mean(tables, "contributors").tolist()
    ([[2.0, 1.5]], [[2.0, 3.0]])
    """
    import torch

    width = max(table.shape[1] for table in tables)
    total = torch.zeros(len(tables[0]), width)
    counts = torch.zeros(width)
    for table in tables:
        total[:, : table.shape[1]] += table.float()
        counts[: table.shape[1]] += 1
    return total / (counts if average == "contributors" else len(tables))


def whole(model: Checkpoint, name: str) -> Tensor:
    """Return a tensor of a checkpoint in memory, float32.

    Raises:
        InputError: numbers that are not finite.
    """
    import torch

    stored = model.tensor(name)
    out = torch.empty(stored.size)
    model.read(name, 0, out)
    if not torch.isfinite(out).all():
        raise InputError(
            f"{stored.path}: tensor {name} has NaN or infinite numbers: repair or leave out this checkpoint"
        )
    return out.view(stored.shape)


def _map(rows: Tensor, targets: Tensor) -> np.ndarray:
    """Return the least-squares map A, rows A = targets, of the smallest norm: (V, d), (V, m) -> (d, m)."""
    sums = RidgeRegression(rows.shape[1], targets.shape[1])
    for start in range(0, len(rows), _ROWS):
        sums.add(rows[start : start + _ROWS], targets[start : start + _ROWS])
    return sums.solve(0.0)
