"""A site: one linear layer that consumes the units of a block, and what was seen of its inputs.

Everything of stage ``compress`` that scores, allocates or repairs sees sites and nothing of an architecture. Units are
equal runs of columns of the consumer: a neuron is one column, an attention head d_h of them, a group of query heads
that share a key-value head n_rep d_h.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["heads", "neurons"]

CONSTANT = 1e-12
"""An input whose variance is less than this share of its mean square does not vary; rounding leaves as much."""


@dataclass(frozen=True)
class Site:
    """One consumer.

    Attributes:
        name: of the consumer in the model, e.g. ``model.layers.3.mlp.down_proj``.
        layer: number of its block, from 0.
        kind: of its units.
        units: how many there are.
        run: columns of a unit; units * run = d.
        weight: (d_out, d) of the consumer, y = W x + b.
        bias: (d_out,), or None.
        parameters: of one unit: its columns here, and its rows in the layers that produce it.
        macs: multiplications of one unit per token, at the sequence length of the calibration.
    """

    name: str
    layer: int
    kind: Kind
    units: int
    run: int
    weight: Tensor
    bias: Tensor | None
    parameters: int
    macs: int

    @property
    def matrix(self) -> np.ndarray:
        """The weight in float64: (d_out, d).

        Raises:
            InputError: the weight is a placeholder without numbers.
        """
        if self.weight.is_meta:
            raise InputError(f"{self.name} is on the meta device and holds no numbers; load the model's weights first")
        return self.weight.detach().cpu().double().numpy()

    def columns(self, kept: np.ndarray) -> np.ndarray:
        """Return the columns of these units, in order: (s,) int64 -> (s run,)."""
        return (np.asarray(kept, np.int64)[:, None] * self.run + np.arange(self.run)).reshape(-1)


@dataclass
class Dense:
    """Inputs x of the dense model at the tokens whose inputs z in the pruned prefix were seen too.

    Attributes:
        mean: (d,) of x.
        gram: (d, d), sum of x x^T.
        cross: (d, d), sum of z x^T.
    """

    mean: np.ndarray
    gram: np.ndarray
    cross: np.ndarray


@dataclass
class Moments:
    """What was seen of a consumer's inputs x: enough for every criterion and every repair, at every ratio.

    What is repaired imitates the consumer's output on the dense model's inputs. These are the inputs seen, unless
    ``dense`` tells others: then the inputs seen come from a prefix that is pruned already, whose damage is repaired
    along.

    Attributes:
        count: N, tokens.
        mean: (d,) float64.
        gram: (d, d) float64, sum of x x^T.
        sequences: how many sequences the tokens came from.
        dense: the dense model's inputs at the same tokens, where they are others.
    """

    count: int
    mean: np.ndarray
    gram: np.ndarray
    sequences: int
    dense: Dense | None = None

    @classmethod
    def paired(cls, count: int, mean: np.ndarray, gram: np.ndarray, sequences: int) -> Moments:
        """Return moments of inputs in the pruned prefix with those of the dense model beside them.

        Args:
            count: N.
            mean: (2 d,) of the rows [input in the pruned prefix, input in the dense model].
            gram: (2 d, 2 d) of the same.
            sequences: how many there were.
        """
        d = len(mean) // 2
        return cls(count, mean[:d], gram[:d, :d], sequences, Dense(mean[d:], gram[d:, d:], gram[:d, d:]))

    @property
    def varies(self) -> np.ndarray:
        """Which inputs are not constant: (d,) bool."""
        square = np.diag(self.gram)
        return square - self.count * self.mean**2 > CONSTANT * square

    @property
    def centred(self) -> np.ndarray:
        """The Gram matrix about the mean: gram - N mean mean^T, (d, d); 0 for inputs that are constant."""
        varies = self.varies
        return (self.gram - self.count * np.outer(self.mean, self.mean)) * varies * varies[:, None]

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance of each input: (d,)."""
        return np.where(self.varies, np.diag(self.gram) - self.count * self.mean**2, 0) / max(1, self.count - 1)

    def wished(self, weight: np.ndarray, centred: bool) -> np.ndarray:
        """Return sum of x y^T, y the dense outputs without bias: (d_out, d) -> (d, d_out).

        Args:
            weight: (d_out, d) of the consumer.
            centred: about the means.
        """
        if self.dense is None:
            return (self.centred if centred else self.gram) @ weight.T
        cross = self.dense.cross
        if centred:
            cross = (cross - self.count * np.outer(self.mean, self.dense.mean)) * self.varies[:, None]
        return cross @ weight.T


@dataclass(frozen=True)
class Seen:
    """What calibration saw at a site.

    Attributes:
        fit: moments that repairs are fitted on.
        held: moments of other sequences, by which a ridge is chosen; None where there are none.
        gradients: (B, units) gradient of each batch's or example's loss by a mask on the units; None without labels.
        slices: sums over all weights of each unit that Taylor criteria need, by name, and norms of its slice in each
            tensor, by ``l1:tensor`` and ``l2:tensor``: (units,).
    """

    fit: Moments
    held: Moments | None = None
    gradients: np.ndarray | None = None
    slices: dict[str, np.ndarray] = field(default_factory=dict)
