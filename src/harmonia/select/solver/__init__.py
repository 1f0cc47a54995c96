"""How a good set is found: one file per solver."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.select.objective import AnyObjective
from harmonia.select.solver.base import Picks, Problem
from harmonia.select.solver.everything import Everything
from harmonia.select.solver.frank_wolfe import FrankWolfe
from harmonia.select.solver.greedy import Greedy
from harmonia.select.solver.gumbel import Gumbel
from harmonia.select.solver.k_center import KCenter
from harmonia.select.solver.mask_policy_gradient import MaskPolicyGradient
from harmonia.select.solver.mirror_weights import MirrorWeights
from harmonia.select.solver.per_term import PerTerm
from harmonia.select.solver.stochastic_greedy import StochasticGreedy
from harmonia.select.solver.stratified import Stratified
from harmonia.select.solver.threshold import Threshold
from harmonia.select.solver.top_n import TopN
from harmonia.select.solver.two_stage import TwoStage

AnySolver = one_of(
    TopN,
    Gumbel,
    Threshold,
    Stratified,
    Greedy,
    StochasticGreedy,
    FrankWolfe,
    MaskPolicyGradient,
    KCenter,
    MirrorWeights,
    PerTerm,
    TwoStage,
    Everything,
)

# these hold an objective or a solver, themselves among them
for part in (PerTerm, TwoStage):
    part.model_rebuild(_types_namespace={"AnyObjective": AnyObjective, "AnySolver": AnySolver})

__all__ = [
    "AnySolver",
    "Everything",
    "FrankWolfe",
    "Greedy",
    "Gumbel",
    "KCenter",
    "MaskPolicyGradient",
    "MirrorWeights",
    "PerTerm",
    "Picks",
    "Problem",
    "StochasticGreedy",
    "Stratified",
    "Threshold",
    "TopN",
    "TwoStage",
]
