"""Which examples are held out, and in which order examples stand: both follow from their content, not from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import stable_hash, uniforms
from harmonia.data.labelled.examples import Examples, Kind, Labelled

_TRAIN = ("train", "training")
_TEST = ("test", "testing")
_VALIDATION = ("validation", "valid", "val", "dev")


@dataclass(frozen=True)
class Gathered:
    """What a reader found, in the order of its files.

    Attributes:
        place: where, for messages.
        inputs: (n, ...).
        content: n descriptions that are equal where two inputs are; the bytes of an image file, a text.
        labels: (n,) of str.
        columns: name -> (n,) of str.
        told: (n,) of str, ``"train"`` or ``"test"`` as the files themselves say; None where they do not.
    """

    place: str
    inputs: np.ndarray
    content: list[bytes]
    labels: np.ndarray
    columns: Mapping[str, np.ndarray]
    told: np.ndarray | None = None


def split_word(word: str) -> str | None:
    """Return ``train``, ``test`` or ``validation`` when a word names such a part of a data set.

    >>> split_word("Training"), split_word("dev"), split_word("cats")
    ('train', 'validation', None)
    """
    word = word.lower()
    for name, words in (("train", _TRAIN), ("test", _TEST), ("validation", _VALIDATION)):
        if word in words:
            return name
    return None


def told_parts(words: np.ndarray) -> np.ndarray | None:
    """Return ``train`` or ``test`` for each row from what the files call it: (n,) of str.

    Rows for validation are the test set where there is no other, and are trained on where there is. None unless every
    row is told and both parts have rows.
    """
    found = np.array([split_word(word) or "" for word in words.tolist()])
    held = "test" if (found == "test").any() else "validation"
    test = found == held
    if (found == "").any() or not test.any() or test.all():
        return None
    return np.where(test, "test", "train")


def held_out(labels: np.ndarray, keys: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return which examples are held out, about the same share of every class: (n,) bool.

    Of each class, those with the smallest uniform numbers ``hash(seed, content)``. Copies of one input stay together,
    so a class may give more than its share; one that would give everything gives nothing.

    Args:
        labels: (n,) int64.
        keys: (n,) uint64, hash of each input.
        share: of the examples, 0 for none.
        seed: of the choice.

    Raises:
        InputError: the share lies outside [0, 1).
    """
    if not 0 <= share < 1:
        raise InputError(f"the share of test examples is {share:g}; it must lie in [0, 1)")
    drawn = uniforms(keys, seed, "held out")
    test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(rows))), len(rows) - 1) if share else 0
        if count:
            here = drawn[rows] <= np.partition(drawn[rows], count - 1)[count - 1]
            test[rows] = here & (not here.all())
    return test


def labelled(
    found: Gathered, name: str, kind: Kind, test_share: float, seed: int, licence: str = "as its owner says"
) -> Labelled:
    """Return a data set from what a reader found, in an order and with a test set that do not depend on the files'.

    Raises:
        InputError: there are fewer than two classes.
    """
    names = np.unique(found.labels).tolist()
    if len(names) < 2:
        raise InputError(f"{found.place}: every example has the label {names[0]!r}; a classifier needs two classes")
    whole = all(word.removeprefix("-").isdecimal() for word in names)
    classes = tuple(sorted(names, key=int) if whole else names)
    number = {word: label for label, word in enumerate(classes)}
    labels = np.array([number[word] for word in found.labels.tolist()], np.int64)
    keys = stable_hash(found.content)
    test = found.told == "test" if found.told is not None else held_out(labels, keys, test_share, seed)
    order = np.lexsort((*(found.columns[column] for column in sorted(found.columns, reverse=True)), labels, keys))
    every = Examples(found.inputs, labels, found.columns)
    train, held = (every.subset(order[part[order]]) for part in (~test, test))
    return Labelled(name, kind, classes, train, held, licence, found.place)
