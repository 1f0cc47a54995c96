"""Neurons of the feed-forward layers."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.compress.site import Kind
from harmonia.compress.structure.base import Structure


class Neurons(Structure):
    """Neurons of the feed-forward layers; where they are gated, a neuron is the product of the gate and what it gates.

    The consumer is the second layer (``down_proj``, ``output.dense``, ``c_proj``); a neuron takes its row of the first
    one along, or of both.
    """

    kind: Literal["neurons"] = "neurons"
    kinds: ClassVar[tuple[Kind, ...]] = ("neurons",)
