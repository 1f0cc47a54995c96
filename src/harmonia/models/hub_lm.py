"""Loss of texts under a causal language model in the Hub's layout (config.json and safetensors), read from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harmonia.core.errors import InputError, MissingExtraError


class HubLM:
    """A causal language model with its tokenizer. Nothing is downloaded and no code of the model is run.

    Args:
        folder: folder of the model.
        context: most tokens of a text that are read; what follows is not scored.
        batch_tokens: tokens per forward pass; the logits take 4 bytes for each of them and each word of the vocabulary.

    Raises:
        InputError: the folder holds no model or tokenizer that can be read.
        MissingExtraError: transformers or torch is not installed.
    """

    def __init__(self, folder: str | Path, context: int = 1024, batch_tokens: int = 4096) -> None:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise MissingExtraError("transformers", "lm") from error
        if not (Path(folder) / "config.json").is_file():
            raise InputError(
                f"{folder} holds no model: config.json is missing; name the folder of a causal language model"
            )
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"the model in {folder} cannot be read: {str(error).splitlines()[0]}") from error
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.eval().to(self._device)
        self._context = min(context, getattr(model.config, "max_position_embeddings", None) or context)
        self._batch_tokens = batch_tokens

    def losses(self, texts: Sequence[str]) -> np.ndarray:
        """Return the mean nats per predicted token: (len(texts),) float64; nan for a text of under two tokens."""
        import torch

        from harmonia.models.pretrained import batches_by_length, padded

        found = np.full(len(texts), np.nan)
        ids = [self._tokenizer(text, truncation=True, max_length=self._context)["input_ids"] for text in texts]
        lengths = np.array([len(tokens) for tokens in ids], np.int64)
        for rows in batches_by_length(np.where(lengths > 1, lengths, 0), self._batch_tokens):
            batch = padded(rows, ids, self._device)
            with torch.inference_mode():
                logits = self._model(input_ids=batch.ids, attention_mask=batch.mask).logits[:, :-1].float()
                nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch.ids[:, 1:], reduction="none")
            read = batch.mask[:, 1:].double()
            found[rows] = ((nats.double() * read).sum(1) / read.sum(1)).cpu().numpy()
        return found
