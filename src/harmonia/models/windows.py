"""Documents as windows of tokens, drawn by a hash of their own tokens, whatever the order of the documents.

What is in memory is the windows that are taken, not the documents.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import mix, stable_hash

_TOGETHER = 64
"""Documents that are tokenised in one call."""


def windows(
    texts: Iterable[str],
    tokenizer: Any,
    length: int,
    most: int,
    seed: int,
    *path: str,
    named: str,
    least: int | None = None,
) -> list[list[int]]:
    """Return different windows of tokens in the order in which chance draws them.

    Args:
        texts: documents; each is cut into windows one after another, the last of at least ``least`` tokens.
        tokenizer: of the model; special tokens stand where it puts them, at the ends of documents.
        length: tokens of a window.
        most: how many are wanted.
        seed: of the draw.
        path: words that tell this draw from others.
        named: what the texts are called, for messages.
        least: tokens of a window, at least; half the length when left out.

    Raises:
        InputError: no text, or too little for a single window.
    """
    shortest = max(2, length // 2) if least is None else least
    held: list[tuple[int, list[int]]] = []
    seen: set[int] = set()
    tokens = 0
    for block in _blocks(texts):
        ids = tokenizer(block, truncation=False, verbose=False)["input_ids"]
        tokens += sum(map(len, ids))
        cut = [own[s : s + length] for own in ids for s in range(0, len(own), length)]
        cut = [window for window in cut if len(window) >= shortest]
        keys = mix(stable_hash(np.array(window, "<i8").tobytes() for window in cut), seed, *path)
        for key, window in zip(keys.tolist(), cut, strict=True):
            if key in seen or (len(held) >= most and key >= -held[0][0]):
                continue
            seen.add(key)
            heapq.heappush(held, (-key, window))
            if len(held) > most:
                seen.discard(-heapq.heappop(held)[0])
    if not held:
        what = f"only {tokens} tokens" if tokens else "no text"
        raise InputError(f"{named} has {what}, and a document of at least {shortest} tokens is needed")
    return [window for _, window in sorted(held, reverse=True)]


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    block = []
    for text in texts:
        if text.strip():
            block.append(text)
        if len(block) == _TOGETHER:
            yield block
            block = []
    if block:
        yield block
