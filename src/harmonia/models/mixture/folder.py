"""The folder of a mixture: loading and saving, each file whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from harmonia.core.errors import InputError
from harmonia.core.files import atomic, read_json, write_json
from harmonia.data.checkpoints.checkpoint import CONFIG, INDEX, SINGLE, read_object
from harmonia.data.checkpoints.header import read_header
from harmonia.data.checkpoints.layout import Slot
from harmonia.data.checkpoints.precision import NAMES, bytes_view
from harmonia.data.checkpoints.writer import CheckpointWriter
from harmonia.models.mixture.mixture import Mixture
from harmonia.models.mixture.record import KEY, ROUTER_FILE, MixtureRecord, Owner, owner_of, stored_name
from harmonia.models.mixture.sequence_mixture import SequenceMixture
from harmonia.models.mixture.token_mixture import TokenMixture

_FIRST = "model-00001-of-00002.safetensors"


def load(folder: str | Path, *, device: str = "cpu", bridge: Mapping[str, Tensor] | None = None) -> Mixture:
    """Return the mixture in a folder, in evaluation mode and without gradients.

    Args:
        folder: of a mixture.
        device: where to.
        bridge: projectors, for a mixture whose router is yet to be found; gates are 0 then. None reads the router.

    Raises:
        InputError: not a mixture, files that are missing or damaged, or tensors that do not fit.
    """
    path = Path(folder)
    config = read_object(path / CONFIG, f"{folder} is not the folder of a mixture: it has no {CONFIG}")
    record = MixtureRecord.read(config, folder)
    needs = record.bridged or record.decides.endswith("gate")
    if bridge is None and needs and not (path / ROUTER_FILE).is_file():
        raise InputError(f"{folder} has no {ROUTER_FILE}: its router was not finished; make the mixture again")
    tensors: dict[tuple[Owner, str], Tensor] = {}
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise InputError(f"{folder} has no weights (*.safetensors): make the mixture again")
    for file in files:
        read_header(file)  # says what is wrong with it
        try:
            held = load_file(file)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{file} cannot be read ({error}): make the mixture again") from error
        tensors |= {owner_of(name, record.layout): tensor for name, tensor in held.items()}
    tensors |= {("bridge", name): tensor for name, tensor in (bridge or {}).items()}
    made: type[TokenMixture | SequenceMixture] = TokenMixture if record.decides == "token-gate" else SequenceMixture
    return made(record, tensors).to(device)


def save(mixture: Mixture, folder: str | Path, source: str | Path | None = None) -> None:
    """Write a mixture; what is loaded again is the same bit for bit.

    Args:
        mixture: whatever was trained of it.
        folder: new or empty.
        source: folder that its configuration and its tokenizer come from, such as the one it was loaded from.

    Raises:
        InputError: the folder is not empty, or the disk is too small.
        RunError: the disk is full.
    """
    layout = mixture.record.layout
    names = {torch_name: word for word, torch_name in NAMES.items()}
    dtypes = {getattr(torch, word): name for name, word in names.items()}
    held = [(owner, name, t.detach().cpu().contiguous()) for owner, name, t in mixture.named()]
    router = {stored_name(o, n, layout): t for o, n, t in held if o in ("router", "bridge")}
    others = {stored_name(o, n, layout): t for o, n, t in held if o not in ("router", "bridge")}
    slots = [Slot(name, dtypes[t.dtype], tuple(t.shape), t.numel()) for name, t in others.items()]
    path = Path(folder)
    config = {KEY: mixture.record.json(), "model_type": "harmonia_mixture"}
    if source is not None:
        config = read_object(Path(source) / CONFIG, f"{source} has no {CONFIG}") | {KEY: mixture.record.json()}
    elif layout != "harmonia":
        raise InputError(f"a mixture in the layout of {layout} needs a source whose configuration it has: name one")
    with CheckpointWriter(path, slots, inputs=[] if source is None else [Path(source)]) as writer:
        for name, tensor in others.items():
            writer.write_bytes(name, 0, bytes_view(tensor.reshape(-1)))
            writer.done(name)
        writer.complete(config, None if source is None else Path(source))
    if router:
        write_router(path, router)


def write_router(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of a router into the folder of a mixture, instead of others that may be there.

    They are a file of their own, which the index names beside the others, so that stock loaders find it.

    Args:
        folder: of a mixture whose experts are in place.
        tensors: by the names of its layout.

    Raises:
        InputError: a number is NaN or infinite.
        RunError: the disk is full.
    """
    wrong = next((name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()), None)
    if wrong is not None:
        raise InputError(
            f"{wrong} of the router came out as NaN or infinite: lower the learning rate or raise the ridge"
        )
    with atomic(folder / ROUTER_FILE) as temporary:
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        save_file(plain, temporary, metadata={"format": "pt"})
    _index(folder)


def _index(folder: Path) -> None:
    """Write an index of all files; a single file is renamed, as loaders would not look for another beside it."""
    files = [path.name for path in sorted(folder.glob("*.safetensors"))]
    places = {
        tensor.name: _FIRST if file == SINGLE else file for file in files for tensor in read_header(folder / file)
    }
    total = sum(tensor.bytes for file in files for tensor in read_header(folder / file))
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))})
    if SINGLE in files:
        shutil.move(folder / SINGLE, folder / _FIRST)


def record_of(folder: str | Path) -> MixtureRecord:
    """Return what config.json says of a mixture."""
    config: Any = read_json(Path(folder) / CONFIG)
    return MixtureRecord.read(config, folder)
