"""The axis ``weights``: how the weights of several experts become one set of weights."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.merge.weights.adamerging import AdaMerging
from harmonia.merge.weights.breadcrumbs import Breadcrumbs, BreadcrumbsTies
from harmonia.merge.weights.dare import DareLinear, DareTies
from harmonia.merge.weights.della import Della, DellaLinear
from harmonia.merge.weights.fisher import Fisher
from harmonia.merge.weights.linear import Linear
from harmonia.merge.weights.model_stock import ModelStock
from harmonia.merge.weights.multislerp import MultiSlerp
from harmonia.merge.weights.pcb import Pcb
from harmonia.merge.weights.regmean import RegMean
from harmonia.merge.weights.sce import Sce
from harmonia.merge.weights.slerp import Slerp
from harmonia.merge.weights.task_arithmetic import TaskArithmetic
from harmonia.merge.weights.ties import Ties

AnyWeights = one_of(
    Linear,
    TaskArithmetic,
    Ties,
    DareLinear,
    DareTies,
    Breadcrumbs,
    BreadcrumbsTies,
    DellaLinear,
    Della,
    Sce,
    Slerp,
    MultiSlerp,
    ModelStock,
    Pcb,
    Fisher,
    RegMean,
    AdaMerging,
)

__all__ = [
    "AdaMerging",
    "AnyWeights",
    "Breadcrumbs",
    "BreadcrumbsTies",
    "DareLinear",
    "DareTies",
    "Della",
    "DellaLinear",
    "Fisher",
    "Linear",
    "ModelStock",
    "MultiSlerp",
    "Pcb",
    "RegMean",
    "Sce",
    "Slerp",
    "TaskArithmetic",
    "Ties",
]
