"""Gradients of each example's loss by masks on units, from one backward pass for a whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonia.compress.site import Site
from harmonia.core.errors import InputError
from harmonia.models.perplexity import next_token_nats
from harmonia.models.pretrained import TokenBatch

Loss = Callable[[Any, TokenBatch], Tensor]
"""The model and a batch to the loss of each example: (b,)."""


def next_token_loss(model: Any, batch: TokenBatch) -> Tensor:
    """Return the mean nats per predicted token of each sequence: (b,).

    Raises:
        InputError: the model has no language-model head.
    """
    out = model(input_ids=batch.ids, attention_mask=batch.mask)
    if getattr(out, "logits", None) is None or out.logits.shape[:2] != batch.ids.shape:
        raise InputError("the model predicts no tokens: load it with its language-model head, or give labels")
    return next_token_nats(out.logits, batch).sum(dim=1) / batch.mask[:, 1:].sum(dim=1).clamp(min=1)


def class_loss(labels: np.ndarray) -> Loss:
    """Return the cross entropy of a classifier.

    Args:
        labels: (n,) int64, the class of each sequence, by row.
    """

    def loss(model: Any, batch: TokenBatch) -> Tensor:
        out = model(input_ids=batch.ids, attention_mask=batch.mask)
        logits = getattr(out, "logits", None)
        if logits is None or logits.ndim != 2:
            raise InputError("the model gives no logits of classes: load it with its classification head")
        if batch.rows.max() >= len(labels):
            raise InputError(f"{len(labels)} labels for sequence {batch.rows.max()}: give one to each, counted from 0")
        wanted = np.asarray(labels)[batch.rows]
        if wanted.min() < 0 or wanted.max() >= logits.shape[1]:
            raise InputError(
                f"labels from {wanted.min()} to {wanted.max()} for a classifier of {logits.shape[1]} classes"
            )
        return functional.cross_entropy(logits.float(), torch.from_numpy(wanted).to(logits.device), reduction="none")

    return loss


def mask_gradients(model: Any, sites: Sequence[Site], batches: Sequence[TokenBatch], loss: Loss) -> list[np.ndarray]:
    """Return the gradient of each example's loss by a mask m = 1 on the units of each site: one (B, units) per site.

    dL_i / dm_j = sum over tokens t and columns c of unit j of x_tc (delta_t W)_c, delta the gradient at the consumer's
    output: each example has a mask of its own, so that one backward pass of the summed losses gives all of them.
    Weights get no gradients.

    Args:
        model: in evaluation mode; its examples do not see each other.
        sites: B examples and one number per unit are kept of each.
        batches: of tokens.
        loss: of each example.

    Raises:
        InputError: a gradient that is not finite; the message names the layer.
    """
    found: list[list[np.ndarray]] = [[] for _ in sites]
    with frozen(model):
        for batch in batches:
            device = next(model.parameters()).device
            masks = [torch.ones(len(batch.rows), site.units, device=device, requires_grad=True) for site in sites]
            hooks = [
                model.get_submodule(site.name).register_forward_pre_hook(_masking(mask, site.run))
                for site, mask in zip(sites, masks, strict=True)
            ]
            try:
                value = loss(model, batch).sum()
            finally:
                for hook in hooks:
                    hook.remove()
            for kept, gradient in zip(found, torch.autograd.grad(value, masks), strict=True):
                kept.append(gradient.double().cpu().numpy())
    out = [np.concatenate(kept) for kept in found]
    for site, whole in zip(sites, out, strict=True):
        if not np.isfinite(whole).all():
            raise InputError(f"{site.name}: gradients are NaN or infinite; load the model in float32")
    return out


def _masking(mask: Tensor, run: int) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        return (x * mask.repeat_interleave(run, dim=1)[:, None].to(x.dtype), *inputs[1:])

    return hook


@contextmanager
def frozen(model: Any) -> Iterator[None]:
    """Ask for no gradients of weights inside of the block, and allow others.

    Raises:
        InputError: torch.inference_mode is on, under which there are none.
    """
    if torch.is_inference_mode_enabled():
        raise InputError("gradients are needed, and there are none inside of torch.inference_mode: leave it out")
    learns = [(tensor, tensor.requires_grad) for tensor in model.parameters()]
    try:
        for tensor, _ in learns:
            tensor.requires_grad_(False)
        with torch.enable_grad():
            yield
    finally:
        for tensor, before in learns:
            tensor.requires_grad_(before)
