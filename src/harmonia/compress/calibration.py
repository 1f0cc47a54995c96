"""Calibration: what a criterion and a repair need to know of the inputs of each consumer, seen block by block.

The model is walked through once. While a block is at work, its consumers hold 8 d^2 bytes each for the sequences that
repairs are fitted on, and as much for those held out; d is the consumer's width. Beside them there are the hidden
states of all tokens, 4 N D bytes in float32, and some thousand rows of inputs. What was seen of a block is handed over
before the next begins, so that it can be written to disk or used and dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmonia.compress.gradients import Loss, mask_gradients
from harmonia.compress.norms import slice_norms
from harmonia.compress.site import Moments, Seen, Site
from harmonia.compress.taylor import slice_sums
from harmonia.core.errors import InputError
from harmonia.core.seeds import generator
from harmonia.maths.streaming_moments import StreamingMoments
from harmonia.models.pretrained import TokenBatch
from harmonia.models.pruned import check_loaded, walk


def calibrate(
    model: Any,
    sites: Sequence[Site],
    batches: Sequence[TokenBatch],
    *,
    seed: int,
    held: float = 0.15,
    reads: Collection[str] = (),
    loss: Loss | None = None,
) -> Iterator[tuple[Site, Seen]]:
    """Yield each site with what was seen there, in the order of the layers.

    Args:
        model: a transformer of a supported family, in evaluation mode.
        sites: its consumers.
        batches: padded token batches; ``rows`` tell sequences apart.
        seed: draws the sequences that are held out.
        held: share of the sequences that repairs are not fitted on, rounded down; 0 for none.
        reads: what criteria want beside moments: ``gradients``, ``slices``, ``norms`` (these come as slices too).
        loss: of each example, for what needs gradients.

    Raises:
        InputError: no tokens, all of them masked, gradients without a loss, float16 on a CPU, or activations that are
            not finite; the message names the layer.
    """
    check_loaded(model)
    _check(model, batches)
    check_gradients(reads, loss)
    gradients: list[np.ndarray] | None = None
    slices: list[dict[str, np.ndarray]] = [{} for _ in sites]
    if loss is not None and "gradients" in reads:
        gradients = mask_gradients(model, sites, batches, loss)
    if loss is not None and "slices" in reads:
        slices = slice_sums(model, sites, batches, loss)
    if "norms" in reads:
        slices = [sums | norms for sums, norms in zip(slices, slice_norms(model, sites), strict=True)]
    apart = held_out(batches, held, seed)
    if not any(bool(batch.mask[torch.from_numpy(~np.isin(batch.rows, apart))].any()) for batch in batches):
        raise InputError("no tokens to fit repairs on: all are masked or held out; lower held or give more sequences")
    last = max((site.layer for site in sites), default=-1)
    for step in walk(model, batches):
        if step.layer > last:
            return
        here = [(place, site) for place, site in enumerate(sites) if site.layer == step.layer]
        watched = {site.name: _Watched() for _, site in here}
        hooks = [model.get_submodule(name).register_forward_pre_hook(watch) for name, watch in watched.items()]
        try:
            for batch, _, _ in step.run():
                valid = batch.mask.bool()
                out = torch.from_numpy(np.isin(batch.rows, apart)).to(valid.device)[:, None]
                for watch in watched.values():
                    watch.take(valid & ~out, valid & out)
        finally:
            for hook in hooks:
                hook.remove()
        sequences = len(np.unique(np.concatenate([batch.rows for batch in batches])))
        for place, site in here:
            watch = watched.pop(site.name)
            yield (
                site,
                Seen(
                    fit=_moments(watch.fit, sequences - len(apart), site.name),
                    held=_moments(watch.held, len(apart), site.name) if watch.held.count else None,
                    gradients=None if gradients is None else gradients[place],
                    slices=slices[place],
                ),
            )


def check_gradients(reads: Collection[str], loss: Loss | None) -> None:
    """Refuse to look for gradients of nothing.

    Raises:
        InputError: gradients are needed, and there is no loss.
    """
    if {"gradients", "slices"} & set(reads) and loss is None:
        raise InputError(
            "the criterion needs gradients, and there is no loss to take them of: give labels, or a causal language "
            "model"
        )


def held_out(batches: Sequence[TokenBatch], share: float, seed: int) -> np.ndarray:
    """Return the sequences that are held out, ascending: floor(share * n) of them, and never all.

    Args:
        batches: ``rows`` tell sequences apart.
        share: of the sequences, in [0, 1).
        seed: of the draw, which depends neither on batches nor on their order.

    Raises:
        InputError: a share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise InputError(f"held={share:g}: the share of sequences that is held out lies in [0, 1)")
    rows = np.unique(np.concatenate([batch.rows for batch in batches]))
    chosen = generator(seed, "held out").permutation(len(rows))[: int(share * len(rows) + 1e-9)]
    return np.sort(rows[chosen])


@dataclass
class _Watched:
    """What has been seen of a consumer's inputs."""

    fit: StreamingMoments = field(default_factory=StreamingMoments)
    held: StreamingMoments = field(default_factory=StreamingMoments)
    _last: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._last = inputs[0]

    def take(self, fit: Tensor, held: Tensor) -> None:
        assert self._last is not None
        self.fit.add(self._last[fit].float())
        self.held.add(self._last[held].float())
        self._last = None


def _moments(seen: StreamingMoments, sequences: int, name: str) -> Moments:
    mean, gram = seen.mean(), seen.gram()
    if not (np.isfinite(mean).all() and np.isfinite(np.diag(gram)).all()):
        raise InputError(f"{name}: activations are NaN or infinite; load the model in float32 and look at the texts")
    return Moments(seen.count, mean, gram, sequences)


def _check(model: Any, batches: Sequence[TokenBatch]) -> None:
    if not batches:
        raise InputError("no tokens to calibrate on: give at least one sequence")
    if not any(bool(batch.mask.any()) for batch in batches):
        raise InputError("no tokens to calibrate on: every token is masked as padding")
    for name, tensor in model.named_parameters():
        if tensor.dtype == torch.float16 and tensor.device.type == "cpu":
            raise InputError(f"{name} is float16 on the CPU, where it overflows and is slow: load with dtype=float32")
    if getattr(model.config, "chunk_size_feed_forward", 0):
        raise InputError("the model feeds its layers in pieces: load it with chunk_size_feed_forward=0")
