"""What was measured of an expert, in a file in its folder: ``fisher.safetensors``, ``gram.safetensors``.

Its tensors have the names of the weights that they belong to; a weight without one was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import Checkpoint, Slot, read_header

Statistic = Literal["fisher", "gram"]
STATISTICS: tuple[Statistic, ...] = ("fisher", "gram")
"""Mean squared gradient of each weight; mean of x x^T over the tokens that enter a linear layer."""


def sidecar(folder: Path, kind: str) -> Path:
    """Return where a statistic of the expert in a folder is."""
    return folder / f"{kind}.safetensors"


def open_sidecars(experts: Sequence[Checkpoint], kind: str) -> list[Checkpoint]:
    """Return the statistics of all experts, each to be read as a checkpoint is.

    Raises:
        InputError: an expert has none; or a file that is damaged.
    """
    for expert in experts:
        if not sidecar(expert.folder, kind).is_file():
            raise InputError(
                f"{expert.folder} has no {kind}.safetensors, which this rule reads of every expert: harmonia merge "
                f"measure {expert.folder} --statistic {kind} --text FILE"
            )
    return [
        Checkpoint(expert.folder, {}, {t.name: t for t in read_header(sidecar(expert.folder, kind))})
        for expert in experts
    ]


def slot_of(kind: str, held: Sequence[Checkpoint], names: Sequence[str], weight: Slot) -> Slot | None:
    """Return name and shape of a weight's statistic; None where no expert was measured.

    Args:
        kind: which statistic.
        held: those of the experts.
        names: what each expert calls the weight.
        weight: the weight, or the beginning of it that is wanted.

    Raises:
        InputError: some experts were measured and others not, or their shapes differ.
    """
    there = [name in sidecar.tensors for name, sidecar in zip(names, held, strict=True)]
    if not any(there):
        return None
    if not all(there):
        lacks = held[there.index(False)].folder
        raise InputError(
            f"{sidecar(lacks, kind)} lacks {names[there.index(False)]}, which other experts have: measure all alike"
        )
    shapes = [tuple(h.tensor(name).shape) for name, h in zip(names, held, strict=True)]
    other = next((place for place, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None:
        raise InputError(
            f"{sidecar(held[other].folder, kind)}: {names[other]} has shape {list(shapes[other])}, and elsewhere "
            f"{list(shapes[0])}: measure all experts alike"
        )
    # a Fisher information belongs to each element, a Gram matrix to the inputs of the whole layer
    shape, size = (weight.shape, weight.size) if kind == "fisher" else (shapes[0], held[0].tensor(names[0]).size)
    if held[0].tensor(names[0]).size < size:
        raise InputError(
            f"{sidecar(held[0].folder, kind)}: {names[0]} has shape {list(shapes[0])}, and the weight has "
            f"{list(weight.shape)}: measure the expert anew"
        )
    return Slot(f"{weight.name} ({kind})", held[0].tensor(names[0]).dtype, shape, size)
