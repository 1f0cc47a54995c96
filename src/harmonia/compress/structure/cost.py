"""What a unit costs, from the shapes of the layers that it passes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmonia.compress.site import Site

if TYPE_CHECKING:
    from harmonia.models.pruned import Slot


def site(model: Any, slot: Slot, length: int) -> Site:
    """Return a slot of a model as a site.

    A unit has its columns in the consumer, and its rows with their biases in the producers. A token costs one
    multiplication for each of these weights; and in attention 2 s for each column: s for its share of the scores, s for
    the sum of values. A causal mask saves none of them here.

    Args:
        model: in memory.
        slot: of the model.
        length: s, tokens of a sequence.
    """
    from harmonia.models.pruned.linear import matrix

    consumer = model.get_submodule(slot.name)
    weight = matrix(consumer)
    weights, biases = slot.run * len(weight), 0
    for producer in slot.producers:
        layer = model.get_submodule(producer.name)
        rows = producer.run * producer.parts
        weights += rows * matrix(layer).shape[1]
        biases += rows * (layer.bias is not None)
    attention = 2 * length * slot.run if slot.kind == "heads" else 0
    bias = None if consumer.bias is None else consumer.bias.detach()
    return Site(
        name=slot.name,
        layer=slot.layer,
        kind=slot.kind,
        units=slot.units,
        run=slot.run,
        weight=weight,
        bias=bias,
        parameters=weights + biases,
        macs=weights + attention,
    )
