"""What a merge will do with every tensor, decided from the headers of files before a weight is read.

The base's tensors, or the first expert's where there is no base, are the reference. An expert must have each of them
in the same shape (see ``matching``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import FLOATS, AdaptedCheckpoint, Checkpoint, Slot, dtype_named
from harmonia.merge.identity import identities
from harmonia.merge.matching import Match, is_buffer, match, tied_output
from harmonia.merge.sidecar import open_sidecars
from harmonia.merge.sources import PIECE

_PLACES = ("I16", "I32", "I64", "BOOL")
"""Integers that count or point; narrower ones are quantised weights."""

_LIBRARIES = 250_000_000
"""Bytes of a process that has loaded torch and works on nothing."""


@dataclass(frozen=True)
class Planned:
    """One tensor of the result.

    Attributes:
        slot: name, type, shape.
        base: what the base calls it; None without a base.
        experts: what each expert calls it; empty for a tensor that is copied from the reference.
    """

    slot: Slot
    base: str | None
    experts: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """What a merge takes.

    Attributes:
        bytes_read: from the inputs, by a rule that reads once.
        bytes_written: size of the result.
        memory: peak of the process in bytes, for a rule that holds pieces only.
        disk: bytes that must be free.
    """

    bytes_read: int
    bytes_written: int
    memory: int
    disk: int


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        base: theta_0, or None.
        experts: theta_1 to theta_n.
        tensors: of the result, in the order of the reference's files.
        copied: names that are taken from the reference as they are: buffers, and with ``unmatched="reference"`` what
            not every expert has.
        dropped: expert, and what it has that the result does not.
        tied: output layers that the result does not hold, with the embedding that they are tied to.
    """

    base: Checkpoint | None
    experts: tuple[Checkpoint, ...]
    tensors: tuple[Planned, ...]
    copied: tuple[str, ...]
    dropped: tuple[tuple[str, tuple[str, ...]], ...]
    tied: tuple[tuple[str, str], ...]
    dtype: str | None = None
    _measured: dict[str, tuple[Checkpoint, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def reference(self) -> Checkpoint:
        """Whose names, order, configuration and small files the result has."""
        return self.base if self.base is not None else self.experts[0]

    @property
    def inputs(self) -> list[Path]:
        """The folders that are read."""
        models = [model for model in (self.base, *self.experts) if model is not None]
        adapted = [model.base for model in models if isinstance(model, AdaptedCheckpoint)]
        return list(dict.fromkeys(model.folder for model in (*models, *adapted)))

    @cached_property
    def identities(self) -> list[str]:
        """What tells the experts apart, whatever their folders and their order."""
        return identities(self.experts)

    def sidecars(self, kind: str) -> tuple[Checkpoint, ...]:
        """Return what was measured of the experts beside their weights.

        Raises:
            InputError: an expert was not measured.
        """
        if kind not in self._measured:
            self._measured[kind] = tuple(open_sidecars(self.experts, kind))
        return self._measured[kind]

    @property
    def merged(self) -> list[Planned]:
        """The tensors that a rule merges."""
        return [tensor for tensor in self.tensors if tensor.experts]

    def config(self) -> dict[str, Any]:
        """Return config.json of the result."""
        config = dict(self.reference.config)
        if self.dtype is not None:
            keys = [key for key in ("dtype", "torch_dtype") if key in config] or ["torch_dtype"]
            config |= dict.fromkeys(keys, self.dtype.removeprefix("torch."))
        return config

    def estimate(self, *, threads: int = 1, piece: int = PIECE, base: bool = True) -> Estimate:
        """Return what it takes, without doing it.

        Args:
            threads: workers.
            piece: elements of a piece.
            base: whether the base's weights are read.
        """
        read = written = 0
        for tensor in self.tensors:
            written += tensor.slot.bytes
            if not tensor.experts:
                read += self.reference.tensor(tensor.slot.name).bytes
                continue
            if self.base is not None and base:
                read += self.base.tensor(tensor.base or "").bytes
            read += sum(e.tensor(name).bytes for e, name in zip(self.experts, tensor.experts, strict=True))
        # per worker: what is read, float32, its task vectors, and about as much again for the sums of a rule
        work = threads * piece * 4 * 4 * (len(self.experts) + 2)
        return Estimate(read, written, _LIBRARIES + work, written + 10_000_000)


def plan(
    experts: Sequence[Checkpoint],
    base: Checkpoint | None = None,
    *,
    dtype: str | None = None,
    unmatched: Literal["refuse", "reference"] = "refuse",
) -> Plan:
    """Decide what happens with every tensor.

    Args:
        experts: what is merged, at least one.
        base: what they were trained from.
        dtype: float32, bfloat16, float16 or float64, of every weight of the result; None for the reference's.
        unmatched: refuse a tensor that an expert lacks or has in another shape, or one that the reference lacks; or
            take what the reference has.

    Raises:
        InputError: no experts, quantised weights, or tensors that do not match.
    """
    if not experts:
        raise InputError("no experts to merge: name at least one")
    reference = base if base is not None else experts[0]
    for model in (reference, *experts):
        _check_plain(model)
    tied = _tied(reference, experts)
    names = [name for name in reference.tensors if name not in dict(tied)]
    matches = [match(reference, expert, names) for expert in experts]
    if unmatched == "refuse":
        for found in matches:
            found.refuse()
    tensors = [_planned(name, reference, matches, base is not None, dtype) for name in names]
    copied = tuple(tensor.slot.name for tensor in tensors if not tensor.experts)
    if len(copied) == len(tensors):
        raise InputError(f"{reference.folder} and the experts have no weights in common: nothing to merge")
    dropped = tuple((str(found.expert.folder), found.extra) for found in matches if found.extra)
    return Plan(base, tuple(experts), tuple(tensors), copied, dropped, tied, dtype)


def _planned(name: str, reference: Checkpoint, matches: Sequence[Match], has_base: bool, dtype: str | None) -> Planned:
    stored = reference.tensor(name)
    is_weight = stored.dtype in FLOATS
    slot = Slot(name, dtype_named(dtype) if dtype and is_weight else stored.dtype, stored.shape, stored.size)
    theirs = [found.names[name] for found in matches if name in found.names]
    if is_buffer(stored) or len(theirs) < len(matches):
        return Planned(slot, None, ())
    if is_weight:
        return Planned(slot, name if has_base else None, tuple(theirs))
    for found in matches:
        if not reference.same(name, found.expert, found.names[name]):
            raise InputError(
                f"{name} is {stored.dtype} and differs between {reference.folder} and {found.expert.folder}: integers "
                "cannot be merged; remove it from one of them, or save the models anew with one version of transformers"
            )
    return Planned(slot, None, ())


def _tied(reference: Checkpoint, experts: Sequence[Checkpoint]) -> tuple[tuple[str, str], ...]:
    """Return what the result leaves out, as it is tied to another tensor in every model that stores it."""
    twice = tied_output(reference)
    if twice is None or any(twice[0] in expert.tensors and tied_output(expert) is None for expert in experts):
        return ()
    return (twice,)


def _check_plain(model: Checkpoint) -> None:
    """Refuse weights that are codes of numbers.

    Raises:
        InputError: says which, and what to do.
    """
    coded = next((t for t in model.tensors.values() if t.dtype not in (*FLOATS, *_PLACES)), None)
    if coded is None and not model.config.get("quantization_config"):
        return
    what = f"{coded.name} is {coded.dtype}" if coded else "config.json has a quantization_config"
    raise InputError(
        f"{model.folder} is quantised ({what}) and cannot be merged: take the original weights, or dequantise it "
        "(transformers: model.dequantize()) and save it again"
    )
