"""Adapters merged as adapters: several LoRA adapters of one base become one, and the base is not read.

What a rule makes of experts theta_0 + s_i B_i A_i is theta_0 + Delta. Where the rule is a sum, Delta = sum_i c_i s_i
B_i A_i is exactly the product of the factors side by side, of rank sum_i r_i; a lower rank is the nearest one, found
from the factors alone. What other rules make of the s_i B_i A_i is no product: Delta is formed one tensor after another
and cut to the rank that is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError, require
from harmonia.core.files import write_json
from harmonia.core.progress import track
from harmonia.data.checkpoints import Checkpoint, Slot, dtype_named, located, refuse_input, written_file
from harmonia.data.checkpoints.adapter import CONFIG, WEIGHTS, LoraFile, read_lora
from harmonia.merge.identity import identities
from harmonia.merge.sources import InMemory, Piece
from harmonia.merge.weights import Linear, TaskArithmetic
from harmonia.merge.weights.adamerging import AdaMerging
from harmonia.merge.weights.base import Weights

if TYPE_CHECKING:
    from torch import Tensor

_PREFIX = "base_model.model."
_CHOICES = ("target_modules", "layers_to_transform", "layers_pattern", "exclude_modules")
"""Settings of PEFT that say which modules have factors."""


def merge_adapters(
    experts: Sequence[str | Path],
    folder: str | Path,
    *,
    rule: Weights,
    counts: Sequence[float] | None = None,
    rank: int | None = None,
    base: str | None = None,
    dtype: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write one LoRA adapter, as PEFT saves it, that does what a rule makes of several.

    ``linear``, ``task-arithmetic`` and a fitted ``ada-merging`` without ``density`` are sums, and exact without
    ``rank``. Memory is that of one module: its factors, and for other rules its n + 1 whole changes.

    Args:
        experts: folders or Hub ids of LoRA adapters of one base; not all need to have factors of the same modules.
        folder: of the new adapter; new or empty.
        rule: one on task vectors, or ``linear``. With ``scope=model`` it counts the elements of the changed modules.
        counts: w_i; 1 each when left out.
        rank: most that a module may have; the sum of the experts' when left out.
        base: what the new adapter names as its base; the experts' when left out.
        dtype: of the new factors; the experts' when left out, float32 where they differ.
        seed: of whatever the rule draws.

    Returns:
        A JSON record: ``folder``, ``experts``, ``modules``, ``rank`` (largest), ``parameters``, ``exact``, ``error``
        (Frobenius norm of what was cut, over that of the whole change), ``errors`` by module, ``dtypes``,
        ``bytes``, ``bytes_read``.

    Raises:
        InputError: no adapters, adapters of several bases or shapes, modules trained whole, a rule that merges whole
            weights, or a folder that is in use.
    """
    require("torch", "merge")
    folder = Path(folder)
    weights = [1.0] * len(experts) if counts is None else [float(count) for count in counts]
    rule.check(len(experts), True, weights)
    _check_rule(rule)
    if rank is not None and rank < 1:
        raise InputError(f"rank {rank}: an adapter has a rank of at least 1")
    held = _opened(experts)
    refuse_input(folder, [lora.folder for lora in held.files])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"output folder {folder} is not empty; choose another one")
    named = held.base(base)
    kind = dtype_named(dtype) if dtype else held.dtype
    tensors = [_Module(held, module) for module in held.modules]
    ranks = {tensor.module: min([sum(tensor.ranks), *([rank] if rank else []), *tensor.shape]) for tensor in tensors}
    if rank is None and all(_shares(rule, tensor, weights) is not None for tensor in tensors):
        ranks = {tensor.module: sum(tensor.ranks) for tensor in tensors}  # side by side, whatever the shape
    slots = [slot for tensor in tensors for slot in tensor.slots(ranks[tensor.module], kind)]
    lost: dict[str, tuple[float, float]] = {}
    known = None
    if any(_shares(rule, tensor, weights) is None for tensor in tensors):
        known = rule.survey(tensors, weights, seed)
    with written_file(folder / WEIGHTS, slots) as write:
        for tensor in track(tensors, "merging adapters", len(tensors)):
            b, a, cut, of = _merged(rule, tensor, weights, ranks[tensor.module], seed, known)
            lost[tensor.module] = cut, of
            for slot, values in zip(tensor.slots(ranks[tensor.module], kind), (a, b), strict=True):
                write(slot.name, values)
    write_json(folder / CONFIG, _settings(held, ranks, named))
    whole = sum(of for _, of in lost.values())
    return {
        "folder": str(folder),
        "experts": [str(expert) for expert in experts],
        "modules": len(tensors),
        "rank": max(ranks.values()),
        "parameters": sum(slot.size for slot in slots),
        "exact": not any(cut for cut, _ in lost.values()),
        "error": math.sqrt(sum(cut for cut, _ in lost.values()) / whole) if whole else 0.0,
        "errors": {module: math.sqrt(cut / of) if of else 0.0 for module, (cut, of) in lost.items()},
        "dtypes": [kind],
        "bytes": (folder / WEIGHTS).stat().st_size,
        "bytes_read": sum(lora.path.stat().st_size for lora in held.files),
    }


def _check_rule(rule: Weights) -> None:
    """Refuse a rule that is not one on task vectors.

    Raises:
        InputError: says so.
    """
    kind = rule.kind_name()
    if isinstance(rule, Linear) and not rule.normalize:
        raise InputError("weights=linear without normalize multiplies the base as well: take task-arithmetic")
    if not isinstance(rule, Linear) and (not rule.needs_base or rule.reads is not None):
        raise InputError(
            f"weights={kind} merges whole weights, not what adapters add to them: merge the adapters folded into their "
            "base, or take linear, task-arithmetic, ties or another rule on task vectors"
        )


def _shares(rule: Weights, tensor: _Module, counts: Sequence[float]) -> list[float] | None:
    """Return c_i where the rule is sum_i c_i tau_i; None where it is not."""
    if isinstance(rule, Linear):
        return [count / sum(counts) for count in counts]
    if isinstance(rule, TaskArithmetic):
        scale = rule.scale(len(counts)) / (sum(counts) if rule.normalize else 1)
        return [count * scale for count in counts]
    if isinstance(rule, AdaMerging) and rule.density is None:
        scale = rule.scale(len(counts))
        return [w * scale * found for w, found in zip(counts, rule.lambdas(tensor.name), strict=True)]
    return None


def _merged(
    rule: Weights, tensor: _Module, counts: Sequence[float], rank: int, seed: int, known: Any
) -> tuple[Tensor, Tensor, float, float]:
    """Return B and A of one module, and the squared norms of what was cut and of all of it."""
    import torch

    from harmonia.maths.truncated_product import truncated_matrix, truncated_product

    shares = _shares(rule, tensor, counts)
    if shares is None:
        merged = torch.cat(list(rule.merge(tensor, counts, seed, known))).view(tensor.shape)
        found = truncated_matrix(merged, rank)
        return found.left, found.right, found.lost, found.whole
    pairs = [(b, a * share) for pair, share in zip(tensor.factors(), shares, strict=True) if pair for b, a in [pair]]
    b, a = torch.cat([b for b, _ in pairs], dim=1), torch.cat([a for _, a in pairs])
    if rank >= a.shape[0]:
        return b, a, 0.0, float(((b.T @ b).double() * (a @ a.T).double()).sum())
    found = truncated_product(b, a, rank)
    return found.left, found.right, found.lost, found.whole


@dataclass(frozen=True)
class _Held:
    """The adapters that are merged.

    Attributes:
        files: what each holds.
        readers: what reads the numbers of each.
        identities: what tells them apart.
        modules: all that any of them changes, in the order of their files.
    """

    files: list[LoraFile]
    readers: list[Checkpoint]
    identities: list[str]
    modules: list[str]

    @property
    def dtype(self) -> str:
        """The type of all factors; float32 where they differ."""
        found = {stored.dtype for lora in self.files for pair in lora.factors.values() for stored in pair}
        return found.pop() if len(found) == 1 else "F32"

    def base(self, asked: str | None) -> str | None:
        """Return what the base is called.

        Raises:
            InputError: by several names.
        """
        names = [lora.settings.get("base_model_name_or_path") for lora in self.files]
        if asked is not None:
            return asked
        other = next((place for place, name in enumerate(names) if name != names[0]), None)
        if other is not None:
            raise InputError(
                f"{self.files[0].folder} is an adapter of {names[0]} and {self.files[other].folder} of {names[other]}: "
                "only adapters of one base can be merged; if these are one, say which with base"
            )
        return names[0]


def _opened(experts: Sequence[str | Path]) -> _Held:
    words = [str(expert) for expert in experts]
    twice = next((word for place, word in enumerate(words) if word in words[:place]), None)
    if twice is not None:
        raise InputError(f"adapter {twice} is named twice: name each once, and say with weights how much it counts")
    files = [read_lora(located(expert)) for expert in experts]
    for lora in files:
        if lora.whole:
            raise InputError(
                f"{lora.path} holds {next(iter(lora.whole))}, which was trained whole and is no factor: merge these "
                "adapters folded into their base"
            )
        if not lora.factors:
            raise InputError(f"{lora.path} has no factors: save the adapter again")
    modules = list(dict.fromkeys(module for lora in files for module in lora.factors))
    for module in modules:
        _check_shapes([lora for lora in files if module in lora.factors], module)
    readers = [
        Checkpoint(lora.folder, dict(lora.settings), {s.name: s for pair in lora.factors.values() for s in pair})
        for lora in files
    ]
    return _Held(files, readers, identities(readers), modules)


def _check_shapes(files: Sequence[LoraFile], module: str) -> None:
    """Refuse factors of one module that change matrices of several shapes.

    Raises:
        InputError: names two that differ.
    """
    shapes = []
    for lora in files:
        a, b = lora.factors[module]
        if b.size != b.shape[0] * a.shape[0]:
            raise InputError(f"{lora.path}: factors {list(b.shape)} and {list(a.shape)} of {module} are no product")
        shapes.append((b.shape[0], a.shape[1:], module in lora.embedded))
    other = next((place for place, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None:
        ways = [f"{s[0]} x {' x '.join(map(str, s[1]))}" for s in (shapes[0], shapes[other])]
        raise InputError(
            f"{module} is {ways[0]} in {files[0].folder} and {ways[1]} in {files[other].folder}: are these adapters of "
            "one base?"
        )


class _Module:
    """What the adapters do to one module: a tensor (``sources.Sources``) whose base is 0.

    Args:
        held: the adapters.
        module: its name.
    """

    def __init__(self, held: _Held, module: str) -> None:
        self.module, self.name, self._held = module, f"{module}.weight", held
        first = next(lora for lora in held.files if module in lora.factors)
        self._a, self._b = first.factors[module]
        self._embedded = module in first.embedded
        self.shape: tuple[int, ...] = (self._b.shape[0], math.prod(self._a.shape[1:]))
        self.size = math.prod(self.shape)
        self.experts = len(held.files)
        self.has_base = True

    @property
    def identities(self) -> Sequence[str | int]:
        """What tells the adapters apart."""
        return self._held.identities

    @property
    def ranks(self) -> list[int]:
        """r_i of the adapters that change the module."""
        return [lora.factors[self.module][0].shape[0] for lora in self._held.files if self.module in lora.factors]

    def factors(self) -> list[tuple[Tensor, Tensor] | None]:
        """Return B_i (out, r_i) and s_i A_i (r_i, in) of every adapter, float32; None where it has none.

        Raises:
            InputError: a number is NaN or infinite.
        """
        import torch

        found: list[tuple[Tensor, Tensor] | None] = []
        for lora, reader in zip(self._held.files, self._held.readers, strict=True):
            if self.module not in lora.factors:
                found.append(None)
                continue
            pair = []
            for stored in lora.factors[self.module]:
                values = torch.empty(stored.size)
                reader.read(stored.name, 0, values)
                if not values.isfinite().all():
                    raise InputError(f"{lora.path}: {stored.name} has NaN or infinite numbers: leave this adapter out")
                pair.append(values.view(stored.shape[0], -1))
            found.append((pair[1], pair[0].mul_(lora.scale(self.module))))
        return found

    def pieces(self, align: int = 1) -> Iterator[Piece]:
        """Yield the changes, formed whole, a piece at a time."""
        import torch

        changes = (torch.zeros(self.shape) if pair is None else pair[0] @ pair[1] for pair in self.factors())
        yield from InMemory(self.name, tuple(changes), torch.zeros(self.shape)).pieces(align)

    def slots(self, rank: int, dtype: str) -> tuple[Slot, Slot]:
        """Return A and B as they are written, the names as PEFT has them."""
        words = ("lora_embedding_A", "lora_embedding_B") if self._embedded else ("lora_A.weight", "lora_B.weight")
        shapes = (rank, *self._a.shape[1:]), (self._b.shape[0], rank, *self._b.shape[2:])
        a, b = (
            Slot(f"{_PREFIX}{self.module}.{word}", dtype, shape, math.prod(shape))
            for word, shape in zip(words, shapes, strict=True)
        )
        return a, b


def _settings(held: _Held, ranks: dict[str, int], base: str | None) -> dict[str, Any]:
    """Return adapter_config.json: that of the first adapter, with ranks of its own and a scale of 1."""
    first = dict(held.files[0].settings)
    rank = max(ranks.values())
    others = {module: own for module, own in ranks.items() if own != rank}
    alike = all(
        set(lora.factors) == set(held.modules) and _chosen(lora, key) == _chosen(held.files[0], key)
        for lora in held.files
        for key in _CHOICES
    )
    chosen = {} if alike else {**dict.fromkeys(_CHOICES), "target_modules": sorted(held.modules)}
    return {
        **first,
        **chosen,
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": others,
        "alpha_pattern": others,
        "use_rslora": False,
        "lora_dropout": 0.0,
        "init_lora_weights": True,
        "eva_config": None,
        "inference_mode": True,
    }


def _chosen(lora: LoraFile, key: str) -> Any:
    found = lora.settings.get(key)
    return sorted(map(str, found)) if isinstance(found, list) else found  # PEFT writes sets in any order
