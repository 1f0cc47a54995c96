"""One mixture of several models: write it, find its router, tell what the router does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError
from harmonia.core.files import write_json
from harmonia.core.measure import reset_peak_memory
from harmonia.core.run import Run
from harmonia.merge.card import write_mixture_card
from harmonia.merge.disagreement import disagreement as measured
from harmonia.merge.disagreement import summary
from harmonia.merge.inputs import Inputs
from harmonia.merge.plan import Plan
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.wanted import Wanted

if TYPE_CHECKING:
    from harmonia.merge.mixture.building import Built, MixturePlan


def make_mixture(run: Run, record: MergeRecipe, wanted: Wanted) -> None:
    """Do what is left of a run: the mixture, its router, its card, and the summary.

    Args:
        run: open; finished files of an earlier process are kept.
        record: the recipe.
        wanted: models, weights, text and what else is asked for.
    """
    from harmonia.merge.mixture.building import write_mixture

    reset_peak_memory()
    inputs, plan = wanted.inputs, wanted.mixture(record)
    with run.phase("merge"):
        built = write_mixture(
            plan,
            run.result / "model",
            examples=None if wanted.windows is None else wanted.windows.examples(),
            threads=wanted.threads,
            shard=wanted.shard,
            resume=True,
        )
    for line in built.diagnosis.warnings if built.diagnosis is not None else ():
        run.warn(line)
    told = None
    apart = _apart(inputs.plan)
    if wanted.disagreement and apart is not None:
        with run.phase("measure"):
            names = [n for n, e in zip(inputs.experts, inputs.plan.experts, strict=True) if e in apart.experts]
            told = summary(measured(apart, threads=wanted.threads), names)
        write_json(run.result / "disagreement.json", told)
        for line in told["warnings"]:
            run.warn(line)
    found = {**wanted.summary(run, record, told), **_figures(plan, built)}
    write_mixture_card(built, record, inputs, wanted.counts, found)
    write_json(run.result / "summary.json", found)


def refuse_dense_options(record: MergeRecipe, *, weights_of: Any, scalings: Any, unmatched: str) -> None:
    """Refuse what only one dense model has.

    Raises:
        InputError: names the option.
    """
    for option, given in (
        ("weights_of", weights_of is not None),
        ("sweep", scalings is not None),
        ("unmatched=reference", unmatched == "reference"),
    ):
        if given:
            raise InputError(
                f"{option}: recipe {record.name} makes a mixture of experts, which has none; leave it out, or take "
                "routing=none"
            )


def tokenizer_of(inputs: Inputs) -> Any:
    """Return the tokenizer of the models.

    Raises:
        InputError: they have none.
    """
    from harmonia.models.pretrained import load_tokenizer

    return load_tokenizer(str(inputs.plan.reference.folder))


def _apart(plan: Plan) -> Plan | None:
    """Return the plan without experts that are the base itself; None where nothing is left to compare."""
    if plan.base is None or not plan.tensors:
        return None
    kept = [i for i, e in enumerate(plan.experts) if e.folder.resolve() != plan.base.folder.resolve()]
    if not kept:
        return None
    tensors = tuple(replace(t, experts=tuple(t.experts[i] for i in kept) if t.experts else ()) for t in plan.tensors)
    return replace(plan, experts=tuple(plan.experts[i] for i in kept), tensors=tensors)


def _figures(plan: MixturePlan, built: Built) -> dict[str, Any]:
    """Return how large the mixture is, and what its router does."""
    record, seen = built.record, built.diagnosis
    cost = plan.cost()
    return {
        "models": [{"folder": built.folder.name}],
        "parameters": cost.parameters,
        "tensors": len(plan.slots),
        "dtypes": sorted({slot.dtype for slot in plan.slots}),
        "bytes": {"inputs": cost.bytes_read, "model": cost.bytes_written},
        "mixture": {
            "layout": record.layout,
            "stock": built.is_stock,
            "decides": record.decides,
            "top_k": record.top_k,
            "shared": record.shared,
            "shared_tensors": built.shared,
            "copied_tensors": built.copied,
            "active_parameters": cost.active,
            "router": None
            if seen is None
            else {
                "experts": list(seen.experts),
                "domains": list(seen.domains),
                "shares": seen.shares.tolist(),
                "entropy": seen.entropy.tolist(),
                "conditions": list(seen.conditions),
            },
        },
    }
