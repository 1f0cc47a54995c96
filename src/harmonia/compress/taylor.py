"""What a loss says of the weights of a unit: the sums that Taylor criteria are made of.

With g the gradient of the mean loss over examples, g_i that of one example, and F the mean of g_i^2, over all weights w
of a unit: its columns of the consumer and its rows of the producers, without biases,

    element1  sum |w g|
    vector    sum over columns and rows of |sum of w g along it|
    taylor2   sum |w F w|
    mix       sum |w g - w F w / 2|
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmonia.compress.gradients import Loss, frozen
from harmonia.compress.site import Site
from harmonia.core.errors import InputError
from harmonia.models.pretrained import TokenBatch
from harmonia.models.pruned import family_of
from harmonia.models.pruned.family import Slot, linears
from harmonia.models.pruned.linear import matrix

KEYS = ("element1", "vector", "taylor2", "mix")


def slice_sums(
    model: Any, sites: Sequence[Site], batches: Sequence[TokenBatch], loss: Loss
) -> list[dict[str, np.ndarray]]:
    """Return the four sums for each unit of each site: by name (units,) float64.

    One backward pass per batch: the gradient of one example by the weights of a layer is the product of what the layer
    read and what came back to it, summed over the tokens of the example. Held are two numbers per weight of the sites'
    layers, and the activations of a batch.

    Args:
        model: in evaluation mode; its examples do not see each other.
        sites: consumers of the model.
        batches: of tokens.
        loss: of each example.

    Raises:
        InputError: a gradient that is not finite; the message names the layer.
    """
    slots = {slot.name: slot for slot in family_of(model).slots(model)}
    names = list(dict.fromkeys(name for site in sites for name in linears(slots[site.name])))
    sums = {name: _Sums(model.get_submodule(name)) for name in names}
    examples = 0
    with frozen(model):
        start = model.get_input_embeddings()
        for batch in batches:
            examples += len(batch.rows)
            # with frozen weights something must ask for gradients, or nothing comes back
            hooks = [start.register_forward_hook(lambda module, inputs, out: out.detach().requires_grad_())]
            hooks += [model.get_submodule(name).register_forward_hook(total.watch) for name, total in sums.items()]
            try:
                loss(model, batch).sum().backward()
            finally:
                for hook in hooks:
                    hook.remove()
    found = []
    for site in sites:
        slot = slots[site.name]
        totals = {key: np.zeros(slot.units) for key in KEYS}
        for name in linears(slot):
            for key, value in sums[name].by_feature(examples, columns=name == slot.name).items():
                if not np.isfinite(value).all():
                    raise InputError(f"{name}: gradients are NaN or infinite; load the model in float32")
                totals[key] += _by_unit(value, slot, name)
        found.append(totals)
    return found


class _Sums:
    """Sums over examples of the gradients by one weight, and of their squares."""

    def __init__(self, module: nn.Module) -> None:
        self.weight = matrix(module).float()
        self.first = torch.zeros_like(self.weight)
        self.second = torch.zeros_like(self.weight)

    def watch(self, module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        read = inputs[0].detach().float()

        def back(gradient: Tensor) -> None:
            for x, delta in zip(read, gradient.float(), strict=True):
                own = delta.T @ x  # (d_out, d_in) of one example
                self.first += own
                self.second.addcmul_(own, own)

        out.register_hook(back)

    def by_feature(self, examples: int, columns: bool) -> dict[str, np.ndarray]:
        """Return the sums of each column, or of each row."""
        linear = self.weight * self.first / examples
        square = self.weight**2 * self.second / examples
        along = 0 if columns else 1
        return {
            "element1": _sum(linear.abs(), along),
            "vector": np.abs(_sum(linear, along)),
            "taylor2": _sum(square, along),
            "mix": _sum((linear - square / 2).abs(), along),
        }


def _sum(values: Tensor, along: int) -> np.ndarray:
    return values.sum(dim=along, dtype=torch.float64).cpu().numpy()


def _by_unit(values: np.ndarray, slot: Slot, name: str) -> np.ndarray:
    if name == slot.name:
        return values.reshape(slot.units, slot.run).sum(axis=1)
    producer = next(producer for producer in slot.producers if producer.name == name)
    return values.reshape(producer.parts, slot.units, producer.run).sum(axis=(0, 2))
