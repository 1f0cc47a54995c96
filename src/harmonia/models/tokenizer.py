"""A byte-level BPE tokenizer learned from a corpus, saved the way the Hub expects it.

Every string is covered without an unknown token, because the alphabet is the 256 bytes; merges depend on word counts
alone, so neither the order of the texts nor the number of threads changes the result. Gage 1994; Sennrich et al. 2016
(arXiv 1508.07909); byte alphabet as in GPT-2 (Radford et al. 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.core.files import write_json, write_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END = "<|endoftext|>"
"""Stands after every document; its id is 0."""


def train_tokenizer(texts: Iterable[str], vocab_size: int = 4096) -> Tokenizer:
    """Learn the merges from texts.

    Args:
        texts: the corpus, read once; a sample of some ten thousand documents is enough.
        vocab_size: number of tokens, the 256 bytes and the end of text included. Fewer result when the corpus has
            no more pairs that occur twice.

    Raises:
        InputError: the vocabulary cannot even hold the bytes, or there is no text.
        MissingExtraError: the tokenizers library is not installed.
    """
    try:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    except ImportError as error:
        raise MissingExtraError("tokenizers", "lm") from error
    if vocab_size < 257:
        raise InputError(f"vocab_size {vocab_size} is below 257, the 256 bytes and the end of text")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        special_tokens=[AddedToken(END, special=True)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    seen = 0

    def counted() -> Iterable[str]:
        nonlocal seen
        for text in texts:
            seen += bool(text)
            yield text

    tokenizer.train_from_iterator(counted(), trainer)
    if not seen:
        raise InputError("no text to learn a tokenizer from; every document is empty")
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: str | Path, context: int | None = None) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``, which ``transformers.AutoTokenizer`` reads.

    Args:
        tokenizer: a tokenizer of ``train_tokenizer``.
        folder: made when it does not exist.
        context: longest input of the model, in tokens.
    """
    folder = Path(folder)
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "pad_token": END,
            "clean_up_tokenization_spaces": False,
            **({"model_max_length": context} if context else {}),
        },
    )


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Read ``tokenizer.json`` of a folder.

    Raises:
        InputError: there is none, or it is not a tokenizer with an end of text.
        MissingExtraError: the tokenizers library is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError("tokenizers", "lm") from error
    path = Path(folder) / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{folder} holds no tokenizer.json; give the folder of a saved model or tokenizer")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{path} is not a tokenizer: {error}") from error
    if tokenizer.token_to_id(END) is None:
        raise InputError(f"{path} has no token {END}; only tokenizers written by harmonia fit here")
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Return the tokens of each text, (length,) int32, without the end of text.

    A text that spells out the end-of-text token is encoded as the ordinary characters that it is.
    """
    tokenizer.encode_special_tokens = True
    return [np.array(e.ids, np.int32) for e in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def pack(tokenizer: Tokenizer, texts: Iterable[str], block: int = 1024) -> np.ndarray:
    """Return one stream, each text followed by the end of text: (tokens,) int32."""
    end = np.array([tokenizer.token_to_id(END)], np.int32)
    pieces: list[np.ndarray] = []
    waiting: list[str] = []

    def flush() -> None:
        for tokens in encode(tokenizer, waiting):
            pieces.extend((tokens, end))
        waiting.clear()

    for text in texts:
        waiting.append(text)
        if len(waiting) == block:
            flush()
    flush()
    return np.concatenate(pieces) if pieces else np.empty(0, np.int32)
