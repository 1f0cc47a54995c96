"""Fewer hidden channels: each hidden state is written in a basis of its own, and only its first directions are kept.

There are 2 L + 1 hidden states in a model of L blocks: x_0 behind the embeddings, x_(2l+1) between attention and
feed-forward layer of block l, and x_(2l+2) behind it. A hidden state x_p of D channels becomes Q_p^T x_p with Q_p
(D, k_p) of orthonormal columns. A norm that only divides by the root mean square does not see that the state was
turned; its factors g go into the layers that read it, and what centres it, M = I - 1 1^T / D (I for a root mean
square), into those that write it:

    readers  W diag(g) Q_p,   b + W b_norm        of the norm at p
    writers  Q_p^T M W,       Q_p^T M b           that add to x_p; embeddings E M Q_p
    skips    Q_p^T M Q_(p+1)                      on the way from x_p to x_(p+1)

A hidden state may also be left whole, with its norm as it was. SliceGPT: Ashkboos et al. 2024 (arXiv 2401.15024).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harmonia.core.errors import InputError
from harmonia.models.pruned.families import check_loaded, family_of
from harmonia.models.pruned.family import Family, Slot
from harmonia.models.pruned.layout import settle
from harmonia.models.pruned.linear import check_linear, matrix, replace
from harmonia.models.pruned.skips import SKIPS, RootMeanSquare, is_turned, turn
from harmonia.models.pruned.slicing import emptied, twin


def check_narrow(model: Any, widths: Sequence[int | None] | None = None) -> None:
    """Refuse a model whose hidden channels cannot go.

    Args:
        model: of a supported family.
        widths: how many are to stay of each of the 2 L + 1 hidden states, None for all; only the model is looked at
            where there is no list.

    Raises:
        InputError: another architecture, channels that are gone already, or ends that the model has no place for.
    """
    family, kind = family_of(model), model.config.model_type
    blocks = family.blocks(model)
    if any(map(is_turned, blocks)):
        raise InputError("the hidden channels of this model are turned and cut already: begin with the dense one")
    plain = bool(family.embeddings) and all(slot.stream is not None for slot in family.slots(model))
    if not plain or any(hasattr(block, "crossattention") for block in blocks):
        raise InputError(
            f"hidden channels cannot go from this model of type {kind!r}: its blocks are not x + attention(norm(x)) "
            "and x + feed_forward(norm(x)), as those of llama or gpt2 are; take structure=both, neurons or heads"
        )
    if widths is None:
        return
    if len(widths) != 2 * len(blocks) + 1:
        raise InputError(f"{len(widths)} widths of hidden states, and {len(blocks)} blocks have {2 * len(blocks) + 1}")
    if widths[-1] is not None and model.get_output_embeddings() is None:
        raise InputError(
            f"a {type(model).__name__} has no head over words that could read fewer channels: take "
            "structure.spare_head=true"
        )
    if kind == "gpt2" and widths[0] != widths[-1]:
        raise InputError(
            "gpt2 gives its head as many channels as its embeddings have: take structure.spare_head=false, or "
            "structure.spare_embeddings=true"
        )


def narrowed(model: Any, bases: Sequence[Any]) -> Any:
    """Return a model of fewer hidden channels; the given one stays as it is.

    Where the embeddings and the head share a weight and one of them changes, they share it no longer.

    Args:
        model: of a family of pre-norm blocks, in memory.
        bases: (D, k_p) of each of the 2 L + 1 hidden states, of orthonormal columns; None leaves it whole.

    Raises:
        InputError: as ``check_narrow``, or a basis of another shape.
    """
    check_loaded(model)
    turned = [None if basis is None else torch.as_tensor(basis) for basis in bases]
    check_narrow(model, [None if basis is None else basis.shape[1] for basis in turned])
    width = int(model.config.hidden_size)
    for place, basis in enumerate(turned):
        if basis is not None and not (basis.shape[0] == width and 1 <= basis.shape[1] <= width):
            raise InputError(f"hidden state {place}: a basis of shape {tuple(basis.shape)} for {width} channels")
    smaller = twin(model)
    narrow(smaller, turned)
    settle(smaller, family_of(smaller))
    return smaller


def narrow_outline(model: Any, widths: Sequence[int | None]) -> Any:
    """Return a model of the sizes that ``narrowed`` would give, without numbers: on the meta device.

    Args:
        model: of a family of pre-norm blocks.
        widths: k_p of each of the 2 L + 1 hidden states, None for all channels.

    Raises:
        InputError: as ``check_narrow``.
    """
    check_narrow(model, widths)
    smaller = emptied(model)
    make_room(smaller, widths)
    settle(smaller, family_of(smaller))
    return smaller


def make_room(model: Any, widths: Sequence[int | None]) -> None:
    """Give a model the layers of fewer hidden channels in place, with whatever numbers."""
    first = next(model.parameters())
    rows = int(model.config.hidden_size)
    narrow(model, [None if k is None else torch.zeros(rows, k, device=first.device) for k in widths])


def narrow(model: Any, bases: Sequence[Tensor | None]) -> None:
    """Turn and cut all hidden states of a model in place, on whatever device it is."""
    family = family_of(model)
    blocks, slots = family.blocks(model), family.slots(model)
    own = _Bases(bases, model, family)
    for block in blocks:
        turn(block, family)
    for place, slot in enumerate(slots):
        # heads and neurons in turn: the norm at a place is read by producers, and the consumer adds to the next one
        _read(model, family, slot, own, place)
        _write(model.get_submodule(slot.name), own, place + 1)
        block = blocks[slot.layer]
        skip = own.skip(place)
        if skip is not None:
            layer = nn.Linear(1, 1, bias=False, device=skip.device)
            layer.weight.requires_grad_(model.get_submodule(slot.name).weight.requires_grad)
            replace(layer, skip.T.to(model.get_submodule(slot.name).weight.dtype), None)
            setattr(block, SKIPS[place % 2], layer)
    head = model.get_output_embeddings()
    inner = model.base_model.get_submodule(family.embeddings[0])
    if head is not None and head.weight is inner.weight and (bases[0] is not None or bases[-1] is not None):
        model.config.tie_word_embeddings = False
        model.all_tied_weights_keys = {}
    if bases[0] is not None:
        for name in family.embeddings:
            embedding = model.base_model.get_submodule(name)
            weight = own.written(embedding.weight.detach().T, 0).T
            embedding.weight = nn.Parameter(
                weight.to(embedding.weight.dtype).contiguous(), requires_grad=embedding.weight.requires_grad
            )
            embedding.embedding_dim = weight.shape[1]
    if bases[-1] is not None:
        check_linear(head, "the head")
        norm = model.base_model.get_submodule(family.last_norm)
        _fold(head, norm, family, own, len(bases) - 1)
        setattr(model.base_model, family.last_norm, own.norm(norm))


class _Bases:
    """Bases of the hidden states of a model, and what they do to weights, in float64."""

    def __init__(self, bases: Sequence[Tensor | None], model: Any, family: Family) -> None:
        first = next(model.parameters())
        self.of = [None if basis is None else basis.to(first.device, torch.float64) for basis in bases]
        self.channels = int(model.config.hidden_size)
        self.centred = isinstance(model.base_model.get_submodule(family.last_norm), nn.LayerNorm)

    def read(self, weight: Tensor, place: int) -> Tensor:
        """Return W Q_p."""
        basis = self.of[place]
        assert basis is not None
        return weight @ basis

    def written(self, weight: Tensor, place: int) -> Tensor:
        """Return Q_p^T M W: of a matrix (D, d), or of a bias (D,)."""
        basis = self.of[place]
        assert basis is not None
        return basis.T @ self._centre(weight.double())

    def skip(self, place: int) -> Tensor | None:
        """Return Q_p^T M Q_(p+1), as (k_p, k_(p+1)); None where neither is turned."""
        before, behind = self.of[place], self.of[place + 1]
        if before is None:
            return None if behind is None else self._centre(behind)
        return before.T if behind is None else before.T @ self._centre(behind)

    def norm(self, norm: nn.Module) -> RootMeanSquare:
        """Return what stands for a norm whose factors were folded."""
        eps = getattr(norm, "variance_epsilon", None) or norm.eps
        return RootMeanSquare(self.channels, float(eps))  # type: ignore[arg-type]

    def _centre(self, columns: Tensor) -> Tensor:
        return columns - columns.mean(dim=0) if self.centred else columns


def _read(model: Any, family: Family, slot: Slot, own: _Bases, place: int) -> None:
    """Make the layers that read a norm read the turned state instead."""
    if own.of[place] is None:
        return
    block, name = family.blocks(model)[slot.layer], family.norms[place % 2]
    norm = block.get_submodule(name)
    for producer in slot.producers:
        _fold(model.get_submodule(producer.name), norm, family, own, place)
    setattr(block, name, own.norm(norm))


def _fold(layer: Any, norm: nn.Module, family: Family, own: _Bases, place: int) -> None:
    """Give a layer that reads a norm its factors and its bias."""
    weight = matrix(layer).double()
    bias = None if layer.bias is None else layer.bias.detach().double()
    extra = getattr(norm, "bias", None)
    if extra is not None:
        through = weight @ extra.detach().double()
        bias = through if bias is None else bias + through
    turned = own.read(weight * family.scale(norm).double(), place)
    kind = layer.weight.dtype
    replace(layer, turned.to(kind), None if bias is None else bias.to(kind))


def _write(layer: Any, own: _Bases, place: int) -> None:
    """Make a layer add to the turned state."""
    if own.of[place] is None:
        return
    kind = layer.weight.dtype
    bias = None if layer.bias is None else own.written(layer.bias.detach(), place).to(kind)
    replace(layer, own.written(matrix(layer), place).to(kind), bias)
