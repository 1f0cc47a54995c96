"""A model run block by block: every block over all batches before the next one begins.

All that is held is the hidden state of every token, 4 N D bytes in float32, and whatever the caller keeps of the one
block at work. The sums are those of a plain forward pass; only their order over blocks and batches differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harmonia.core.errors import InputError
from harmonia.models.pretrained import TokenBatch
from harmonia.models.pruned.families import family_of


@dataclass
class Step:
    """One block, to be run over all batches.

    Attributes:
        layer: number of the block, from 0.
        block: the block.
    """

    layer: int
    block: nn.Module
    _batches: Sequence[TokenBatch]
    _states: list[Tensor]
    _calls: list[list[tuple[tuple[Any, ...], dict[str, Any]]]]

    def run(self, advance: bool = True) -> Iterator[tuple[TokenBatch, Tensor, Tensor]]:
        """Yield each batch with the block's input and output, (b, t, D) each.

        Args:
            advance: pass the outputs on to the next block. Without, the block may be run again from the same inputs.
        """
        for place, (batch, before, args, options) in enumerate(self.inputs()):
            with torch.no_grad():
                out = self.block(before, *args, **options)
            after = out[0] if isinstance(out, tuple) else out
            if advance:
                self.put(place, after)
            yield batch, before, after

    def inputs(self) -> Iterator[tuple[TokenBatch, Tensor, tuple[Any, ...], dict[str, Any]]]:
        """Yield each batch with the block's input, (b, t, D), and what else the block is called with."""
        for place, batch in enumerate(self._batches):
            yield batch, self._states[place], *self._calls[place][self.layer]

    def put(self, place: int, states: Tensor) -> None:
        """Pass hidden states of a batch on to the next block, in place of what the block itself would give."""
        self._states[place] = states
        self._calls[place][self.layer] = ((), {})  # masks of this block serve nobody any more


class _Recorder(nn.Module):
    """Stands in for a block: keeps what it is called with and passes its input on."""

    def __init__(self, block: nn.Module, calls: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> None:
        super().__init__()
        self._kept = [block]  # in a list, so that it is no submodule
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_kept"][0], name)

    def forward(self, hidden_states: Tensor, *args: Any, **options: Any) -> Tensor:
        self._calls.append((args, options))
        self.first = hidden_states
        return hidden_states


def walk(model: Any, batches: Sequence[TokenBatch]) -> Iterator[Step]:
    """Yield the blocks of a model in order; run each to its end before the next is asked for.

    A block that the caller changes between its last run and the next step changes nothing here; one that is changed
    before it is run, by hooks or otherwise, passes the change on to the blocks behind it.

    Args:
        model: of a supported family, in evaluation mode.
        batches: of tokens.

    Raises:
        InputError: no batches, or a family that is not supported.
    """
    if not batches:
        raise InputError("no tokens to calibrate on: give at least one sequence")
    family = family_of(model)
    blocks = family.blocks(model)
    originals = list(blocks)
    calls: list[list[tuple[tuple[Any, ...], dict[str, Any]]]] = []
    states: list[Tensor] = []
    trunk = model.base_model
    options = {"use_cache": False} if getattr(model.config, "use_cache", None) is not None else {}
    for batch in batches:
        seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        recorders = [_Recorder(block, seen) for block in originals]
        norm = trunk.get_submodule(family.last_norm) if family.last_norm else None
        try:
            if norm is not None:  # the last hidden state may have other channels than the first, which comes here
                setattr(trunk, family.last_norm, nn.Identity())
            for layer, recorder in enumerate(recorders):
                blocks[layer] = recorder
            with torch.no_grad():
                trunk(input_ids=batch.ids, attention_mask=batch.mask, **options)
        finally:
            for layer, block in enumerate(originals):
                blocks[layer] = block
            if norm is not None:
                setattr(trunk, family.last_norm, norm)
        calls.append(seen)
        states.append(recorders[0].first)
    for layer, block in enumerate(originals):
        yield Step(layer, block, batches, states, calls)
