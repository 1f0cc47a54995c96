"""From documents to sequences of tokens: some to calibrate on, others to judge by.

Documents are cut into excerpts, and an excerpt is drawn by a hash of its own text, so that neither the order of the
documents nor what else there is decides. Those to judge by are the same for every seed, and none of them is calibrated
on. What is held in memory is the excerpts drawn, not the documents.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import mix, stable_hash
from harmonia.data.catalogue import ENTRIES, path_of
from harmonia.data.labelled.table import Table
from harmonia.data.reading import open_corpus

if TYPE_CHECKING:
    from harmonia.models.pretrained import TokenBatch

CHARACTERS = 8
"""Characters of an excerpt per token of a sequence; few texts have fewer tokens than one in eight characters."""
JUDGED = 1 / 8
"""Most of the excerpts that are kept to judge by where no other text is given."""


@dataclass(frozen=True)
class Excerpt:
    """A piece of a document, or a whole labelled example.

    Attributes:
        text: of the piece.
        label: its class in words, or None.
    """

    text: str
    label: str | None = None


@dataclass(frozen=True)
class Sequences:
    """Token ids.

    Attributes:
        ids: of each sequence.
        labels: (n,) int64 classes, or None.
    """

    ids: list[list[int]]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """How many there are in all."""
        return sum(map(len, self.ids))

    def fingerprint(self) -> str:
        """Return a digest of all tokens and labels."""
        digest = hashlib.blake2b(digest_size=16)
        for ids in self.ids:
            digest.update(np.array([len(ids), *ids], np.int64).tobytes())
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def batches(self, size: int, device: Any = "cpu") -> list[TokenBatch]:
        """Return padded batches of sequences of similar length, the longest first; rows are places in ``ids``."""
        from harmonia.models.pretrained import padded

        order = np.argsort([-len(ids) for ids in self.ids], kind="stable")
        return [padded(order[start : start + size], self.ids, device) for start in range(0, len(order), size)]


def excerpts(
    place: Any, characters: int, label: str | None = None, notes: set[str] | None = None, **reading: Any
) -> Iterator[Excerpt]:
    """Yield the documents of a place in pieces.

    Args:
        place: files, folders, globs or names of the catalogue; a list of texts; or a table in memory.
        characters: most of a piece; it ends at white space where there is some.
        label: column of labels; examples are then not cut.
        notes: told in the end how many rows were left out, where reading allows that.
        reading: names of columns, as ``harmonia.data.reading``.

    Raises:
        InputError: there is nothing to read, or no text in it.
    """
    if label is not None:
        yield from _labelled(place, label, reading.get("text_column"))
        return
    if isinstance(place, list | tuple) and not place:
        raise InputError("an empty list of texts: give at least one text")
    if isinstance(place, list | tuple) and all(isinstance(text, str) for text in place):
        place = [{"text": text} for text in place]
    corpus = open_corpus(_files(place), **reading)
    for batch in corpus.batches(only=("text",)):
        for text in batch.texts:
            for piece in cut(text, characters):
                yield Excerpt(piece)
    if notes is not None and (count := len(corpus.rejects())):
        notes.add(f"{_name(place)}: {count} unusable {'row was' if count == 1 else 'rows were'} left out")


def _files(place: Any) -> Any:
    if isinstance(place, str) and place in ENTRIES and not Path(place).exists():
        return str(path_of(place))
    return place


def _labelled(place: Any, label: str, text: str | None) -> Iterator[Excerpt]:
    table = Table(str(_files(place)), label)
    column = text or table.text()
    if column is None:
        raise InputError(f"{place}: no text column recognised; name it with --text-column")
    for piece in table.pieces([column, table.label]):
        for words, wanted in zip(piece.words(column), piece.words(table.label), strict=True):
            yield Excerpt(str(words), str(wanted))


def cut(text: str, characters: int) -> Iterator[str]:
    """Yield pieces of at most so many characters that hold more than white space.

    >>> list(cut("one two three", 8))
    ['one two', 'three']
    """
    start = 0
    while start < len(text):
        end = start + characters
        if end < len(text):
            space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
            end = space if space > start + characters // 2 else end
        piece = text[start:end].strip()
        if piece:
            yield piece
        start = end


def drawn(found: Iterable[Excerpt], characters: int, seed: int, *path: str) -> list[Excerpt]:
    """Return different excerpts, as few as hold so many characters, in the order in which chance draws them.

    Args:
        found: all there are.
        characters: wanted of them together.
        seed: of the draw.
        path: words that tell this draw from others.
    """
    heap: list[tuple[int, str, str | None]] = []
    seen: set[int] = set()
    held = 0
    for block in _blocks(found, 1024):
        keys = mix(stable_hash(excerpt.text for excerpt in block), seed, *path)
        for key, excerpt in zip(keys.tolist(), block, strict=True):
            if key in seen or (held >= characters and key >= -heap[0][0]):
                continue
            heapq.heappush(heap, (-key, excerpt.text, excerpt.label))
            seen.add(key)
            held += len(excerpt.text)
            while held - len(heap[0][1]) >= characters:
                gone = heapq.heappop(heap)
                seen.discard(-gone[0])
                held -= len(gone[1])
    return [Excerpt(text, label) for _, text, label in sorted(heap, reverse=True)]


def _blocks(found: Iterable[Excerpt], size: int) -> Iterator[list[Excerpt]]:
    block = []
    for excerpt in found:
        block.append(excerpt)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def tokenised(
    found: Sequence[Excerpt],
    tokenizer: Any,
    length: int,
    classes: Callable[[str], int] | None,
    *,
    sequences: int | None = None,
    tokens: int | None = None,
) -> Sequences:
    """Return the sequences of excerpts, in order, until there are enough.

    Args:
        found: to be tokenised with the special tokens of the model; a longer one is continued in a further sequence,
            unless it has a label.
        tokenizer: a fast one.
        length: most tokens of a sequence.
        classes: from a label to its number; None leaves labels out.
        sequences: how many are enough.
        tokens: how many are enough together, where no number of sequences is told.
    """
    ids: list[list[int]] = []
    labels: list[int] = []
    count = 0
    for start in range(0, len(found), 64):
        some = found[start : start + 64]
        whole = classes is not None
        made = tokenizer(
            [excerpt.text for excerpt in some],
            truncation=True,
            max_length=length,
            return_overflowing_tokens=not whole,
        )
        owners = range(len(some)) if whole else made["overflow_to_sample_mapping"]
        for own, owner in zip(made["input_ids"], owners, strict=True):
            enough = len(ids) >= sequences if sequences is not None else count >= (tokens or 0)
            if enough:
                break
            if len(own) < 2:
                continue
            ids.append(list(own))
            count += len(own)
            if classes is not None:
                labels.append(classes(some[owner].label or ""))
    return Sequences(ids, np.array(labels, np.int64) if classes is not None else None)


@dataclass(frozen=True)
class Texts:
    """Where the sequences of a run come from.

    Attributes:
        calibration: documents to calibrate on.
        held_out: other documents to judge by; None judges by excerpts of the first that are not calibrated on.
        label: column of labels, or None.
        reading: names of columns.
        notes: what was noticed while reading.
    """

    calibration: Any
    held_out: Any = None
    label: str | None = None
    reading: dict[str, Any] | None = None
    notes: set[str] = field(default_factory=set)

    def draw(
        self,
        tokenizer: Any,
        classes: Callable[[str], int] | None,
        *,
        length: int,
        sequences: int | None,
        tokens: int,
        judged: int,
        seed: int,
    ) -> tuple[Sequences, Sequences]:
        """Return the sequences to calibrate on and those to judge by.

        Args:
            tokenizer: of the model.
            classes: from a label to its number.
            length: most tokens of a sequence.
            sequences: how many to calibrate on; None for so many ``tokens``.
            tokens: to calibrate on.
            judged: tokens to judge by.
            seed: of those to calibrate on; those to judge by are always the same.

        Raises:
            InputError: there is no text, or less than is needed.
        """
        wanted = tokens if sequences is None else sequences * length
        most = CHARACTERS * (wanted + judged + 2 * length)
        size = CHARACTERS * length
        taken: set[str] = set()
        if self.held_out is not None:
            judge = self.judge(tokenizer, classes, length=length, judged=judged)
        else:
            chosen = drawn(self._of(self.calibration, size), most, 0, "judged")
            enough = _enough(chosen, tokenizer, length, classes, judged)
            chosen = chosen[: min(enough, max(1, int(JUDGED * len(chosen))))]
            judge = tokenised(chosen, tokenizer, length, classes, tokens=judged)
            taken = {excerpt.text for excerpt in chosen}
        left = (excerpt for excerpt in self._of(self.calibration, size) if excerpt.text not in taken)
        own = tokenised(
            drawn(left, most, seed, "calibration"), tokenizer, length, classes, sequences=sequences, tokens=tokens
        )
        if not len(judge):
            raise InputError(f"{_name(self.calibration)}: no text to judge by has two tokens")
        least = sequences if sequences is not None else 2
        if len(own) < least:
            raise InputError(
                f"{_name(self.calibration)}: the text gives {len(own)} sequences of up to {length} tokens beside what "
                f"is judged by, and {least} are needed; give more text, or lower calibration.sequences or "
                "calibration.length"
            )
        return own, judge

    def judge(self, tokenizer: Any, classes: Callable[[str], int] | None, *, length: int, judged: int) -> Sequences:
        """Return sequences of the held-out text to judge by.

        Raises:
            InputError: there is none.
        """
        most = CHARACTERS * (judged + 2 * length)
        chosen = drawn(self._of(self.held_out, CHARACTERS * length), most, 0, "judged")
        found = tokenised(chosen, tokenizer, length, classes, tokens=judged)
        if not len(found):
            raise InputError(f"{_name(self.held_out)}: no text to judge by has two tokens")
        return found

    def _of(self, place: Any, characters: int) -> Iterator[Excerpt]:
        return excerpts(place, characters, self.label, self.notes, **(self.reading or {}))


def _enough(found: Sequence[Excerpt], tokenizer: Any, length: int, classes: Any, tokens: int) -> int:
    """Return how many excerpts it takes for so many tokens."""
    count = 0
    for place, excerpt in enumerate(found):
        count += tokenised([excerpt], tokenizer, length, classes, tokens=tokens).tokens
        if count >= tokens:
            return place + 1
    return len(found)


def _name(place: Any) -> str:
    return str(place) if isinstance(place, str | Path) else "the text"
