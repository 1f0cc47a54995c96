"""The dense model that is compressed: loaded from any of its forms, with what must be known of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from harmonia.data.checkpoints import Checkpoint
    from harmonia.models.pretrained import TokenBatch

Task = Literal["causal", "classifier", "encoder"]


@dataclass(frozen=True)
class Dense:
    """A model in memory, in float32.

    Attributes:
        name: what it was asked for by.
        place: its folder, or its .gguf file.
        model: in evaluation mode.
        tokenizer: a fast one.
        dtype: type of the weights on disk, in which smaller ones are written; float32 for a .gguf file.
    """

    name: str
    place: Path
    model: Any
    tokenizer: Any
    dtype: Any

    @classmethod
    def open(cls, name: str | Path, device: str = "cpu", *, allow_pytorch_bin: bool = False) -> Dense:
        """Load a model and its tokenizer; no code of its folder is run.

        Args:
            name: folder, .gguf file or folder of one, name of the catalogue, or Hub id.
            device: ``"cpu"``, ``"cuda"``, or ``"auto"``.
            allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.

        Raises:
            InputError: no model there, weights that are not safetensors or GGUF, missing, damaged or not finite, or an
                architecture that cannot be pruned.
        """
        import torch

        from harmonia.data.checkpoints import located as folder_of
        from harmonia.data.checkpoints import opened
        from harmonia.models.pretrained import load_model, load_tokenizer
        from harmonia.models.pruned import family_of, load

        place = Path(_gguf(str(name)) or folder_of(name, allow_pytorch_bin))
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        if place.suffix == ".gguf":
            model, dtype = load_model(str(place), causal=True, device=chosen), torch.float32
        else:
            with opened(place, allow_pytorch_bin) as stored:  # tells of pickles, missing shards and cut files
                _check_config(stored.config, place)
                dtype = _stored_dtype(stored)
            try:
                model = load(place, dtype=torch.float32, device=chosen, allow_pytorch_bin=allow_pytorch_bin)
            except (RuntimeError, AssertionError) as error:
                raise InputError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
        family_of(model)
        for tensor, values in model.named_parameters():
            if not torch.isfinite(values).all():
                raise InputError(f"{name}: {tensor} holds NaN or infinite numbers; is the checkpoint damaged?")
        return cls(str(name), place, model, load_tokenizer(str(place)), dtype)

    @property
    def task(self) -> Task:
        """What the model does: predict the next token, tell classes, or embed texts."""
        kind = type(self.model).__name__
        if kind.endswith(("ForCausalLM", "LMHeadModel")):
            return "causal"
        return "classifier" if kind.endswith("ForSequenceClassification") else "encoder"

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all weights."""
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.model.named_parameters()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def positions(self) -> int:
        """Most tokens of a sequence."""
        from harmonia.models.pretrained import longest_input

        config = self.model.config
        limit = longest_input(self.tokenizer, self.model, None)
        # RoBERTa and its kin count positions from behind the padding token
        behind = config.pad_token_id + 1 if "roberta" in config.model_type or config.model_type == "camembert" else 0
        return int(min(limit, config.max_position_embeddings - behind))

    def classes(self) -> Callable[[str], int] | None:
        """Return the number of a label of the model, by name or as written."""
        known = {str(name): int(number) for name, number in (self.model.config.label2id or {}).items()}
        count = int(self.model.config.num_labels)

        def number(label: str) -> int:
            if label in known:
                return known[label]
            if label.isdigit() and int(label) < count:
                return int(label)
            raise InputError(f"label {label!r} is none of the model's {count} classes: {', '.join(list(known)[:8])}")

        return number

    def check_tokens(self, ids: Sequence[Sequence[int]]) -> None:
        """Refuse sequences that the model has no embeddings for.

        Raises:
            InputError: the message names the largest token.
        """
        known = int(self.model.get_input_embeddings().weight.shape[0])
        most = max((max(each) for each in ids if each), default=-1)
        if most >= known:
            raise InputError(
                f"{self.name}: its tokenizer gives the token {most}, and the model has embeddings of {known}: the two "
                "do not belong together"
            )

    def loss(self, labels: Any) -> Callable[[Any, TokenBatch], Any] | None:
        """Return what gradients are taken of; None where there is nothing: an encoder, or no labels."""
        from harmonia.compress.gradients import class_loss, next_token_loss

        if self.task == "causal":
            return next_token_loss
        return class_loss(labels) if self.task == "classifier" and labels is not None else None


def _gguf(name: str) -> str | None:
    """Return the .gguf file that a name means; None where it means something else."""
    from harmonia.models.pretrained import located

    place = located(name)
    path = Path(place)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise InputError(f"no model file {place}")
        return place
    if path.is_dir() and not any(path.glob("*.safetensors")):
        return next((str(file) for file in sorted(path.glob("*.gguf"))), None)
    return None


def _check_config(config: dict[str, Any], place: Path) -> None:
    """Refuse before the weights are read what cannot be pruned."""
    from types import SimpleNamespace

    from harmonia.models.pruned import family_of

    if not isinstance(config.get("model_type"), str):
        raise InputError(f"{place}: config.json has no model_type, such as llama or bert: is it a model's?")
    family_of(SimpleNamespace(config=SimpleNamespace(model_type=config.get("model_type"))))
    if config.get("quantization_config"):
        raise InputError(f"{place}: the weights are quantised (quantization_config): take the model's original weights")


def _stored_dtype(stored: Checkpoint) -> Any:
    """Return the type of most weights.

    Raises:
        InputError: there are weights that are codes of numbers; transformers would take them for numbers.
    """
    import torch

    from harmonia.data.checkpoints import FLOATS

    for tensor in stored.tensors.values():
        if tensor.name.endswith("weight") and tensor.dtype not in FLOATS:
            raise InputError(
                f"{tensor.path}: {tensor.name} is {tensor.dtype}, not floating-point weights: dequantise the model"
            )
    largest = max(stored.tensors.values(), key=lambda tensor: tensor.bytes)
    return {"BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}.get(largest.dtype, torch.float32)
