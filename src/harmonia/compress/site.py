"""A site: one linear layer that consumes the units of a block, and what was seen of its inputs.

Everything of stage ``compress`` that scores, allocates or repairs sees sites and nothing of an architecture. Units are
equal runs of columns of the consumer: a neuron is one column, an attention head d_h of them, a group of query heads
that share a key-value head n_rep d_h.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
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
class Wanted:
    """Outputs y, without bias, that the layer should give at the tokens whose inputs z were seen.

    Attributes:
        mean: (d_out,) of y.
        cross: (d, d_out), sum of z y^T.
        square: sum of |y|^2.
    """

    mean: np.ndarray
    cross: np.ndarray
    square: float


@dataclass
class Moments:
    """What was seen of a consumer's inputs x: enough for every criterion and every repair, at every ratio.

    What is repaired imitates the consumer's output on the inputs seen, unless other outputs are ``wanted``: then the
    inputs come from a prefix that is pruned already, whose damage is repaired along.

    Attributes:
        count: N, tokens.
        mean: (d,) float64.
        gram: (d, d) float64, sum of x x^T.
        sequences: how many sequences the tokens came from.
        wanted: outputs to imitate, where they are others.
    """

    count: int
    mean: np.ndarray
    gram: np.ndarray
    sequences: int
    wanted: Wanted | None = None

    @classmethod
    def paired(cls, count: int, mean: np.ndarray, gram: np.ndarray, sequences: int, inputs: int) -> Moments:
        """Return moments of inputs in the pruned prefix with the outputs that are wanted there.

        Args:
            count: N.
            mean: (d + d_out,) of the rows [input in the pruned prefix, output that is wanted].
            gram: (d + d_out, d + d_out) of the same.
            sequences: how many there were.
            inputs: d.
        """
        square = float(np.trace(gram[inputs:, inputs:]))
        return cls(
            count,
            mean[:inputs],
            gram[:inputs, :inputs],
            sequences,
            Wanted(mean[inputs:], gram[:inputs, inputs:], square),
        )

    @property
    def varies(self) -> np.ndarray:
        """Which inputs are not constant: (d,) bool."""
        square = np.diag(self.gram)
        return square - self.count * self.mean**2 > CONSTANT * square

    @cached_property
    def centred(self) -> np.ndarray:
        """The Gram matrix about the mean: gram - N mean mean^T, (d, d); 0 for inputs that are constant."""
        found, varies = np.multiply.outer(self.mean, -self.count * self.mean), self.varies
        found += self.gram
        if not varies.all():
            found[~varies] = 0
            found[:, ~varies] = 0
        return found

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance of each input: (d,)."""
        return np.where(self.varies, np.diag(self.gram) - self.count * self.mean**2, 0) / max(1, self.count - 1)

    def mean_output(self, weight: np.ndarray) -> np.ndarray:
        """Return the mean of the outputs y to imitate, without bias: (d_out, d) -> (d_out,)."""
        return weight @ self.mean if self.wanted is None else self.wanted.mean

    def wished(self, weight: np.ndarray, centred: bool) -> np.ndarray:
        """Return sum of z y^T, y the outputs to imitate without bias: (d_out, d) -> (d, d_out).

        Args:
            weight: (d_out, d) of the consumer.
            centred: about the means.
        """
        if self.wanted is None:
            return (self.centred if centred else self.gram) @ weight.T
        if not centred:
            return self.wanted.cross
        return (self.wanted.cross - self.count * np.outer(self.mean, self.wanted.mean)) * self.varies[:, None]

    def aim(self, weight: np.ndarray, centred: bool) -> tuple[np.ndarray, float]:
        """Return what is wished, and the sum of |y|^2.

        Args:
            weight: (d_out, d) of the consumer.
            centred: about the means.
        """
        wished = self.wished(weight, centred)
        if self.wanted is None:
            return wished, float(np.einsum("io,oi->", wished, weight))
        about = self.count * float(self.wanted.mean @ self.wanted.mean) if centred else 0.0
        return wished, max(0.0, self.wanted.square - about)


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
