"""A partition in one word, as it is written on a command line: ``pcdd:2``, ``dirichlet:0.1,min_size=5``."""

from __future__ import annotations

from pydantic import ValidationError

from harmonia.core.errors import InputError, suggest
from harmonia.core.part import shorthand
from harmonia.core.recipe import explain_validation
from harmonia.data.partitions.base import Partition
from harmonia.data.partitions.column import Column
from harmonia.data.partitions.dirichlet import Dirichlet
from harmonia.data.partitions.feature_noise import FeatureNoise
from harmonia.data.partitions.iid import IID
from harmonia.data.partitions.label_k import LabelK
from harmonia.data.partitions.pcdd import PCDD
from harmonia.data.partitions.quantity import Quantity
from harmonia.data.partitions.shards import Shards

PARTITIONS: dict[str, type[Partition]] = {
    part.kind_name(): part for part in (IID, Dirichlet, PCDD, LabelK, Shards, Quantity, FeatureNoise, Column)
}


def parse_partition(text: str) -> Partition:
    """Return the partition that ``kind``, ``kind:value`` or ``kind:value,field=value`` names.

    The value belongs to the part's main field.

    Raises:
        InputError: no such partition or field, or a value out of bounds.

    >>> parse_partition("pcdd:3")
    PCDD(kind='pcdd', classes=3)
    >>> parse_partition("dirichlet:0.1,balanced=false").balanced
    False
    """
    word, colon, rest = text.partition(":")
    kind = word.strip().replace("_", "-")
    if kind not in PARTITIONS:
        raise InputError(f"no partition {word!r}{suggest(kind, PARTITIONS)}")
    part = PARTITIONS[kind]
    record = shorthand(f"{kind}{colon}{rest}", [part])
    del record["kind"]
    try:
        return part.model_validate(record)
    except ValidationError as error:
        raise InputError(f"partition {text!r}: {explain_validation(error, part, record)}") from error
