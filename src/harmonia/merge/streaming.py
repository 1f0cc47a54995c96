"""Merging checkpoints tensor by tensor: each worker reads, merges and writes one tensor, a piece at a time.

Memory is that of a few pieces per worker, whatever the size of the model. A rule gets the same numbers in the same
order whoever works and however long pieces are, so the result is the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.errors import InputError, require
from harmonia.data.checkpoints import SHARD, AdaptedCheckpoint, CheckpointWriter
from harmonia.maths.task_vectors import Disagreement
from harmonia.merge.checkpoint_sources import CheckpointSources
from harmonia.merge.disagreement import Notes, disagreement
from harmonia.merge.plan import Plan, Planned
from harmonia.merge.sources import PIECE
from harmonia.merge.workers import in_threads, one_thread

if TYPE_CHECKING:
    from harmonia.merge.weights.base import Weights


@dataclass(frozen=True)
class Merged:
    """What was done.

    Attributes:
        folder: the new checkpoint.
        tensors: how many it has.
        resumed: how many of them an earlier process had written.
        untouched: how many of the others are the base's in every expert, and were copied.
        disagreement: of the experts in every merged tensor, in the order of the files; empty unless asked for.
    """

    folder: Path
    tensors: int
    resumed: int
    untouched: int
    disagreement: dict[str, Disagreement]


def merge(
    plan: Plan,
    rule: Weights,
    folder: str | Path,
    *,
    counts: Sequence[float] | None = None,
    seed: int = 0,
    threads: int | None = None,
    piece: int = PIECE,
    shard: int = SHARD,
    measure: bool = False,
    resume: bool = False,
) -> Merged:
    """Write the checkpoint that a rule makes of experts.

    Args:
        plan: which tensors of which checkpoints.
        rule: how tensors are merged.
        folder: new, empty, or with ``resume`` one that was not finished.
        counts: w_i, the weight of each expert; None for 1 each.
        seed: of whatever is drawn.
        threads: workers; None for one per core.
        piece: elements of a piece.
        shard: most bytes of a file.
        measure: measure the experts' disagreement on the way; reads the base even where the rule does not.
        resume: go on where an earlier process was stopped; its finished files are kept.

    Raises:
        InputError: rule, weights, output folder or disk do not suit; NaN or infinite numbers.
        RunError: the disk is full; what was finished is kept.
    """
    require("torch", "lm")
    counts = _counts(plan, rule, counts)
    measured = measure and plan.base is not None
    sources: dict[str, CheckpointSources] = {
        tensor.slot.name: CheckpointSources(
            plan, tensor, piece=piece, base=rule.needs_base or measured, measured=measured
        )
        for tensor in plan.merged
    }
    request = {
        "rule": rule.model_dump(mode="json"),
        "counts": counts,
        "seed": seed,
        "inputs": [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in _files(plan)],
    }
    writer = CheckpointWriter(
        Path(folder),
        [tensor.slot for tensor in plan.tensors],
        inputs=plan.inputs,
        request=request,
        shard=shard,
        resume=resume,
    )
    waiting = [tensor for tensor in plan.tensors if not writer.finished(tensor.slot.name)]
    notes = Notes(writer.notes / "disagreement.jsonl")
    with writer:
        known = None
        if any(tensor.experts for tensor in waiting):
            with one_thread():
                known = rule.survey(list(sources.values()), counts, seed)

        def work(tensor: Planned, advance: Callable[[int], None]) -> bool:
            source = sources.get(tensor.slot.name)
            if source is None:
                _copy(plan, tensor, writer, piece, advance)
                writer.done(tensor.slot.name)
                return False
            untouched = rule.needs_base and source.untouched()
            if untouched:
                for start, values in source.base_pieces():
                    writer.write(source.name, start, values)
                    advance(len(values))
            else:
                start = 0
                for values in rule.merge(source, counts, seed, known):
                    writer.write(source.name, start, values)
                    start += len(values)
                    advance(len(values))
            if source.disagreement is not None:
                notes.keep(source.name, source.disagreement)
            writer.done(source.name)
            return untouched

        with notes:
            untouched = sum(in_threads(waiting, work, threads, "merging, MB"))
        lost = [tensor for tensor in plan.merged if measured and tensor.slot.name not in notes.held]
        notes.held |= disagreement(plan, tensors=lost, threads=threads, piece=piece) if lost else {}
        writer.complete(plan.config(), plan.reference.folder)
    found = {tensor.slot.name: notes.held[tensor.slot.name] for tensor in plan.merged} if measured else {}
    return Merged(Path(folder), len(plan.tensors), len(plan.tensors) - len(waiting), untouched, found)


def _copy(plan: Plan, tensor: Planned, writer: CheckpointWriter, piece: int, advance: Callable[[int], None]) -> None:
    """Copy a tensor of the reference: its bytes, or its numbers where the type or an adapter changes them."""
    import torch

    name, slot = tensor.slot.name, tensor.slot
    stored = plan.reference.tensor(name)
    if stored.dtype == slot.dtype and plan.reference.is_stored(name):
        for start in range(0, stored.bytes, 4 * piece):
            raw = np.empty(min(4 * piece, stored.bytes - start), np.uint8).data
            plan.reference.read_bytes(name, start, raw)
            writer.write_bytes(name, start, raw)
    else:
        for start in range(0, slot.size, piece):
            values = torch.empty(min(piece, slot.size - start))
            plan.reference.read(name, start, values)
            writer.write(name, start, values)
    advance(slot.size)


def _counts(plan: Plan, rule: Weights, counts: Sequence[float] | None) -> list[float]:
    """Return w, one for each expert.

    Raises:
        InputError: not finite, or a rule that base, experts and weights do not suit.
    """
    found = [1.0] * len(plan.experts) if counts is None else [float(count) for count in counts]
    if not np.isfinite(found).all():
        raise InputError(f"weights of the experts {found}: give finite numbers")
    rule.check(len(plan.experts), plan.base is not None, found)
    return found


def _files(plan: Plan) -> Iterable[Path]:
    models = [model for model in (plan.base, *plan.experts) if model is not None]
    changed = [c.first.path for m in models if isinstance(m, AdaptedCheckpoint) for c in m.changes.values()]
    return dict.fromkeys([path for model in models for path in model.files] + changed)
