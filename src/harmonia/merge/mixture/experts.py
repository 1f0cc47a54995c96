"""Whether dense models can be the experts of one mixture, decided before a weight is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import Checkpoint
from harmonia.merge.matching import tied_output
from harmonia.models.mixture.parts import DECODERS

_ALREADY = ("num_local_experts", "num_experts", "n_routed_experts")


def check_experts(models: Sequence[Checkpoint]) -> None:
    """Refuse what cannot be an expert, whatever its width.

    Raises:
        InputError: another architecture, a model that is a mixture already, tied and untied embeddings, or
            several tokenizers.
    """
    for model in models:
        held = next((key for key in _ALREADY if model.config.get(key)), None)
        if held is not None:
            raise InputError(
                f"{model.folder} is a mixture of experts already ({held}={model.config[held]}): merging would break "
                "its router; take the dense models that it was made of"
            )
        if model.config.get("model_type") not in DECODERS:
            raise InputError(
                f"{model.folder} is a {model.config.get('model_type')!r}: mixtures are made of {', '.join(DECODERS)}"
            )
    tied = [has_tied_head(model) for model in models]
    if len(set(tied)) > 1:
        one, other = models[tied.index(True)].folder, models[tied.index(False)].folder
        raise InputError(
            f"{one} has its head tied to its embedding and {other} has a head of its own: untie the first "
            "(config.tie_word_embeddings=False, and save it again)"
        )
    _check_tokenizers(models)


def check_shapes(models: Sequence[Checkpoint], most: int = 3) -> None:
    """Refuse experts of several shapes.

    Raises:
        InputError: names the first tensors that differ, and says how such experts are joined.
    """
    first = models[0]
    for other in models[1:]:
        odd = []
        for name, stored in first.tensors.items():
            there = other.tensors.get(name)
            if there is not None and there.shape != stored.shape:
                odd.append(f"{name} {list(stored.shape)} and {list(there.shape)}")
            elif there is None and name.startswith("model.layers."):
                odd.append(f"{name} {list(stored.shape)} and nothing")
        if odd:
            more = f" and {len(odd) - most} more" if len(odd) > most else ""
            raise InputError(
                f"{first.folder} and {other.folder} differ in shape: {', '.join(odd[:most])}{more}; experts of several "
                "shapes are joined by bridging=projector with routing=sequence-linear or ppl"
            )


def has_tied_head(model: Checkpoint) -> bool:
    """Return whether the head of a model is its embedding."""
    return "lm_head.weight" not in model.tensors or tied_output(model) is not None


def _check_tokenizers(models: Sequence[Checkpoint]) -> None:
    held = [(model, found) for model in models if (found := _vocabulary(model.folder)) is not None]
    for model, found in held[1:]:
        first, expected = held[0]
        if found != expected:
            odd = sum(found.get(word) != place for word, place in expected.items())
            raise InputError(
                f"{model.folder} and {first.folder} have different tokenizers ({odd} tokens of the second mean "
                "something else in the first, or nothing): experts need one tokenizer; train them from one base"
            )


def _vocabulary(folder: Path) -> dict[str, Any] | None:
    """Return token -> id; None where there is no tokenizer.json."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        words = record["model"]["vocab"]
        listed = words if isinstance(words, dict) else {pair[0]: place for place, pair in enumerate(words)}
        return listed | {token["content"]: token["id"] for token in record.get("added_tokens", [])}
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}): copy or download it again") from error
