"""The axis ``criterion``: which units matter."""

from __future__ import annotations

from harmonia.compress.criterion.block_influence import BlockInfluence
from harmonia.compress.criterion.fisher import Fisher
from harmonia.compress.criterion.group_magnitude import GroupMagnitude
from harmonia.compress.criterion.ifv import Ifv
from harmonia.compress.criterion.kcm import Kcm
from harmonia.compress.criterion.magnitude import Magnitude
from harmonia.compress.criterion.obs import Obs
from harmonia.compress.criterion.principal import Principal
from harmonia.compress.criterion.random import Random
from harmonia.compress.criterion.taylor_element import TaylorElement
from harmonia.compress.criterion.taylor_mix import TaylorMix
from harmonia.compress.criterion.taylor_second import TaylorSecond
from harmonia.compress.criterion.taylor_vector import TaylorVector
from harmonia.compress.criterion.wanda_sp import WandaSp
from harmonia.compress.criterion.wifn import Wifn
from harmonia.compress.criterion.wifv import Wifv
from harmonia.core.part import one_of

AnyCriterion = one_of(
    Random,
    Magnitude,
    GroupMagnitude,
    WandaSp,
    Ifv,
    Wifv,
    Wifn,
    Obs,
    Kcm,
    Fisher,
    TaylorElement,
    TaylorVector,
    TaylorSecond,
    TaylorMix,
    Principal,
    BlockInfluence,
)

__all__ = [
    "AnyCriterion",
    "BlockInfluence",
    "Fisher",
    "GroupMagnitude",
    "Ifv",
    "Kcm",
    "Magnitude",
    "Obs",
    "Principal",
    "Random",
    "TaylorElement",
    "TaylorMix",
    "TaylorSecond",
    "TaylorVector",
    "WandaSp",
    "Wifn",
    "Wifv",
]
