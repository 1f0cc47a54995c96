"""Merging checkpoints tensor by tensor: each worker reads, merges and writes one tensor, a piece at a time.

Memory is that of a few pieces per worker, whatever the size of the model. A rule gets the same numbers in the same
order whoever works and however long pieces are, so the result is the same, bit for bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from harmonia.core.errors import InputError, require
from harmonia.data.checkpoints import SHARD, AdaptedCheckpoint, CheckpointWriter, check_disk
from harmonia.maths.task_vectors import Disagreement
from harmonia.merge.checkpoint_sources import CheckpointSources
from harmonia.merge.disagreement import Notes, disagreement
from harmonia.merge.plan import Plan, Planned
from harmonia.merge.sidecar import sidecar
from harmonia.merge.sources import PIECE
from harmonia.merge.weights.scaled import Scaled
from harmonia.merge.workers import InThreads, in_threads, one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.weights.base import Weights


@dataclass(frozen=True)
class Merged:
    """What was done.

    Attributes:
        folders: the new checkpoint, or those of a sweep.
        tensors: how many each has.
        resumed: how many of them an earlier process had written.
        untouched: how many of the others are the base's in every expert, and were copied.
        disagreement: of the experts in every merged tensor, in the order of the files; empty unless asked for.
    """

    folders: tuple[Path, ...]
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
    counts_of: Mapping[str, Sequence[float]] | None = None,
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
        counts_of: other weights, by name of a tensor; what a rule surveys of the whole model it weighs by ``counts``.
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
    return _merge(
        plan, rule, {Path(folder): None}, counts, counts_of or {}, seed, threads, piece, shard, measure, resume
    )


def sweep(
    plan: Plan,
    rule: Scaled,
    folders: Mapping[Path, float],
    *,
    counts: Sequence[float] | None = None,
    counts_of: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
    threads: int | None = None,
    piece: int = PIECE,
    shard: int = SHARD,
    measure: bool = False,
    resume: bool = False,
) -> Merged:
    """Write the checkpoints that a rule makes of experts with several scalings: theta_0 + lambda tau, tau found once.

    Each is what ``merge`` writes with that scaling, byte for byte.

    Args:
        plan: which tensors of which checkpoints.
        rule: how tensors are merged; its own scaling is left out.
        folders: of the checkpoints, with lambda of each.
        counts: as of ``merge``, like all that follows.
        counts_of: other weights, by name of a tensor.
        seed: of whatever is drawn.
        threads: workers.
        piece: elements of a piece.
        shard: most bytes of a file.
        measure: measure the experts' disagreement on the way.
        resume: go on where an earlier process was stopped.

    Raises:
        InputError: as of ``merge``.
        RunError: the disk is full; what was finished is kept.
    """
    return _merge(plan, rule, dict(folders), counts, counts_of or {}, seed, threads, piece, shard, measure, resume)


def _merge(
    plan: Plan,
    rule: Weights,
    folders: Mapping[Path, float | None],
    counts: Sequence[float] | None,
    counts_of: Mapping[str, Sequence[float]],
    seed: int,
    threads: int | None,
    piece: int,
    shard: int,
    measure: bool,
    resume: bool,
) -> Merged:
    require("torch", "merge")
    counts = _counts(plan, rule, counts)
    each = {name: _counts(plan, rule, own) for name, own in counts_of.items()}
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
        "counts_of": each,
        "seed": seed,
        "inputs": fingerprint(plan, rule),
    }
    outputs = _Outputs(plan, folders, request, shard, resume)
    waiting = [tensor for tensor in plan.tensors if not outputs.finished(tensor.slot.name)]
    notes = Notes(outputs.notes / "disagreement.jsonl")
    with outputs:
        known = None
        if any(tensor.experts for tensor in waiting):
            with one_thread():
                known = rule.survey(InThreads(list(sources.values()), threads, "surveying, MB"), counts, seed)

        def work(tensor: Planned, advance: Callable[[int], None]) -> bool:
            source = sources.get(tensor.slot.name)
            if source is None:
                _copy(plan, tensor, outputs, piece, advance)
                outputs.done(tensor.slot.name)
                return False
            untouched = rule.needs_base and source.untouched()
            if untouched:
                for start, values in source.base_pieces():
                    outputs.write(source.name, start, values)
                    advance(len(values))
            else:
                own, start = each.get(source.name, counts), 0
                if outputs.swept and isinstance(rule, Scaled):
                    for base, task in rule.moves(source, own, seed, known):
                        outputs.write_scaled(source.name, start, base, task)
                        start += len(base)
                        advance(len(base))
                else:
                    for values in rule.merge(source, own, seed, known):
                        outputs.write(source.name, start, values)
                        start += len(values)
                        advance(len(values))
            if source.disagreement is not None:
                notes.keep(source.name, source.disagreement)
            outputs.done(source.name)
            return untouched

        with notes:
            untouched = sum(in_threads(waiting, work, threads, "merging, MB"))
        lost = [tensor for tensor in plan.merged if measured and tensor.slot.name not in notes.held]
        notes.held |= disagreement(plan, tensors=lost, threads=threads, piece=piece) if lost else {}
        outputs.complete(plan)
    found = {tensor.slot.name: notes.held[tensor.slot.name] for tensor in plan.merged} if measured else {}
    return Merged(tuple(folders), len(plan.tensors), len(plan.tensors) - len(waiting), untouched, found)


class _Outputs:
    """One checkpoint, or those of a sweep, which get the same tensors at the same time.

    Args:
        plan: what they hold.
        folders: where each goes, with its lambda in a sweep.
        request: all that decides the content.
        shard: most bytes of a file.
        resume: keep what is finished.
    """

    def __init__(
        self,
        plan: Plan,
        folders: Mapping[Path, float | None],
        request: Mapping[str, Any],
        shard: int,
        resume: bool,
    ) -> None:
        slots = [tensor.slot for tensor in plan.tensors]
        self._writers = [
            CheckpointWriter(
                folder,
                slots,
                inputs=plan.inputs,
                request={**request, "scaling": scaling} if scaling is not None else request,
                shard=shard,
                resume=resume,
            )
            for folder, scaling in folders.items()
        ]
        self._scalings = list(folders.values())
        self.swept = None not in self._scalings
        self.notes = self._writers[0].notes
        check_disk(self._writers[0].folder, sum(writer.bytes for writer in self._writers))
        self._hold = contextlib.ExitStack()

    def finished(self, name: str) -> bool:
        """Return whether an earlier process wrote a tensor everywhere."""
        return all(writer.finished(name) for writer in self._writers)

    def write(self, name: str, start: int, values: Tensor) -> None:
        for writer in self._open(name):
            writer.write(name, start, values)

    def write_bytes(self, name: str, start: int, data: memoryview) -> None:
        for writer in self._open(name):
            writer.write_bytes(name, start, data)

    def write_scaled(self, name: str, start: int, base: Tensor, task: Tensor) -> None:
        """Write theta_0 + lambda tau, rounded as a rule alone rounds it."""
        for writer, scaling in zip(self._writers, self._scalings, strict=True):
            if scaling is not None and not writer.finished(name):
                writer.write(name, start, (task * scaling).add_(base))

    def done(self, name: str) -> None:
        for writer in self._open(name):
            writer.done(name)

    def complete(self, plan: Plan) -> None:
        # the first one last: it holds the notes that all need
        for writer in reversed(self._writers):
            writer.complete(plan.config(), plan.reference.folder)

    def __enter__(self) -> Self:
        for writer in self._writers:
            self._hold.enter_context(writer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hold.__exit__(kind, error, trace)

    def _open(self, name: str) -> Iterator[CheckpointWriter]:
        return (writer for writer in self._writers if not writer.finished(name))


def _copy(plan: Plan, tensor: Planned, outputs: _Outputs, piece: int, advance: Callable[[int], None]) -> None:
    """Copy a tensor of the reference: its bytes, or its numbers where the type or an adapter changes them."""
    import torch

    name, slot = tensor.slot.name, tensor.slot
    stored = plan.reference.tensor(name)
    if stored.dtype == slot.dtype and plan.reference.is_stored(name):
        for start in range(0, stored.bytes, 4 * piece):
            raw = np.empty(min(4 * piece, stored.bytes - start), np.uint8).data
            plan.reference.read_bytes(name, start, raw)
            outputs.write_bytes(name, start, raw)
    else:
        for start in range(0, slot.size, piece):
            values = torch.empty(min(piece, slot.size - start))
            plan.reference.read(name, start, values)
            outputs.write(name, start, values)
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


def fingerprint(plan: Plan, rule: Weights) -> list[list[Any]]:
    """Return what tells whether the files that a merge reads are the same: path, size and time of each."""
    return [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in _files(plan, rule)]


def _files(plan: Plan, rule: Weights) -> Iterable[Path]:
    models = [model for model in (plan.base, *plan.experts) if model is not None]
    changed = [c.first.path for m in models if isinstance(m, AdaptedCheckpoint) for c in m.changes.values()]
    if rule.reads is not None:
        plan.sidecars(rule.reads)  # says which expert has none
        changed += [sidecar(expert.folder, rule.reads) for expert in plan.experts]
    return dict.fromkeys([path for model in models for path in model.files] + changed)
