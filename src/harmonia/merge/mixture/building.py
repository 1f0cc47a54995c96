"""Writing a mixture: shared tensors go through a rule of weights, the experts' own are copied byte for byte.

One pass over the files, in the memory of a few pieces. The router, for which a mixture may have to run, is found
afterwards and put into a file of its own. A mixture without it does not load, and the same call with ``resume`` goes on
from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harmonia.core.errors import InputError, require
from harmonia.data.checkpoints import SHARD, Checkpoint, CheckpointWriter, Slot, dtype_named
from harmonia.data.checkpoints.checkpoint import CONFIG
from harmonia.merge.checkpoint_sources import CheckpointSources
from harmonia.merge.identity import identities
from harmonia.merge.matching import is_buffer
from harmonia.merge.mixture.bridged import EMBEDDING, HEAD, Ends, whole
from harmonia.merge.mixture.experts import check_experts, check_shapes, has_tied_head
from harmonia.merge.mixture.stock import stock_config
from harmonia.merge.plan import Plan, Planned, plan
from harmonia.merge.routing.base import Router
from harmonia.merge.routing.examples import Examples, Fitting
from harmonia.merge.sources import PIECE
from harmonia.merge.streaming import fingerprint
from harmonia.merge.workers import in_threads, one_thread
from harmonia.models.mixture.parts import is_shared
from harmonia.models.mixture.record import KEY, ROUTER_FILE, MixtureRecord, owner_of, stored_name

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.bridging.base import Bridging
    from harmonia.merge.weights.base import Weights
    from harmonia.models.mixture.diagnostics import RouterDiagnosis

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Built:
    """What was done.

    Attributes:
        folder: of the mixture; ``harmonia.models.mixture.folder.load`` reads it.
        record: what config.json says of it.
        shared: how many tensors went through the rule.
        copied: how many were copied byte for byte.
        diagnosis: what the router does with the examples; None without.
    """

    folder: Path
    record: MixtureRecord
    shared: int
    copied: int
    diagnosis: RouterDiagnosis | None

    @property
    def is_stock(self) -> bool:
        """Whether transformers loads it by itself."""
        return self.record.layout != "harmonia"


@dataclass(frozen=True)
class Cost:
    """How large a mixture is.

    Attributes:
        parameters: all, but the router's.
        active: those that work for a token, where the largest experts are chosen.
        bytes_read: of the models.
        bytes_written: without the router.
    """

    parameters: int
    active: int
    bytes_read: int
    bytes_written: int


@dataclass
class MixturePlan:
    """What is to be written, and how, decided from headers.

    Attributes:
        experts: theta_1 to theta_l.
        base: what they were trained from, or None.
        routing: chooses experts.
        bridging: joins experts of several widths.
        seed: of whatever is drawn.
        record: what config.json says of the mixture.
        config: all of config.json.
        slots: every tensor.
        how: by name of the slot.
        sources: what the rule merges.
        survey: finds what the rule must know of all sources.
        known: what it found.
        shared: how many tensors are merged.
        copied: how many are copied.
        inputs: what tells whether the files that are read are the same.
        ends: shared embedding and head of experts of several widths; None where there is one.
    """

    experts: Sequence[Checkpoint]
    base: Checkpoint | None
    routing: Router
    bridging: Bridging
    seed: int
    record: MixtureRecord
    config: dict[str, Any]
    slots: list[Slot] = field(default_factory=list)
    how: dict[str, Callable[[CheckpointWriter, Advance], None]] = field(default_factory=dict)
    sources: list[CheckpointSources] = field(default_factory=list)
    survey: Callable[[], Any] = lambda: None
    known: Any = None
    shared: int = 0
    copied: int = 0
    inputs: list[list[Any]] = field(default_factory=list)
    ends: Ends | None = None

    @property
    def models(self) -> list[Checkpoint]:
        """All that is read; the last has the tokenizer."""
        return [*self.experts, *([] if self.base is None or self.record.bridged else [self.base])]

    def cost(self) -> Cost:
        """Return how large the mixture is, and what is read."""
        sizes = {slot.name: slot.size for slot in self.slots}
        own = [0] * len(self.experts)
        for name, size in sizes.items():
            owner, _ = owner_of(name, self.record.layout)
            if isinstance(owner, int):
                own[owner] += size
        anchor = sum(sizes[n] for n in sizes if owner_of(n, self.record.layout)[0] == "base")
        shared = sum(sizes.values()) - sum(own) - anchor
        return Cost(
            parameters=sum(sizes.values()),
            active=shared + sum(sorted(own)[-self.record.top_k :]),
            bytes_read=sum(stored.bytes for model in self.models for stored in model.tensors.values()),
            bytes_written=sum(slot.bytes for slot in self.slots),
        )

    @property
    def needs_router(self) -> bool:
        """Whether tensors are found with the mixture in memory."""
        return self.record.bridged or self.record.decides.endswith("gate")

    def add(self, slot: Slot, how: Callable[[CheckpointWriter, Advance], None]) -> None:
        self.slots.append(slot)
        self.how[slot.name] = how


def build_mixture(
    experts: Sequence[Checkpoint],
    folder: str | Path,
    *,
    rule: Weights,
    routing: Router,
    bridging: Bridging,
    base: Checkpoint | None = None,
    names: Sequence[str] | None = None,
    counts: Sequence[float] | None = None,
    examples: Examples | None = None,
    dtype: str | None = None,
    seed: int = 0,
    threads: int | None = None,
    piece: int = PIECE,
    shard: int = SHARD,
    resume: bool = False,
) -> Built:
    """Write the mixture that dense experts make.

    The base may be one of the experts, by the same folder. A rule on task vectors then leaves it out, as it has none;
    others count it.

    Args:
        experts: theta_1 to theta_l.
        folder: new, empty, or with ``resume`` one that was not finished.
        rule: merges what is shared.
        routing: chooses experts.
        bridging: joins experts of several widths.
        base: what the experts were trained from.
        names: what the experts are called; None for the names of their folders.
        counts: w_i, the weight of each expert in the rule; None for 1 each.
        examples: texts of each expert's domain.
        dtype: of all weights; None for that of the base, or of the first expert.
        seed: of whatever is drawn.
        threads: workers; None for one per core.
        piece: elements that are worked on at a time.
        shard: most bytes of a file.
        resume: go on where an earlier process was stopped.

    Raises:
        InputError: experts, parts, output folder or disk do not suit.
        RunError: the disk is full; what was finished is kept.
    """
    planned = plan_mixture(
        experts,
        rule=rule,
        routing=routing,
        bridging=bridging,
        base=base,
        names=names,
        counts=counts,
        examples=examples is not None,
        dtype=dtype,
        seed=seed,
        piece=piece,
    )
    return write_mixture(planned, folder, examples=examples, threads=threads, shard=shard, resume=resume)


def write_mixture(
    planned: MixturePlan,
    folder: str | Path,
    *,
    examples: Examples | None = None,
    threads: int | None = None,
    shard: int = SHARD,
    resume: bool = False,
    diagnose: bool = True,
) -> Built:
    """Write a mixture that is planned; arguments as of ``build_mixture``, and whether the router is then looked at.

    Raises:
        InputError: output folder, disk or examples do not suit.
        RunError: the disk is full; what was finished is kept.
    """
    if examples is not None:
        examples.check(len(planned.experts))
    target = Path(folder)
    if resume and (target / CONFIG).is_file():
        _check_same(target, planned.record)
    else:
        _write(target, planned, threads, shard, resume)
    _find_router(target, planned, examples)
    diagnosis = _diagnosed(target, planned, examples) if diagnose and examples is not None else None
    return Built(target, planned.record, planned.shared, planned.copied, diagnosis)


def plan_mixture(
    experts: Sequence[Checkpoint],
    *,
    rule: Weights,
    routing: Router,
    bridging: Bridging,
    base: Checkpoint | None = None,
    names: Sequence[str] | None = None,
    counts: Sequence[float] | None = None,
    examples: bool = False,
    dtype: str | None = None,
    seed: int = 0,
    piece: int = PIECE,
) -> MixturePlan:
    """Return what ``build_mixture`` writes; arguments as there, and whether there are examples.

    Raises:
        InputError: experts or parts do not suit.
    """
    require("torch", "merge")
    require("transformers", "merge")
    models = [*experts, *([] if base is None or bridging.bridges else [base])]
    routing.check(len(experts), base=base is not None, examples=examples, bridged=bridging.bridges)
    check_experts(models)
    bridging.check([int(expert.config.get("hidden_size", 0)) for expert in experts])
    if not bridging.bridges:
        check_shapes(models)
    number = next((i for i, expert in enumerate(experts) if base is not None and _same(expert, base)), None)
    weighed = [1.0] * len(experts) if counts is None else [float(count) for count in counts]
    if len(weighed) != len(experts) or not np.isfinite(weighed).all():
        raise InputError(f"{len(weighed)} weights for {len(experts)} experts: give one finite number for each")
    parts = {"weights": rule, "routing": routing, "bridging": bridging}
    made_with: dict[str, Any] = {axis: part.model_dump(mode="json") for axis, part in parts.items()}
    made_with |= {"counts": weighed, "seed": seed, "dtype": dtype}
    called = tuple(expert.folder.name for expert in experts) if names is None else tuple(names)
    record, config = _record(experts, called, base, number, routing, bridging, made_with)
    planned = MixturePlan(experts, base, routing, bridging, seed, record, config)
    if bridging.bridges:
        _bridged(planned, rule, dtype, piece)
    else:
        _alike(planned, number, rule, weighed, dtype, piece)
    return planned


def _record(
    experts: Sequence[Checkpoint],
    names: tuple[str, ...],
    base: Checkpoint | None,
    number: int | None,
    routing: Router,
    bridging: Bridging,
    made_with: dict[str, Any],
) -> tuple[MixtureRecord, dict[str, Any]]:
    """Return what config.json says, and all of it."""
    decides = routing.decides()
    reference = base if base is not None and not bridging.bridges else experts[0]
    stock = stock_config(reference.config, len(experts), routing.top_k) if decides == "token-gate" else None
    layout, config = stock or ("harmonia", {"model_type": "harmonia_mixture"})
    anchor: int | Literal["base"] | None = None
    if decides == "task-vector":
        anchor = "base" if number is None else number
    record = MixtureRecord(
        experts=names,
        shared=routing.shared,
        decides=decides,
        top_k=routing.top_k,
        configs=tuple(expert.config for expert in experts) if bridging.bridges else (reference.config,),
        mix=routing.mix,
        settings=routing.settings(),
        layout=layout,
        anchor=anchor,
        bridged=bridging.bridges,
        made_with=made_with,
    )
    return record, {**config, KEY: record.json()}


def _alike(
    work: MixturePlan,
    number: int | None,
    rule: Weights,
    counts: Sequence[float],
    dtype: str | None,
    piece: int,
) -> None:
    """Plan what is to be done with experts of one shape."""
    experts, base, record, seed = work.experts, work.base, work.record, work.seed
    everyone = plan(experts, base, dtype=dtype)
    left_out = number if rule.needs_base else None
    moved = [i for i in range(len(experts)) if i != left_out]
    if not moved:
        raise InputError("the only expert is the base itself: name one that was trained from it")
    shares = [counts[i] for i in moved]
    rule.check(len(moved), base is not None, shares)
    narrowed = plan([experts[i] for i in moved], base, dtype=dtype)
    merged = {tensor.slot.name: tensor for tensor in narrowed.merged}
    work.inputs = fingerprint(narrowed, rule)
    work.survey = lambda: rule.survey(work.sources, shares, seed)
    for tensor in everyone.tensors:
        name = tensor.slot.name
        if not tensor.experts:
            if not is_buffer(everyone.reference.tensor(name)):
                raise InputError(f"{everyone.reference.folder}: {name} is no weight: save the model again without it")
            continue
        if is_shared(name, record.shared):
            source = CheckpointSources(narrowed, merged[name], piece=piece, base=rule.needs_base)
            work.sources.append(source)
            work.shared += 1
            work.add(_renamed(tensor.slot, "shared", record), _merging(source, rule, shares, seed, work))
            continue
        for i, (expert, there) in enumerate(zip(experts, tensor.experts, strict=True)):
            slot = _renamed(tensor.slot, i, record)
            work.add(slot, _copying(expert, there, slot, piece))
            work.copied += 1
        if record.anchor == "base":
            assert base is not None and tensor.base is not None
            slot = _renamed(tensor.slot, "base", record)
            work.add(slot, _copying(base, tensor.base, slot, piece))
            work.copied += 1


def _bridged(work: MixturePlan, rule: Weights, dtype: str | None, piece: int) -> None:
    """Plan what is to be done with experts of several widths."""
    experts = work.experts
    if rule.kind_name() != "linear":
        raise InputError(
            f"weights={rule.kind_name()}: embeddings of several widths have a zero-padded mean and no task vectors; "
            "take weights=linear"
        )
    tied = has_tied_head(experts[0])
    ends = Ends.of(experts, tied, getattr(work.bridging, "average", "experts"))
    work.ends = ends
    work.inputs = fingerprint(Plan(None, tuple(experts), (), (), (), ()), rule)
    for name, table in ((EMBEDDING, ends.embedding), *(() if tied else ((HEAD, ends.head),))):
        stored = experts[0].tensor(name)
        kind = dtype_named(dtype) if dtype else stored.dtype
        slot = Slot(stored_name("shared", name, "harmonia"), kind, tuple(table.shape), table.numel())
        work.add(slot, _placing(table, slot, piece))
        work.shared += 1
    for i, expert in enumerate(experts):
        for name, stored in expert.tensors.items():
            if name in (EMBEDDING, HEAD) or is_buffer(stored):
                continue
            is_shared(name, "embed-head")  # refuses what is not of such a decoder
            kind = dtype_named(dtype) if dtype else stored.dtype
            slot = Slot(stored_name(i, name, "harmonia"), kind, stored.shape, stored.size)
            work.add(slot, _copying(expert, name, slot, piece))
            work.copied += 1


def _write(folder: Path, work: MixturePlan, threads: int | None, shard: int, resume: bool) -> None:
    request = {"config": work.config, "inputs": work.inputs}
    inputs = list(dict.fromkeys(model.folder for model in work.models))
    with CheckpointWriter(folder, work.slots, inputs=inputs, request=request, shard=shard, resume=resume) as writer:
        waiting = [Planned(slot, None, ()) for slot in work.slots if not writer.finished(slot.name)]
        if waiting:
            with one_thread():
                work.known = work.survey()

        def one(tensor: Planned, advance: Advance) -> None:
            work.how[tensor.slot.name](writer, advance)
            writer.done(tensor.slot.name)

        in_threads(waiting, one, threads, "building the mixture, MB")
        writer.complete(work.config, work.models[-1].folder)


def _find_router(folder: Path, work: MixturePlan, examples: Examples | None) -> None:
    """Find the router, unless it is there."""
    from harmonia.models.mixture.folder import load, write_router

    layout, base, routing = work.record.layout, work.base, work.routing
    if work.needs_router and not (folder / ROUTER_FILE).is_file():
        known = identities(work.experts)
        bridge = work.bridging.projectors(work.ends, known, work.seed) if work.ends is not None else {}
        mixture = load(folder, bridge=bridge)
        dense = _decoder(base) if base is not None and routing.reads_base else None
        gates = routing.fit(Fitting(mixture, examples, dense, work.seed, known))
        found: dict[str, Tensor] = {stored_name("router", name, layout): gate for name, gate in gates.items()}
        for owner, name, tensor in mixture.named():
            if owner == "bridge":
                found[stored_name("bridge", name, layout)] = tensor
        write_router(folder, found)


def _diagnosed(folder: Path, work: MixturePlan, examples: Examples) -> RouterDiagnosis:
    """See what the router does."""
    from harmonia.models.mixture.diagnostics import diagnose_router
    from harmonia.models.mixture.folder import load

    return diagnose_router(load(folder), dict(zip(work.record.experts, examples.positive, strict=True)))


def _decoder(model: Checkpoint) -> Any:
    """Return a dense decoder in memory, float32."""
    from harmonia.models.mixture.dense import dense, dense_config, parameters

    tensors = {name: whole(model, name) for name, stored in model.tensors.items() if not is_buffer(stored)}
    config = dense_config(model.config, model.folder)
    if not has_tied_head(model):
        config.tie_word_embeddings = False
    return dense(config, parameters(tensors)).requires_grad_(False)


def _merging(
    source: CheckpointSources,
    rule: Weights,
    counts: Sequence[float],
    seed: int,
    work: MixturePlan,
) -> Callable[[CheckpointWriter, Advance], None]:
    name = stored_name("shared", source.name, work.record.layout)

    def how(writer: CheckpointWriter, advance: Advance) -> None:
        start = 0
        for values in rule.merge(source, counts, seed, work.known):
            writer.write(name, start, values)
            start += len(values)
            advance(len(values))

    return how


def _copying(model: Checkpoint, there: str, slot: Slot, piece: int) -> Callable[[CheckpointWriter, Advance], None]:
    """Return what copies a tensor: its bytes, or its numbers where the type or an adapter changes them."""
    import torch

    stored = model.tensor(there)

    def how(writer: CheckpointWriter, advance: Advance) -> None:
        if stored.dtype == slot.dtype and model.is_stored(there):
            for start in range(0, stored.bytes, 4 * piece):
                raw = np.empty(min(4 * piece, stored.bytes - start), np.uint8).data
                model.read_bytes(there, start, raw)
                writer.write_bytes(slot.name, start, raw)
        else:
            for start in range(0, slot.size, piece):
                values = torch.empty(min(piece, slot.size - start))
                model.read(there, start, values)
                writer.write(slot.name, start, values)
        advance(slot.size)

    return how


def _placing(table: Tensor, slot: Slot, piece: int) -> Callable[[CheckpointWriter, Advance], None]:
    def how(writer: CheckpointWriter, advance: Advance) -> None:
        for start in range(0, slot.size, piece):
            values = table.reshape(-1)[start : start + piece]
            writer.write(slot.name, start, values)
            advance(len(values))

    return how


def _renamed(slot: Slot, owner: Any, record: MixtureRecord) -> Slot:
    return Slot(stored_name(owner, slot.name, record.layout), slot.dtype, slot.shape, slot.size)


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    return one.folder.resolve() == other.folder.resolve()


def _check_same(folder: Path, record: MixtureRecord) -> None:
    """Refuse to go on with a mixture of other experts or another router.

    Raises:
        InputError: says so.
    """
    from harmonia.models.mixture.folder import record_of

    if record_of(folder).json() != record.json():
        raise InputError(f"{folder} holds another mixture; resume with the same settings, or choose another folder")
