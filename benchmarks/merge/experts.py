"""Models for merging: one base, and experts whose task vectors are of low rank, sparse, and dense.

The base is a real language model, or that model with its layers or its rows repeated, which makes it as large as one
likes. Only names, shapes and numbers matter to a merge; a model with repeated rows is not one to run. Models are
written tensor by tensor, so a machine that can merge them can make them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from harmonia.core.seeds import generator
from harmonia.data.checkpoints import Checkpoint, Slot, dtype_named, written_file

if TYPE_CHECKING:
    from torch import Tensor

SINGLE = "model.safetensors"
KINDS = ("low-rank", "sparse", "dense")
"""Of the task vectors, in turn."""
RANK, SHARE, SIZE = 16, 0.5, 0.02
"""Rank, share of elements that move, and length of a task vector beside that of the weights."""

_LAYER = re.compile(r"\.layers\.(\d+)\.")


def real_base(folder: Path, model: str = "smollm2") -> Checkpoint:
    """Write a model of the catalogue, a folder or a Hub id as float32; one that is there is taken."""
    if not (folder / "config.json").exists():
        from harmonia.models.pretrained import load_model

        loaded = load_model(model, causal=True, device="cpu")
        tensors = dict(loaded.named_parameters())  # each once, though the output layer is the embedding
        config = loaded.config.to_dict() | {"architectures": [type(loaded).__name__]}
        config.pop("quantization_config", None)
        slots = [Slot(name, "F32", tuple(tensor.shape), tensor.numel()) for name, tensor in tensors.items()]
        _written(folder, slots, config, "float32", lambda: iter(tensors.items()))
    return Checkpoint.at(folder)


def grown(base: Checkpoint, folder: Path, times: int, how: Literal["layers", "rows"], dtype: str) -> Checkpoint:
    """Write a base with its layers, or the rows of every tensor, repeated so many times."""
    layers = 1 + max(int(found[1]) for name in base.tensors if (found := _LAYER.search(name)))
    made: list[tuple[str, str, int]] = []  # new name, name in the base, how often its rows stand there
    for name in base.tensors:
        found = _LAYER.search(name)
        if how == "rows":
            made.append((name, name, times))
        elif found is None:
            made.append((name, name, 1))
        else:
            places = (int(found[1]) + layers * copy for copy in range(times))
            made += [(_LAYER.sub(f".layers.{place}.", name), name, 1) for place in places]
    config = base.config | ({"num_hidden_layers": layers * times} if how == "layers" else {})

    def slot(name: str, old: str, rows: int) -> Slot:
        shape = (rows * base.tensor(old).shape[0], *base.tensor(old).shape[1:])
        return Slot(name, dtype_named(dtype), shape, rows * base.tensor(old).size)

    def fill() -> Iterator[tuple[str, Tensor]]:
        for name, old, rows in made:
            yield name, whole(base, old).repeat(rows)

    return _written(folder, [slot(*one) for one in made], config, dtype, fill)


def expert(base: Checkpoint, folder: Path, number: int, dtype: str) -> Checkpoint:
    """Write base + task vector, drawn for this number."""
    slots = [Slot(t.name, dtype_named(dtype), t.shape, t.size) for t in base.tensors.values()]
    kind = KINDS[number % len(KINDS)]

    def fill() -> Iterator[tuple[str, Tensor]]:
        for name in base.tensors:
            theta = whole(base, name)
            draw = generator(number, "expert", name)
            task = _task(kind, base.tensor(name).shape, draw)
            length = SIZE * float(theta.norm()) / max(float(np.linalg.norm(task)), 1e-30)
            yield name, theta.add_(theta.new_tensor(task), alpha=length)

    return _written(folder, slots, base.config, dtype, fill)


def _task(kind: str, shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    size, rows = int(np.prod(shape)), shape[0]
    if kind == "low-rank" and len(shape) == 2:
        left = draw.standard_normal((rows, RANK), np.float32)
        return (left @ draw.standard_normal((RANK, size // rows), np.float32)).reshape(-1)
    task = draw.standard_normal(size, np.float32)
    if kind == "sparse":
        task *= draw.random(size, np.float32) < SHARE
    return task


def whole(model: Checkpoint, name: str) -> Tensor:
    """Return a tensor, flat: (m,) float32."""
    import torch

    out = torch.empty(model.tensor(name).size)
    model.read(name, 0, out)
    return out


def _written(
    folder: Path,
    slots: list[Slot],
    config: dict[str, object],
    dtype: str,
    fill: Callable[[], Iterator[tuple[str, Tensor]]],
) -> Checkpoint:
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with written_file(folder / SINGLE, slots) as write:
            for name, values in fill():
                write(name, values)
        (folder / "config.json").write_text(json.dumps(config | {"dtype": dtype}, indent=2))
    return Checkpoint.at(folder)
