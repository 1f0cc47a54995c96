"""What a merge would read, write and take, from headers and from a short trial of the rule; nothing is written."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from harmonia.core.errors import require
from harmonia.data.checkpoints import SHARD, Slot, layout, refuse_input
from harmonia.merge.adamerging import memory
from harmonia.merge.checkpoint_sources import CheckpointSources
from harmonia.merge.engine import lambdas_of, tensor_counts
from harmonia.merge.inputs import Inputs, open_inputs
from harmonia.merge.mixture_work import refuse_dense_options
from harmonia.merge.plan import Plan, Planned
from harmonia.merge.prompts import Prompts
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.recipes import BOOK
from harmonia.merge.sources import Piece
from harmonia.merge.tensor_weights import Patterns
from harmonia.merge.wanted import Wanted
from harmonia.merge.weights.adamerging import AdaMerging
from harmonia.merge.weights.base import Weights
from harmonia.merge.workers import one_thread, workers

SAMPLED = 4_000_000
"""Elements of each model that the trial merges."""
OF_EACH = 500_000
"""Most elements that it takes of one tensor, whole rows."""


def dry_run(
    experts: Sequence[str | Path],
    recipe: str | Path | MergeRecipe = "linear",
    *,
    base: str | Path | None = None,
    weights: Sequence[float] | None = None,
    weights_of: Patterns | str | Path | None = None,
    settings: Iterable[str] = (),
    scalings: Sequence[float] | None = None,
    prompts: Prompts | Mapping[str, Any] | None = None,
    dtype: str | None = None,
    unmatched: Literal["refuse", "reference"] = "refuse",
    allow_pytorch_bin: bool = False,
    shard: int = SHARD,
    threads: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Return what a merge would take; arguments as of ``harmonia.merge``.

    The time is that of reading and merging a sample, for all of the model; writing comes on top, as fast as the disk.

    Returns:
        A JSON record: ``bytes`` (read at once, in all passes, written), ``memory``, ``disk`` (needed, free),
        ``passes`` over the weights, ``seconds``, ``files``, ``tensors``, ``copied``, ``dropped``, ``tied``.

    Raises:
        InputError: whatever would stop the merge before its first number.
    """
    require("torch", "merge")
    record = BOOK.load(recipe).with_settings(settings)
    record.check()
    if record.routing.is_mixture:
        refuse_dense_options(record, weights_of=weights_of, scalings=scalings, unmatched=unmatched)
    inputs = open_inputs(
        experts,
        base,
        dtype=dtype,
        unmatched=unmatched,
        matched=not record.bridging.bridges,
        allow_pytorch_bin=allow_pytorch_bin,
    )
    counts = [1.0] * len(experts) if weights is None else [float(weight) for weight in weights]
    texts = prompts if isinstance(prompts, Prompts) else Prompts(prompts or {})
    texts.check(inputs.experts)
    if record.routing.is_mixture:
        return _mixture(
            record, Wanted(inputs, counts, dtype=dtype, shard=shard, threads=threads, seed=seed), texts, out
        )
    rule, plan = record.weights, inputs.plan
    rule.check(len(experts), base is not None, counts)
    if isinstance(rule, AdaMerging) and rule.coefficients is None and not texts:
        rule.lambdas("")  # says what text to give
    own, models = tensor_counts(inputs, weights_of), max(1, len(lambdas_of(record, scalings)))
    fitting = 0
    if isinstance(rule, AdaMerging) and rule.coefficients is None:
        rule, fitting = rule.unfitted([tensor.slot.name for tensor in plan.merged], len(experts)), memory(plan)
    count = workers(threads)
    cost = plan.estimate(threads=count, base=rule.needs_base)
    seconds, passes = _trial(plan, rule, counts, seed)
    return {
        **_asked(record, inputs, counts),
        "weights_of": len(own),
        "models": models,
        "parameters": sum(tensor.slot.size for tensor in plan.tensors),
        "tensors": len(plan.tensors),
        "copied": list(plan.copied),
        "dropped": [[expert, list(names)] for expert, names in plan.dropped],
        "tied": [list(pair) for pair in plan.tied],
        "files": len(layout([tensor.slot for tensor in plan.tensors], shard)),
        "passes": passes,
        "bytes": {
            "inputs": cost.bytes_read,
            "read": math.ceil(cost.bytes_read * passes),
            "written": models * cost.bytes_written,
        },
        "memory": max(cost.memory + _grams(plan, rule) * count, fitting),
        "disk": {"needed": models * cost.disk, "free": _free(out, plan)},
        "threads": count,
        "seconds": seconds / count,
    }


def _mixture(record: MergeRecipe, wanted: Wanted, texts: Prompts, out: str | Path | None) -> dict[str, Any]:
    """Return what a mixture would take: bytes are copied, what is shared is merged, and a router sees all of it."""
    plan, inputs = wanted.mixture(record, examples=bool(texts)), wanted.inputs
    count, cost = workers(wanted.threads), plan.cost()
    seconds, passes = _trial(inputs.plan, record.weights, wanted.counts, wanted.seed) if inputs.plan.merged else (0, 1)
    pieces = inputs.plan.estimate(threads=count, base=record.weights.needs_base).memory
    whole = 4 * cost.parameters if plan.needs_router or texts else 0
    return {
        **_asked(record, inputs, wanted.counts),
        "models": 1,
        "parameters": cost.parameters,
        "active_parameters": cost.active,
        "tensors": len(plan.slots),
        "copied": [],
        "dropped": [],
        "tied": [],
        "files": len(layout(plan.slots, wanted.shard)) + plan.needs_router,
        "passes": passes,
        "bytes": {"inputs": cost.bytes_read, "read": cost.bytes_read, "written": cost.bytes_written},
        "memory": pieces + whole,
        "disk": {"needed": cost.bytes_written, "free": _free(out, inputs.plan)},
        "threads": count,
        "seconds": seconds / count,
    }


def _asked(record: MergeRecipe, inputs: Inputs, counts: Sequence[float]) -> dict[str, Any]:
    return {
        "stage": "merge",
        "recipe": record.name,
        "base": inputs.base,
        "experts": [{"name": name, "weight": w} for name, w in zip(inputs.experts, counts, strict=True)],
    }


def _free(out: str | Path | None, plan: Plan) -> int:
    """Return the bytes that are free where the result would lie.

    Raises:
        InputError: that is the folder of an input.
    """
    if out is not None:
        refuse_input(Path(out), plan.inputs)
    path = Path(out or ".").resolve()
    return shutil.disk_usage(next(folder for folder in (path, *path.parents) if folder.exists())).free


class _Counting(CheckpointSources):
    """A tensor that counts how much of it is read."""

    elements = 0

    def pieces(self, align: int = 1) -> Iterator[Piece]:
        for piece in super().pieces(align):
            self.elements += piece.experts.shape[1]
            yield piece


def _trial(plan: Plan, rule: Weights, counts: list[float], seed: int) -> tuple[float, float]:
    """Return the seconds that one worker would take for all tensors, and how often it would read each number."""
    sample = [_Counting(plan, tensor, base=rule.needs_base) for tensor in _sample(plan.merged)]
    size = sum(tensor.size for tensor in sample)
    with one_thread():
        begin = time.perf_counter()
        known = rule.survey(sample, counts, seed)
        for tensor in sample:
            for _ in rule.merge(tensor, counts, seed, known):
                pass
        seconds = time.perf_counter() - begin
    whole = sum(tensor.slot.size for tensor in plan.merged)
    return seconds * whole / size, sum(tensor.elements for tensor in sample) / size


def _sample(tensors: Sequence[Planned]) -> list[Planned]:
    """Return the beginnings of tensors from all over the model."""
    each = [_beginning(tensor) for tensor in tensors if tensor.slot.size]
    step = max(1, math.ceil(sum(tensor.slot.size for tensor in each) / SAMPLED))
    return each[::step]


def _beginning(tensor: Planned) -> Planned:
    slot = tensor.slot
    row = math.prod(slot.shape[1:])
    rows = max(1, OF_EACH // row)
    if not slot.shape or slot.shape[0] <= rows:
        return tensor
    part = Slot(slot.name, slot.dtype, (rows, *slot.shape[1:]), rows * row)
    return Planned(part, tensor.base, tensor.experts)


def _grams(plan: Plan, rule: Weights) -> int:
    """Return the bytes of the largest layer's Gram matrices, which a worker holds in float64 with their sums."""
    if rule.reads != "gram":
        return 0
    held = plan.sidecars("gram")
    widest = max(tensor.size for sidecar in held for tensor in sidecar.tensors.values())
    return 8 * widest * (2 * len(held) + 3)
