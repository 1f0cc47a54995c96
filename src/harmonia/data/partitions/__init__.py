"""Partitions: how one data set is dealt out to clients, and how far the clients then differ.

rows = parse_partition("pcdd:2").split(labels, {}, clients=10, seed=0)
describe(rows, labels, classes=10).mean_distance
"""

from harmonia.core.part import one_of
from harmonia.data.partitions.base import Partition
from harmonia.data.partitions.column import Column
from harmonia.data.partitions.describe import Skew, describe
from harmonia.data.partitions.dirichlet import Dirichlet
from harmonia.data.partitions.feature_noise import FeatureNoise
from harmonia.data.partitions.iid import IID
from harmonia.data.partitions.label_k import LabelK
from harmonia.data.partitions.parse import PARTITIONS, parse_partition
from harmonia.data.partitions.pcdd import PCDD
from harmonia.data.partitions.personal import personal_rows
from harmonia.data.partitions.quantity import Quantity
from harmonia.data.partitions.shards import Shards

AnyPartition = one_of(*PARTITIONS.values())

__all__ = [
    "IID",
    "PARTITIONS",
    "PCDD",
    "AnyPartition",
    "Column",
    "Dirichlet",
    "FeatureNoise",
    "LabelK",
    "Partition",
    "Quantity",
    "Shards",
    "Skew",
    "describe",
    "parse_partition",
    "personal_rows",
]
