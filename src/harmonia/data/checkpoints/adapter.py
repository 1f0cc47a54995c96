"""A LoRA adapter on its base, read as if it were a model of its own: W + s B A, folded while it is read.

s = alpha / r, or alpha / sqrt(r) with rsLoRA (arXiv 2312.03732). Modules that were trained whole replace the base's.
The sum is float32 and is not rounded to the base's type.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError
from harmonia.data.checkpoints.checkpoint import Checkpoint, read_object
from harmonia.data.checkpoints.header import Stored, read_header

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_BLOCK = 1 << 17
"""Elements of a change that are computed at a time."""
_REFUSED = (
    "use_dora",
    "use_qalora",
    "lora_bias",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
    "use_bdlora",
    "monteclora_config",
    "kasa_config",
)
"""Settings of PEFT under which the change of a matrix is not s B A."""
_MOVED = ("pissa", "corda", "olora", "loftq", "lora_ga")
"""Beginnings of adapters for which PEFT changes the base as well."""
_FACTOR = re.compile(r"(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B)(?:\.weight)?$")


@dataclass(frozen=True)
class Change:
    """What an adapter adds to one tensor: scale * left @ right.

    Attributes:
        first: A, or B where the matrix is stored transposed.
        second: the other factor.
        transposed: whether the tensor is (in, out): Conv1D of GPT-2, and embeddings.
        scale: s.
    """

    first: Stored
    second: Stored
    transposed: bool
    scale: float


class AdaptedCheckpoint(Checkpoint):
    """A base with an adapter folded in; everything that a checkpoint can do."""

    def __init__(self, folder: Path, base: Checkpoint, replaced: Mapping[str, Stored], changes: Mapping[str, Change]):
        super().__init__(folder, base.config, {**base.tensors, **replaced})
        self.base = base
        self.changes = dict(changes)
        self._factors = _Factors(self)

    def read(self, name: str, start: int, out: Tensor) -> None:
        super().read(name, start, out)
        change = self.changes.get(name)
        if change is not None:
            self._factors.add(change, start, out)

    def is_stored(self, name: str) -> bool:
        return name not in self.changes

    def whole(self, stored: Stored) -> Tensor:
        """Return a tensor of the adapter's own file, float32."""
        import torch

        out = torch.empty(stored.size)
        self._numbers(stored, 0, out)
        return out.view(stored.shape)


class _Factors(threading.local):
    """The factors and the block of rows that a thread used last.

    Rows are multiplied in blocks that begin at multiples of one length, never as many as are asked for: a product of
    matrices rounds differently with other shapes, and the sum must not depend on how a tensor is cut into pieces.
    """

    def __init__(self, owner: AdaptedCheckpoint) -> None:
        self.owner = owner
        self.change: Change | None = None
        self.number = -1
        self.left: Any = None
        self.right: Any = None
        self.block: Any = None

    def add(self, change: Change, start: int, out: Tensor) -> None:
        """Add the elements of a change from ``start`` on to ``out``."""
        if change is not self.change:
            first, second = (self.owner.whole(factor) for factor in (change.first, change.second))
            a, b = first.flatten(1), second.flatten(1)
            self.left, self.right = (a.T.contiguous(), b.T.contiguous()) if change.transposed else (b, a)
            self.change, self.number = change, -1
        rows = max(1, _BLOCK // self.right.shape[1])
        length = rows * self.right.shape[1]
        done = 0
        while done < len(out):
            number, offset = divmod(start + done, length)
            if number != self.number:
                self.block = (self.left[number * rows : (number + 1) * rows] @ self.right).mul_(change.scale).flatten()
                self.number = number
            part = self.block[offset : offset + len(out) - done]
            out[done : done + len(part)] += part
            done += len(part)


@dataclass(frozen=True)
class LoraFile:
    """A LoRA adapter as PEFT saves it, on no base yet.

    Attributes:
        folder: where it is.
        settings: its adapter_config.json.
        factors: name of a module -> A and B, ``scale(module) * B A`` being what it adds to the module's weight.
        embedded: modules that are embeddings: they add the transpose.
        whole: what was trained whole, by name.
    """

    folder: Path
    settings: Mapping[str, Any]
    factors: dict[str, tuple[Stored, Stored]]
    embedded: frozenset[str]
    whole: dict[str, Stored]

    @property
    def path(self) -> Path:
        """The file of its weights."""
        return self.folder / WEIGHTS

    def scale(self, module: str) -> float:
        """Return s of a module.

        Raises:
            InputError: the settings say none.
        """
        rank = self.factors[module][0].shape[0]
        patterns = self.settings.get("alpha_pattern") or {}
        given = (value for key, value in patterns.items() if _matches(key, module))
        alpha = next(given, self.settings.get("lora_alpha", 8))
        if not isinstance(alpha, int | float):
            raise InputError(f"{self.folder / CONFIG}: alpha of {module} is {alpha!r}, not a number")
        return float(alpha / (math.sqrt(rank) if self.settings.get("use_rslora") else rank))


def read_lora(folder: Path) -> LoraFile:
    """Read what an adapter holds, without a base.

    Args:
        folder: as PEFT saves it: adapter_config.json and adapter_model.safetensors.

    Raises:
        InputError: not a LoRA adapter, or one that is more than s B A.
    """
    settings = read_object(folder / CONFIG, f"{folder} is not an adapter: it has no {CONFIG}")
    if not (folder / WEIGHTS).is_file():
        pickled = " but adapter_model.bin, a pickle" if (folder / "adapter_model.bin").is_file() else ""
        raise InputError(f"{folder} has no {WEIGHTS}{pickled}: save the adapter with PEFT's save_pretrained")
    odd = next((name for name in _REFUSED if settings.get(name)), None)
    begun = settings.get("init_lora_weights")
    if isinstance(begun, str) and begun.lower().startswith(_MOVED):
        odd = f"init_lora_weights={begun}"
    if settings.get("peft_type") != "LORA" or odd is not None:
        what = f"uses {odd}" if odd else f"is {settings.get('peft_type')!r}, not LORA"
        raise InputError(f"{folder / CONFIG} {what}, which is not W + s B A: merge it into its base with PEFT first")
    held: dict[str, dict[str, Stored]] = {}
    whole: dict[str, Stored] = {}
    for stored in read_header(folder / WEIGHTS):
        key = stored.name.removeprefix("base_model.model.").replace(".base_layer.", ".")
        found = _FACTOR.match(key)
        if found:
            held.setdefault(found[1], {})[found[2]] = stored
        else:
            whole[key] = stored
    factors, embedded = {}, set()
    for module, own in held.items():
        is_embedding = "lora_embedding_A" in own
        names = ("lora_embedding_A", "lora_embedding_B") if is_embedding else ("lora_A", "lora_B")
        a, b = (own.get(name) for name in names)
        if a is None or b is None or len(own) != 2 or not a.size or not b.size:
            raise InputError(f"{folder / WEIGHTS} has not both factors of {module}: save the adapter again")
        factors[module] = a, b
        if is_embedding:
            embedded.add(module)
    return LoraFile(folder, settings, factors, frozenset(embedded), whole)


def fold(folder: Path, base: Checkpoint) -> AdaptedCheckpoint:
    """Return an adapter on its base.

    Args:
        folder: as PEFT saves it: adapter_config.json and adapter_model.safetensors.
        base: the model that it was trained on.

    Raises:
        InputError: not a LoRA adapter, one that cannot be folded, or one that does not fit the base.
    """
    lora = read_lora(folder)
    replaced = {}
    for key, stored in lora.whole.items():
        target = _target(key, base, folder)
        replaced[target] = Stored(target, stored.dtype, stored.shape, stored.path, stored.start)
    changes = {}
    for module in lora.factors:
        target = _target(f"{module}.weight", base, folder)
        changes[target] = _change(lora, module, base.tensor(target))
    return AdaptedCheckpoint(folder, base, replaced, changes)


def _change(lora: LoraFile, module: str, target: Stored) -> Change:
    a, b = lora.factors[module]
    embedded = module in lora.embedded
    rank = a.shape[0]
    into, out = a.size // rank, b.shape[0]
    shape = (target.shape[0], math.prod(target.shape[1:])) if target.shape else ()
    ways = {False: shape == (out, into) and not embedded, True: shape == (into, out)}
    if b.size != out * rank or not any(ways.values()):
        raise InputError(
            f"{lora.path}: factors of shapes {list(b.shape)} and {list(a.shape)} do not fit {target.name} of "
            f"shape {list(target.shape)} in {target.path}: is this the adapter's base?"
        )
    # one setting for all modules, of which some may be stored the other way: only a square one needs to be told
    transposed = bool(lora.settings.get("fan_in_fan_out")) or embedded if all(ways.values()) else ways[True]
    return Change(a, b, transposed, lora.scale(module))


def _matches(pattern: str, module: str) -> bool:
    """Return whether a key of PEFT's patterns, a regular expression for the end of a name, means a module."""
    try:
        return re.match(rf"(.*\.)?({pattern})$", module) is not None
    except re.error as error:
        raise InputError(f"alpha_pattern {pattern!r} is not a regular expression ({error})") from error


def _target(name: str, base: Checkpoint, folder: Path) -> str:
    """Return what the base calls a tensor: a trunk saved without its head lacks the prefix that the head gives it."""
    if name in base.tensors:
        return name
    near: Iterable[str] = (known for known in base.tensors if known.endswith(f".{name}") or name.endswith(f".{known}"))
    found = list(near)
    if len(found) != 1:
        raise InputError(
            f"{folder} changes {name}, and {base.folder} has no tensor of that name of its own (another base, or one "
            "that is tied to another tensor): merge the adapter into its base with PEFT first"
        )
    return found[0]
