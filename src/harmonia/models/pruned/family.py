"""A family of architectures: where a model's blocks are, and which layers produce and consume their units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor, nn

from harmonia.core.errors import InputError
from harmonia.models.pruned.linear import check_linear, matrix


@dataclass(frozen=True)
class Producer:
    """A layer whose output features belong to units.

    Attributes:
        name: in the model.
        run: output features of a unit, consecutive.
        parts: how many such sets of all units stand behind each other: 3 where one layer gives queries, keys, values.
    """

    name: str
    run: int
    parts: int = 1

    def rows(self, kept: np.ndarray, units: int) -> np.ndarray:
        """Return the output features of these of the units, in the order in which they stand: int64.

        >>> Producer("c_attn", run=2, parts=2).rows(np.array([0, 2]), units=3).tolist()
        [0, 1, 4, 5, 6, 7, 10, 11]
        """
        starts = np.arange(self.parts)[:, None] * units + np.asarray(kept, np.int64)
        return (starts.reshape(-1, 1) * self.run + np.arange(self.run)).reshape(-1)


@dataclass(frozen=True)
class Slot:
    """Units of a block: what produces and what consumes them.

    Attributes:
        name: of the consumer in the model.
        layer: number of the block, from 0.
        kind: of the units.
        units: how many there are.
        run: input features of the consumer per unit, consecutive.
        producers: the layers that lose rows with a unit.
        owner: name of the module that knows how many heads there are.
        stream: name of the module that reads the hidden state to which the consumer's output is added; None where
            something stands between, a norm or a factor.
    """

    name: str
    layer: int
    kind: Literal["heads", "neurons"]
    units: int
    run: int
    producers: tuple[Producer, ...]
    owner: str
    stream: str | None


class Family:
    """One pattern of module names; a subclass per family."""

    model_types: ClassVar[tuple[str, ...]]
    """``model_type`` of the configurations that follow the pattern."""
    blocks_at: ClassVar[str]
    """Where the list of blocks is, below the trunk."""
    bias_fields: ClassVar[dict[str, str]] = {}
    """Kind of units -> field of the configuration that gives a bias to all layers that produce or consume them."""
    embeddings: ClassVar[tuple[str, ...]] = ()
    """Below the trunk: the embeddings that add up to the first hidden state. None where blocks are not of the pattern
    x + attention(norm(x)), x + feed_forward(norm(x)), and hidden channels cannot go."""
    norms: ClassVar[tuple[str, str]] = ("", "")
    """Of a block: the norm before attention, and the one before the feed-forward layer."""
    last_norm: ClassVar[str] = ""
    """Below the trunk: the norm behind the last block."""

    def attention(self, block: nn.Module, path: str, layer: int) -> Slot:
        """Return the heads of a block whose name is ``path``."""
        raise NotImplementedError

    def feed_forward(self, block: nn.Module, path: str, layer: int) -> Slot:
        """Return the neurons of a block whose name is ``path``."""
        raise NotImplementedError

    def resize(self, owner: nn.Module, slot: Slot, units: int) -> None:
        """Tell the module that owns heads how many there are now; nothing by default."""

    def settings(self, config: Any, heads: Slot, neurons: Slot) -> dict[str, Any]:
        """Return the fields of the configuration that say how wide all blocks are, as far as it can say so."""
        raise NotImplementedError

    def attend(
        self, block: nn.Module, states: Tensor, args: tuple[Any, ...] = (), options: Mapping[str, Any] | None = None
    ) -> Tensor:
        """Return what attention adds to hidden states: norm and attention.

        Args:
            block: of the model.
            states: (b, t, D).
            args: positional ones that the block is called with behind the states.
            options: others that it is called with.
        """
        raise NotImplementedError

    def feed(self, block: nn.Module, states: Tensor) -> Tensor:
        """Return what the feed-forward layer adds to hidden states: norm and layer."""
        raise NotImplementedError

    def scale(self, norm: nn.Module) -> Tensor:
        """Return the factor of each channel behind a norm: (D,)."""
        weight: Tensor = norm.weight  # type: ignore[assignment]
        return weight.detach()

    def renumber(self, config: Any, kept: Sequence[int]) -> dict[str, Any]:
        """Return the fields of the configuration when only these blocks stay.

        Raises:
            InputError: a block does not compute the same in another place.
        """
        changes: dict[str, Any] = {"num_hidden_layers": len(kept)}
        for field in ("layer_types", "no_rope_layers"):  # one entry per block
            if getattr(config, field, None):
                changes[field] = [getattr(config, field)[layer] for layer in kept]
        return changes

    def blocks_path(self, model: Any) -> str:
        """Return the name of the list of blocks."""
        trunk = model.base_model
        prefix = next(name for name, module in model.named_modules() if module is trunk)
        return f"{prefix}.{self.blocks_at}" if prefix else self.blocks_at

    def blocks(self, model: Any) -> nn.ModuleList:
        """Return the blocks."""
        return model.get_submodule(self.blocks_path(model))

    def slots(self, model: Any) -> list[Slot]:
        """Return the heads and the neurons of every block, in order.

        Raises:
            InputError: a layer that is not a plain linear one, sizes that are not whole units, or shared weights.
        """
        path = self.blocks_path(model)
        found: list[Slot] = []
        for layer, block in enumerate(self.blocks(model)):
            place = f"{path}.{layer}"
            found += [self.attention(block, place, layer), self.feed_forward(block, place, layer)]
        for slot in found:
            _check_sizes(model, slot)
        _check_not_shared(model, found)
        return found


def linears(slot: Slot) -> Iterator[str]:
    """Yield the names of the layers that change when units of a slot go."""
    yield slot.name
    for producer in slot.producers:
        yield producer.name


def child(block: nn.Module, path: str, name: str) -> nn.Linear:
    """Return a layer of a block by its name there, a plain linear one.

    Raises:
        InputError: the block has no such layer, or it is of another type.
    """
    try:
        module = block.get_submodule(name)
    except AttributeError as error:
        raise InputError(f"{path} has no layer {name}: the model does not follow the pattern of its type") from error
    check_linear(module, f"{path}.{name}")
    return module  # type: ignore[return-value]


def divided(name: str, size: int, run: int) -> int:
    """Return how many runs make up a size.

    Raises:
        InputError: they do not divide it.
    """
    if run < 1 or size % run:
        raise InputError(f"{name} has {size} features, which are no whole units of {run}")
    return size // run


def _check_sizes(model: Any, slot: Slot) -> None:
    columns = matrix(model.get_submodule(slot.name)).shape[1]
    if columns != slot.units * slot.run:
        raise InputError(f"{slot.name} takes {columns} features, and {slot.units} units of {slot.run} are produced")
    for producer in slot.producers:
        rows = matrix(model.get_submodule(producer.name)).shape[0]
        if rows != producer.parts * slot.units * producer.run:
            raise InputError(
                f"{producer.name} gives {rows} features, not {producer.parts} x {slot.units} units of {producer.run}"
            )


def _check_not_shared(model: Any, slots: Sequence[Slot]) -> None:
    seen: dict[int, str] = {}
    for slot in slots:
        for name in linears(slot):
            weight = model.get_submodule(name).weight
            other = seen.setdefault(id(weight), name)
            if other != name:
                raise InputError(
                    f"{name} and {other} share one weight, so that cutting one would change the other: "
                    "models that share layers cannot be pruned"
                )
