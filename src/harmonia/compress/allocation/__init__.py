"""The axis ``allocation``: how many units each site keeps under a budget."""

from __future__ import annotations

from harmonia.compress.allocation.global_standardised import GlobalStandardised
from harmonia.compress.allocation.latency_search import Latency, LatencySearch
from harmonia.compress.allocation.mac_search import MacSearch
from harmonia.compress.allocation.rearrange import Rearrange
from harmonia.compress.allocation.uniform import Uniform
from harmonia.core.part import one_of

AnyAllocation = one_of(Uniform, GlobalStandardised, MacSearch, LatencySearch, Rearrange)

__all__ = [
    "AnyAllocation",
    "GlobalStandardised",
    "Latency",
    "LatencySearch",
    "MacSearch",
    "Rearrange",
    "Uniform",
]
