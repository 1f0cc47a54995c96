"""Labelled examples in memory: inputs of any modality, a class for each, and what else is known of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import stable_hash

Kind = Literal["image", "text", "vector"]

_DTYPES = ("uint8", "float32", "int64")


@dataclass(frozen=True)
class Examples:
    """n labelled examples.

    Attributes:
        inputs: (n, C, H, W) uint8 images, (n, T) int64 ids of n-grams padded with 0, or (n, d) float32 vectors.
        labels: (n,) int64, from 0.
        columns: name -> (n,) of str, what else is known of each example: its domain, its writer.

    Raises:
        InputError: lengths differ, a type is another, a label is negative, or an input is not finite.
    """

    inputs: np.ndarray
    labels: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.inputs.ndim < 2 or self.inputs.dtype.name not in _DTYPES:
            raise InputError(
                f"inputs are {self.inputs.dtype} {self.inputs.shape}; give (n, ...) of {', '.join(_DTYPES)}"
            )
        if self.labels.ndim != 1 or self.labels.dtype != np.int64:
            raise InputError(f"labels are {self.labels.dtype} {self.labels.shape}; give (n,) of int64")
        for name, values in {"labels": self.labels, **self.columns}.items():
            if values.shape != (len(self.inputs),):
                raise InputError(f"{name}: {values.shape} for {len(self.inputs)} inputs; give one for each")
        if (self.labels < 0).any():
            row = int(np.argmax(self.labels < 0))
            raise InputError(f"labels: row {row} is {self.labels[row]}; classes are counted from 0")
        if self.inputs.dtype == np.float32 and not np.isfinite(self.inputs).all():
            row = int(np.argwhere(~np.isfinite(self.inputs))[0, 0])
            raise InputError(f"inputs: row {row} holds NaN or infinity; mend it or leave it out")

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: np.ndarray) -> Examples:
        """Return the examples at some rows, in that order."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Examples(self.inputs[rows], self.labels[rows], columns)

    def in_order(self) -> Examples:
        """Return the same examples in an order that follows from their content, whatever order they came in."""
        keys = stable_hash(np.ascontiguousarray(row).tobytes() for row in self.inputs)
        columns = (self.columns[name] for name in sorted(self.columns, reverse=True))
        return self.subset(np.lexsort((*columns, self.labels, keys)))

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the examples in their order: how many, their shape, a digest of every value."""
        hashed = hashlib.blake2b(digest_size=16)
        for array in (self.inputs, self.labels):
            hashed.update(json.dumps([array.dtype.name, array.shape]).encode())
            hashed.update(np.ascontiguousarray(array).data)
        hashed.update(json.dumps({name: self.columns[name].tolist() for name in sorted(self.columns)}).encode())
        return {"examples": len(self), "shape": list(self.inputs.shape[1:]), "digest": hashed.hexdigest()}


@dataclass(frozen=True)
class Labelled:
    """A data set to learn a classifier from.

    Attributes:
        name: what it is called in tables.
        kind: what an input is.
        classes: names of the classes, by label.
        train: to learn from.
        test: held out.
        licence: under which terms it stands, as far as known.
        origin: where it comes from.

    Raises:
        InputError: a label has no class, or training and test inputs have different shapes.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...]
    train: Examples
    test: Examples
    licence: str
    origin: str

    def __post_init__(self) -> None:
        if (
            self.train.inputs.shape[1:] != self.test.inputs.shape[1:]
            or self.train.inputs.dtype != self.test.inputs.dtype
        ):
            raise InputError(
                f"{self.name}: training inputs are {self.train.inputs.dtype} {self.train.inputs.shape[1:]}, "
                f"test inputs {self.test.inputs.dtype} {self.test.inputs.shape[1:]}; make them alike"
            )
        for part, examples in (("training", self.train), ("test", self.test)):
            if len(examples) and examples.labels.max() >= len(self.classes):
                raise InputError(
                    f"{self.name}: a {part} label is {examples.labels.max()}, there are {len(self.classes)} classes"
                )

    def subset(self, train: np.ndarray, test: np.ndarray) -> Labelled:
        """Return the data set with these rows of its training and test examples."""
        return Labelled(
            self.name,
            self.kind,
            self.classes,
            self.train.subset(train),
            self.test.subset(test),
            self.licence,
            self.origin,
        )

    def in_order(self) -> Labelled:
        """Return the same data in an order that follows from their content."""
        return replace(self, train=self.train.in_order(), test=self.test.in_order())

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the data, whatever it is called and wherever it lies."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "train": self.train.fingerprint(),
            "test": self.test.fingerprint(),
        }
