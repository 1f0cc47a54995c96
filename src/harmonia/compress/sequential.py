"""Repairs aimed at the dense output: layer by layer, on what the pruned layers before give.

Two models are walked through side by side, the dense one and one that becomes smaller on the way. Where a layer gives y
in the first it reads z in the second, as long as it is whole; its repair makes the kept part of z give y. What a layer
gives is added to a hidden state, which in the smaller model is off by what the layers before did not repair; that
difference may be asked for as well, so that it does not add up. Then the layer is cut, and what lies behind sees it so.
Beside both models' hidden states, 8 N D bytes, one layer's moments are held: 8 (d + D)^2 bytes, and as much for
sequences that are held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmonia.compress.calibration import held_out
from harmonia.compress.reconstruction.base import Reconstruction, Repaired
from harmonia.compress.site import Moments, Seen, Site
from harmonia.compress.surgery import naming, within
from harmonia.maths.streaming_moments import StreamingMoments
from harmonia.models.pretrained import TokenBatch
from harmonia.models.pruned import Step, family_of, walk
from harmonia.models.pruned.slicing import shrink, twin

_Pair = tuple[Any, Any]


def repair_in_sequence(
    part: Reconstruction,
    model: Any,
    sites: Sequence[Site],
    kept: Sequence[np.ndarray],
    batches: Sequence[TokenBatch],
    *,
    held: float,
    seed: int,
    fold_bias: bool,
    stream: bool = False,
) -> Iterator[tuple[Site, Seen, Repaired]]:
    """Yield each layer with what was seen there and what it becomes, in the order of the layers.

    Args:
        part: how layers are repaired.
        model: the dense one; it stays as it is.
        sites: its consumers.
        kept: (s,) units of each that stay.
        batches: of tokens.
        held: share of the sequences that repairs are not fitted on.
        seed: draws them.
        fold_bias: whether a consumer without bias may gain one.
        stream: whether repairs also make up for how far the hidden state is off to which a layer's output is added.

    Raises:
        InputError: as ``Reconstruction.repair``; the message names the layer.
    """
    apart = held_out(batches, held, seed)
    smaller = twin(model)
    family = family_of(smaller)
    slots = {slot.name: slot for slot in family.slots(smaller)}
    last = max((site.layer for site in sites), default=-1)
    for whole, pruned in zip(walk(model, batches), walk(smaller, batches), strict=True):
        if whole.layer > last:
            return
        for site, units in zip(sites, kept, strict=True):
            if site.layer != whole.layer:
                continue
            read = slots[site.name].stream if stream else None
            seen = _pairs(whole, pruned, site, (model, smaller), apart, read)
            bias = None if site.bias is None else site.bias.cpu().double().numpy()
            with naming(site):
                repaired = within(part, site, fold_bias).repair(
                    site.matrix, bias, seen, site.columns(units), run=site.run
                )
            consumer = smaller.get_submodule(site.name)
            weight = torch.from_numpy(repaired.weight).to(consumer.weight)
            new = None if repaired.bias is None else torch.from_numpy(repaired.bias).to(consumer.weight)
            shrink(smaller, family, slots[site.name], units, weight, new)
            yield site, seen, repaired
        for step in (whole, pruned):
            for _ in step.run():
                pass


def _pairs(whole: Step, pruned: Step, site: Site, pair: _Pair, apart: np.ndarray, stream: str | None) -> Seen:
    """Return the moments of [z, y] at a layer, for the sequences that repairs are fitted on and for the others.

    Args:
        whole: the block of the dense model.
        pruned: the same of the smaller one.
        site: the layer.
        pair: both models.
        apart: sequences that repairs are not fitted on.
        stream: the module that reads the hidden state to which the layer's output is added; None to leave out how far
            the two models' hidden states are apart.
    """
    fit, held = StreamingMoments(), StreamingMoments()
    read: dict[str, Tensor] = {}

    def keep_input(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            read[name] = inputs[0].float()

        return hook

    def keep_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        bias = getattr(module, "bias", None)
        read["y"] = output.float() if bias is None else output.float() - bias.float()

    dense, smaller = (owner.get_submodule(site.name) for owner in pair)
    hooks = [smaller.register_forward_pre_hook(keep_input("z")), dense.register_forward_hook(keep_output)]
    if stream is not None:
        hooks += [
            owner.get_submodule(stream).register_forward_pre_hook(keep_input(name))
            for name, owner in zip(("dense", "pruned"), pair, strict=True)
        ]
    rows: list[np.ndarray] = []
    try:
        for (batch, *_), _ in zip(whole.run(advance=False), pruned.run(advance=False), strict=True):
            wanted = read["y"] if stream is None else read["y"] + (read["dense"] - read["pruned"])
            both = torch.cat([read["z"], wanted], dim=-1)
            valid = batch.mask.bool()
            out = torch.from_numpy(np.isin(batch.rows, apart)).to(valid.device)[:, None]
            fit.add(both[valid & ~out])
            held.add(both[valid & out])
            rows.append(batch.rows)
    finally:
        for hook in hooks:
            hook.remove()
    sequences, inputs = len(np.unique(np.concatenate(rows))), site.units * site.run
    return Seen(
        Moments.paired(fit.count, fit.mean(), fit.gram(), sequences - len(apart), inputs),
        Moments.paired(held.count, held.mean(), held.gram(), len(apart), inputs) if held.count else None,
    )
