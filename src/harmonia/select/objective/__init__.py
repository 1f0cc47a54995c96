"""What makes a set of documents good: one file per objective."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.select.objective.classifier import Classifier
from harmonia.select.objective.constant import Constant
from harmonia.select.objective.d4 import D4
from harmonia.select.objective.decorrelation import Decorrelation
from harmonia.select.objective.dsir import Dsir
from harmonia.select.objective.facility_location import FacilityLocation
from harmonia.select.objective.graph_cut import GraphCut
from harmonia.select.objective.heuristic_cls import HeuristicClassifier
from harmonia.select.objective.knn_vote import KnnVote
from harmonia.select.objective.leverage import Leverage
from harmonia.select.objective.log_det import LogDet
from harmonia.select.objective.mean_alignment import MeanAlignment
from harmonia.select.objective.neighbour_coverage import NeighbourCoverage
from harmonia.select.objective.pairwise import Pairwise
from harmonia.select.objective.perplexity import Perplexity
from harmonia.select.objective.prototypes import Prototypes
from harmonia.select.objective.quality import Quality
from harmonia.select.objective.semdedup import SemDeDup
from harmonia.select.objective.weighted import Term, Weighted

AnyObjective = one_of(
    Constant,
    Quality,
    Classifier,
    HeuristicClassifier,
    Perplexity,
    Dsir,
    Decorrelation,
    Pairwise,
    FacilityLocation,
    NeighbourCoverage,
    GraphCut,
    LogDet,
    Leverage,
    Prototypes,
    SemDeDup,
    D4,
    MeanAlignment,
    KnnVote,
    Weighted,
)

# a weighted sum holds objectives, itself among them
Term.model_rebuild(_types_namespace={"AnyObjective": AnyObjective})
Weighted.model_rebuild(_types_namespace={"AnyObjective": AnyObjective})

__all__ = [
    "D4",
    "AnyObjective",
    "Classifier",
    "Constant",
    "Decorrelation",
    "Dsir",
    "FacilityLocation",
    "GraphCut",
    "HeuristicClassifier",
    "KnnVote",
    "Leverage",
    "LogDet",
    "MeanAlignment",
    "NeighbourCoverage",
    "Pairwise",
    "Perplexity",
    "Prototypes",
    "Quality",
    "SemDeDup",
    "Term",
    "Weighted",
]
