"""AdaMerging: how much each task vector counts is fitted to text, so that the merged model is sure of what it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.maths.consensus import keep_agreeing, weighted_sum
from harmonia.merge.layers import place
from harmonia.merge.sources import Sources
from harmonia.merge.weights.scaled import Scaled
from harmonia.merge.weights.thinning import KeepAll, KeepLargest
from harmonia.merge.weights.ties import Ties, Trim

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class AdaMerging(Scaled):
    """How much each task vector counts is fitted to text of each expert: the merged model becomes sure of what it says.

    theta_0 + sum_i w_i lambda_i,g tau_i;   lambda in [0, 1] minimises sum_i mean entropy of p(. | x), x text of i

    g is the whole model, a layer, or a tensor; p is the distribution of the next token, or of the classes. No label is
    read. With ``density`` (AdaMerging++) tau_i is first trimmed to its largest elements, as in TIES, and loses what has
    not the elected sign. Once fitted, the coefficients are part of the rule, which then reads no text. It was made for
    classifiers; a language model can become sure of the wrong word, so judge what comes out by held-out text. Yang et
    al. 2024 (arXiv 2310.02575).
    """

    kind: Literal["ada-merging"] = "ada-merging"
    references: ClassVar[tuple[str, ...]] = ("yang2024adamerging", "yadav2023ties")
    main: ClassVar[str] = "granularity"
    draws: ClassVar[bool] = True

    granularity: Literal["tensor", "layer", "task"] = "tensor"
    """What has a coefficient of its own of each expert: a tensor, which the authors call layer-wise, a layer with all
    its tensors, or the task vector as a whole."""
    initial: float = Field(0.3, ge=0, le=1)
    """lambda to begin with."""
    steps: int = Field(500, ge=0)
    """Updates; 0 is task arithmetic with ``initial``."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of Adam."""
    batch: int = Field(16, ge=1)
    """Texts of each expert in an update."""
    density: float | None = Field(None, gt=0, le=1)
    """Share of each task vector that stays, 0.2 in the paper's AdaMerging++; all when left out."""
    coefficients: Mapping[str, tuple[float, ...]] | None = None
    """lambda_i of each g, by name of the tensor or layer, or ``model``; left out, they are fitted."""

    def check(self, experts: int, has_base: bool, counts: Sequence[float]) -> None:
        super().check(experts, has_base, counts)
        for group, found in (self.coefficients or {}).items():
            if len(found) != experts:
                raise InputError(
                    f"weights.coefficients of {group}: {len(found)} for {experts} experts: give one for each, in their "
                    "order, or leave them out to fit them"
                )

    def group(self, name: str) -> str:
        """Return what a tensor shares its coefficients with.

        >>> AdaMerging(granularity="layer").group("model.layers.3.mlp.up_proj.weight")
        '3'
        """
        return {"task": "model", "layer": place(name)[0], "tensor": name}[self.granularity]

    def groups(self, names: Iterable[str]) -> list[str]:
        """Return what has coefficients, in the order of tensors."""
        return list(dict.fromkeys(map(self.group, names)))

    def fitted(self, names: Iterable[str], coefficients: np.ndarray) -> Self:
        """Return the rule with its coefficients.

        Args:
            names: of the tensors that are merged, in their order.
            coefficients: (groups, n).
        """
        found = {g: tuple(row) for g, row in zip(self.groups(names), coefficients.tolist(), strict=True)}
        return self.model_copy(update={"coefficients": found})

    def unfitted(self, names: Iterable[str], experts: int) -> Self:
        """Return the rule with all coefficients as they begin: what it costs, before there is text."""
        found = dict.fromkeys(self.groups(names), (self.initial,) * experts)
        return self.model_copy(update={"coefficients": found})

    def survey(self, model: Sequence[Sources], counts: Sequence[float], seed: int) -> Trim | None:
        self.lambdas(model[0].name)
        return self.trim(model, counts)

    def trim(self, model: Sequence[Sources], counts: Sequence[float]) -> Trim | None:
        """Return where the task vectors end that are trimmed; None where they are not."""
        return None if self.density is None else Ties(density=self.density).survey(model, counts, 0)

    def lambdas(self, name: str) -> tuple[float, ...]:
        """Return lambda_i of a tensor: (n,).

        Raises:
            InputError: it was not fitted.
        """
        if self.coefficients is None:
            raise InputError(
                "weights=ada-merging fits its coefficients to text of each expert: give it, --prompts NAME=FILE"
            )
        if self.group(name) not in self.coefficients:
            raise InputError(f"weights.coefficients has none of {self.group(name)}: they were fitted to another model")
        return self.coefficients[self.group(name)]

    def tasks(self, tensor: Sources, counts: Sequence[float], known: Trim | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the base and what is left of the task vectors, piece after piece: (m,) and (n, m)."""
        thin = KeepAll() if known is None else KeepLargest(known.cuts, known.offsets[tensor.name])
        for piece in tensor.pieces():
            tasks = piece.tasks
            thin(tasks, piece.start)
            if known is not None:
                keep_agreeing(tasks, counts)
            assert piece.base is not None
            yield piece.base, tasks

    def moves(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[tuple[Tensor, Tensor]]:
        shares = [count * found for count, found in zip(counts, self.lambdas(tensor.name), strict=True)]
        for base, tasks in self.tasks(tensor, counts, known):
            yield base, weighted_sum(tasks, shares)
