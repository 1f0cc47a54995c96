"""What one run of the stage is asked for, beside its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harmonia.core.citation import entries
from harmonia.core.measure import peak_memory_bytes
from harmonia.core.run import Run
from harmonia.data.checkpoints import SHARD
from harmonia.merge.inputs import Inputs
from harmonia.merge.prompts import Windows
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.references import REFERENCES

if TYPE_CHECKING:
    from harmonia.merge.mixture.building import MixturePlan


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        inputs: the models.
        counts: w_i, the weight of each expert.
        counts_of: other weights, by name of a tensor.
        scalings: lambdas of a sweep; empty without one.
        windows: text of each expert's domain, or None.
        dtype: of all weights, or None for the base's.
        shard: most bytes of a file.
        threads: workers, or None for one per core.
        disagreement: whether it is measured where there is a base.
        seed: of whatever is drawn.
    """

    inputs: Inputs
    counts: list[float]
    counts_of: dict[str, list[float]] = field(default_factory=dict)
    scalings: list[float] = field(default_factory=list)
    windows: Windows | None = None
    dtype: str | None = None
    shard: int = SHARD
    threads: int | None = None
    disagreement: bool = True
    seed: int = 0

    def mixture(self, record: MergeRecipe, examples: bool | None = None) -> MixturePlan:
        """Return the plan of a mixture.

        Args:
            record: the recipe.
            examples: whether there will be text of the experts; None where ``windows`` tells.

        Raises:
            InputError: experts or parts do not suit.
        """
        from harmonia.merge.mixture.building import plan_mixture

        return plan_mixture(
            self.inputs.plan.experts,
            rule=record.weights,
            routing=record.routing,
            bridging=record.bridging,
            base=self.inputs.plan.base,
            names=self.inputs.experts,
            counts=self.counts,
            examples=self.windows is not None if examples is None else examples,
            dtype=self.dtype,
            seed=self.seed,
        )

    def summary(self, run: Run, record: MergeRecipe, told: dict[str, Any] | None) -> dict[str, Any]:
        """Return what every summary says, whatever was made."""
        names: Sequence[str] = self.inputs.experts
        return {
            "stage": "merge",
            "recipe": record.name,
            "axes": {axis: part.kind_name() for axis, part in record.choices().items()},
            "base": self.inputs.base,
            "experts": [{"name": name, "weight": count} for name, count in zip(names, self.counts, strict=True)],
            "weights_of": len(self.counts_of),
            "seed": self.seed,
            "disagreement": None if told is None else {"model": told["model"], "layers": told["layers"]},
            "seconds": run.seconds,
            "peak_memory_bytes": peak_memory_bytes(),
            "warnings": run.warnings,
            "cite": entries(run.request["references"], REFERENCES),
        }
