"""The axis ``routing``: what chooses among experts when the merged model runs."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.merge.routing.cheap_embed import CheapEmbed
from harmonia.merge.routing.hidden_prompt import HiddenPrompt
from harmonia.merge.routing.none import NoRouting
from harmonia.merge.routing.ppl import Ppl
from harmonia.merge.routing.random import Random
from harmonia.merge.routing.ridge_router import RidgeRouter
from harmonia.merge.routing.sequence_linear import SequenceLinear
from harmonia.merge.routing.task_vector import TaskVector
from harmonia.merge.routing.token_linear import TokenLinear
from harmonia.merge.routing.uniform_random import UniformRandom

AnyRouting = one_of(
    NoRouting,
    TokenLinear,
    Ppl,
    TaskVector,
    SequenceLinear,
    HiddenPrompt,
    CheapEmbed,
    Random,
    UniformRandom,
    RidgeRouter,
)

__all__ = [
    "AnyRouting",
    "CheapEmbed",
    "HiddenPrompt",
    "NoRouting",
    "Ppl",
    "Random",
    "RidgeRouter",
    "SequenceLinear",
    "TaskVector",
    "TokenLinear",
    "UniformRandom",
]
