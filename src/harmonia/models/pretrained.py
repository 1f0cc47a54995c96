"""Pretrained transformers, loaded with errors that a user can act on, and texts as batches of tokens for them.

A model is a folder in the Hub's layout, a .gguf file, a name of the catalogue (minilm, smollm2), or a Hub id, which is
looked up in the local cache before the network. Weights are read from safetensors (or GGUF) only, and no code of a
repository is ever run.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.data import catalogue

try:
    import torch
    import transformers
except ImportError as error:
    raise MissingExtraError(str(error.name), "lm") from error


def located(model: str) -> str:
    """Return where a model is: a name of the catalogue becomes its file or folder, anything else stays as it is."""
    if Path(model).exists() or model not in catalogue.names():
        return model
    folder = catalogue.path_of(model)
    return str(next(iter(sorted(folder.glob("*.gguf"))), folder))


def load_tokenizer(model: str) -> Any:
    """Return the fast tokenizer of a model.

    Raises:
        InputError: there is none.
    """
    tokenizer = _load(transformers.AutoTokenizer, model, "tokenizer")
    if not tokenizer.is_fast:
        raise InputError(f"model {model}: its tokenizer has no tokenizer.json, which is needed for character positions")
    return tokenizer


def load_model(model: str, *, causal: bool, device: str = "auto", dtype: str = "float32", **options: Any) -> Any:
    """Return a model in evaluation mode, without gradients.

    Args:
        model: folder, .gguf file, name of the catalogue, or Hub id.
        causal: with its language-model head, or the bare trunk.
        device: ``"auto"`` takes a GPU when there is one.
        dtype: type of the weights.
        options: passed on to transformers; ``use_safetensors=False`` reads pytorch_model.bin, tensors only.

    Raises:
        InputError: no such folder or id, no weights in the folder, or not a model of this sort.
    """
    kind = transformers.AutoModelForCausalLM if causal else transformers.AutoModel
    loaded = _load(kind, model, "weights", dtype=getattr(torch, dtype), **options)
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        return loaded.to(chosen).eval().requires_grad_(False)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error


def _load(kind: Any, model: str, what: str, **options: Any) -> Any:
    model = located(model)
    path = Path(model)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise InputError(f"no model file {model}")
        source, options = str(path.parent), {**options, "gguf_file": path.name}
    elif path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"{model} is not the folder of a model: it has no config.json")
        pickled = options.get("use_safetensors") is False and any(path.glob("pytorch_model*.bin"))
        if what == "weights" and not pickled and not any(path.glob("*.safetensors")):
            raise InputError(f"{model} has no weights (*.safetensors); save the model with save_pretrained")
        source = model
    elif path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
        raise InputError(f"no model folder {model}")
    else:
        source = model
    if what == "weights" and "gguf_file" not in options:
        options.setdefault("use_safetensors", True)
    try:
        with quiet():
            try:
                return kind.from_pretrained(source, local_files_only=True, trust_remote_code=False, **options)
            except OSError:
                if path.exists():
                    raise
                return kind.from_pretrained(source, trust_remote_code=False, **options)
    except ImportError as error:
        raise InputError(f"model {model}: {_line(error)}") from error
    except Exception as error:  # transformers raises almost anything for an unusable folder
        raise InputError(f"model {model}: its {what} cannot be loaded: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the loaders' own bars and notes off the terminal."""
    log = transformers.utils.logging
    level = log.get_verbosity()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        log.set_verbosity(level)
        log.enable_progress_bar()


def longest_input(tokenizer: Any, model: Any, asked: int | None) -> int:
    """Return the number of tokens to cut a text at: ``asked``, but at most what the model has positions for."""
    limit = int(min(getattr(model.config, "max_position_embeddings", None) or 2**31, tokenizer.model_max_length))
    return min(asked, limit) if asked is not None else min(limit, 4096)


@dataclass(frozen=True)
class TokenBatch:
    """A padded batch.

    Attributes:
        rows: (b,) which texts these are.
        ids: (b, t) token ids, padded on the right.
        mask: (b, t) 1 at tokens, 0 at padding.
    """

    rows: np.ndarray
    ids: torch.Tensor
    mask: torch.Tensor


def padded(rows: np.ndarray, tokens: Sequence[Sequence[int]], device: Any) -> TokenBatch:
    """Pad some texts to a batch."""
    width = max(len(tokens[row]) for row in rows)
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(tokens[row])] = tokens[row]
        mask[i, : len(tokens[row])] = 1
    return TokenBatch(rows, torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))


def batches_by_length(lengths: np.ndarray, tokens_per_batch: int) -> Iterator[np.ndarray]:
    """Yield rows of similar length together, longest first, so that little is padding and memory peaks at once.

    Args:
        lengths: (n,) tokens of each text; a text of length 0 is left out.
        tokens_per_batch: most tokens of a batch, padding included; a longer text stands alone.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size


def mean_hidden_states(trunk: Any, tokens: Sequence[Sequence[int]], width: int, tokens_per_batch: int) -> np.ndarray:
    """Return the mean over tokens of the last hidden state: (n, width) float32; zero for a text without tokens.

    Args:
        trunk: a transformer without head.
        tokens: token ids of each text.
        width: d, size of a hidden state.
        tokens_per_batch: most tokens of a batch.
    """
    out = np.zeros((len(tokens), width), np.float32)
    device = next(trunk.parameters()).device
    with torch.no_grad():
        for rows in batches_by_length(np.array([len(t) for t in tokens]), tokens_per_batch):
            batch = padded(rows, tokens, device)
            # without a cache: keys and values of a finished text serve nobody
            options = {"use_cache": False} if getattr(trunk.config, "use_cache", None) is not None else {}
            hidden = trunk(input_ids=batch.ids, attention_mask=batch.mask, **options).last_hidden_state.float()
            mask = batch.mask.unsqueeze(-1).to(hidden.dtype)
            out[rows] = ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).cpu().numpy()
    return out


# A tokenizer that forks its own threads inside a forked or spawned worker only warns and slows down.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
