"""The named recipes of ``select``: every published method and every baseline is one point of the grid.

Each function returns the settings of its paper; where a setting differs, the docstring says so. Recipes that need a
target, examples or a model leave them empty: name them with ``--set``, for instance ``objective.target=law.jsonl``.
"""

from __future__ import annotations

from harmonia.core.recipe import RecipeBook
from harmonia.select.features import Hashing, LossGradient, NoFeatures, ProbeNTK, PseudoNTK
from harmonia.select.objective import (
    D4,
    Classifier,
    Constant,
    Decorrelation,
    Dsir,
    FacilityLocation,
    GraphCut,
    HeuristicClassifier,
    KnnVote,
    Leverage,
    LogDet,
    MeanAlignment,
    Pairwise,
    Perplexity,
    Prototypes,
    Quality,
    SemDeDup,
    Term,
    Weighted,
)
from harmonia.select.recipe import SelectRecipe
from harmonia.select.solver import (
    Everything,
    FrankWolfe,
    Greedy,
    Gumbel,
    KCenter,
    MaskPolicyGradient,
    MirrorWeights,
    Stratified,
    Threshold,
    TopN,
    TwoStage,
)

BOOK = RecipeBook(SelectRecipe)


@BOOK.add()
def random() -> SelectRecipe:
    """Draw documents uniformly; a smaller budget is part of a larger one."""
    return SelectRecipe(features=NoFeatures(), objective=Constant(), solver=Gumbel())


@BOOK.add()
def full() -> SelectRecipe:
    """Take everything, whatever the budget: what training on all the data gives."""
    return SelectRecipe(features=NoFeatures(), objective=Constant(), solver=Everything())


@BOOK.add()
def stratified() -> SelectRecipe:
    """The same number of documents from every source, as far as it has them; ``solver.alpha=1`` is proportional."""
    return SelectRecipe(features=NoFeatures(), objective=Constant(), solver=Stratified(alpha=0))


@BOOK.add(aliases=("cluster-balanced",))
def k_means() -> SelectRecipe:
    """The same number of documents from every k-means cluster, drawn at random inside it."""
    return SelectRecipe(features=Hashing(), objective=Constant(), solver=Stratified(strata="cluster", alpha=0))


@BOOK.add(aliases=("top-quality",))
def quality() -> SelectRecipe:
    """The highest scores of a quality column, as FineWeb-Edu and DCLM do."""
    return SelectRecipe(features=NoFeatures(), objective=Quality(), solver=TopN())


@BOOK.add()
def classifier() -> SelectRecipe:
    """The highest scores of a classifier trained on ``objective.positive`` (and ``objective.negative``) examples."""
    return SelectRecipe(features=NoFeatures(), objective=Classifier(), solver=TopN())


@BOOK.add()
def qurating() -> SelectRecipe:
    """QuRating: draw with probabilities softmax(quality / 2), so that good but not the best documents have a part."""
    return SelectRecipe(features=NoFeatures(), objective=Quality(), solver=Gumbel(temperature=2.0))


@BOOK.add()
def perplexity() -> SelectRecipe:
    """Documents of middle loss under a language model, a byte n-gram model of the pool unless another is named."""
    return SelectRecipe(features=NoFeatures(), objective=Perplexity(band="middle"), solver=TopN())


@BOOK.add()
def dsir() -> SelectRecipe:
    """DSIR: importance resampling towards ``objective.target`` by hashed n-grams.

    The target is smoothed by one count (``objective.smoothing=0`` is the authors' code, which ranks by unseen n-grams).
    """
    return SelectRecipe(features=NoFeatures(), objective=Dsir(), solver=Gumbel(temperature=1.0, normalise=False))


@BOOK.add()
def heuristic_cls() -> SelectRecipe:
    """GPT-3's heuristic classification: keep what looks like ``objective.positive``, with Pareto noise."""
    return SelectRecipe(features=NoFeatures(), objective=HeuristicClassifier(), solver=Threshold())


@BOOK.add()
def semdedup() -> SelectRecipe:
    """SemDeDup: drop documents near to an earlier one of their cluster; the budget decides how near.

    A small budget then keeps the documents least like any other. To drop near-duplicates only and draw the rest at
    random, set ``objective.eps=0.2`` (a cosine above 0.8) and ``solver=gumbel`` with ``solver.temperature=1e6``.
    """
    return SelectRecipe(features=Hashing(), objective=SemDeDup(), solver=TopN())


@BOOK.add()
def d4() -> SelectRecipe:
    """D4: SemDeDup to 75 % of the pool, then the documents farthest from the centroids of new clusters."""
    return SelectRecipe(features=Hashing(), objective=D4(), solver=TopN())


@BOOK.add()
def prototypes() -> SelectRecipe:
    """The documents farthest from the centroid of their cluster; ``objective.prefer=easy`` takes the nearest."""
    return SelectRecipe(features=Hashing(), objective=Prototypes(), solver=TopN())


@BOOK.add()
def k_center() -> SelectRecipe:
    """Farthest-first traversal: each pick is the document farthest from those before it."""
    return SelectRecipe(features=Hashing(), objective=Constant(), solver=KCenter())


@BOOK.add()
def facility_location() -> SelectRecipe:
    """Picks that stand for the pool: every document should be similar to one of them. The work grows with n squared."""
    return SelectRecipe(features=Hashing(), objective=FacilityLocation(), solver=Greedy())


@BOOK.add()
def graph_cut() -> SelectRecipe:
    """Picks similar to the pool and not to each other, with a linear kernel and no n x n matrix."""
    return SelectRecipe(features=Hashing(), objective=GraphCut(), solver=Greedy())


@BOOK.add(aliases=("dpp",))
def log_det() -> SelectRecipe:
    """The MAP of a determinantal point process: picks that span the largest volume."""
    return SelectRecipe(features=Hashing(), objective=LogDet(), solver=Greedy())


@BOOK.add()
def leverage() -> SelectRecipe:
    """Picks that a linear model on the features learns most from: ridge leverage, one pick at a time."""
    return SelectRecipe(features=Hashing(), objective=Leverage(), solver=Greedy())


@BOOK.add()
def doremi() -> SelectRecipe:
    """DoReMi: domain weights by two small proxy trainings, then a stratified draw by these weights."""
    return SelectRecipe(features=NoFeatures(), objective=Constant(), solver=MirrorWeights())


@BOOK.add()
def disf() -> SelectRecipe:
    """DiSF as its authors run it: the correlation matrix of each batch's picks is driven towards the identity.

    It degenerates on some pools (tight groups and near-duplicates are rewarded, pick 2 hangs on eps); ``disf-unit``
    is what we recommend. Features are ours (the paper: Contriever) and batches random (the paper: file order).
    """
    return SelectRecipe(
        features=Hashing(), objective=Decorrelation(normalise="per_set"), solver=Greedy(batch=1024, first="random")
    )


@BOOK.add(aliases=("disf-fast",))
def disf_unit() -> SelectRecipe:
    """DiSF with rows of unit length around the pool's mean: picks that point in different directions."""
    return SelectRecipe(
        features=Hashing(), objective=Decorrelation(normalise="pool_unit"), solver=Greedy(batch=1024, first="random")
    )


def _joint() -> Weighted:
    return Weighted(terms=(Term(weight=0.3, objective=Quality(scale="rank")), Term(weight=0.7, objective=Pairwise())))


@BOOK.add()
def datamask() -> SelectRecipe:
    """DATAMASK: quality and pairwise diversity together, by policy gradient on a sampling mask.

    Drops the 40 % of lowest quality first. Learning rate, number of steps and the scale of scores are not in the paper;
    ours are ranks of quality, a first step of 1 nat and cosine decay. ``frank-wolfe`` solves the same objective better.
    """
    return SelectRecipe(
        features=Hashing(), objective=_joint(), solver=MaskPolicyGradient(keep=0.6, init="quality", step=1.0)
    )


@BOOK.add()
def frank_wolfe() -> SelectRecipe:
    """DATAMASK's objective by Frank-Wolfe on its concave relaxation, with a certified distance from the best."""
    return SelectRecipe(features=Hashing(), objective=_joint(), solver=FrankWolfe())


@BOOK.add()
def ntk_selector() -> SelectRecipe:
    """NTK-Selector: votes of the target's nearest neighbours, then tangent-kernel alignment with the target.

    Needs ``features.model`` and ``features.target``. It keeps the four-fold of a 5 % budget in the first stage.
    """
    return SelectRecipe(
        features=PseudoNTK(), objective=MeanAlignment(), solver=TwoStage(prefilter=KnnVote(), keep="20%", solver=TopN())
    )


@BOOK.add()
def ntk_selector_probe() -> SelectRecipe:
    """NTK-Selector with random output probes, whose score does not depend on the gauge of the head; recommended."""
    return SelectRecipe(
        features=ProbeNTK(), objective=MeanAlignment(), solver=TwoStage(prefilter=KnnVote(), keep="20%", solver=TopN())
    )


@BOOK.add()
def loss_alignment() -> SelectRecipe:
    """Cosine of loss gradients with the target's, the comparison that LESS makes, without Adam's preconditioning."""
    return SelectRecipe(features=LossGradient(), objective=MeanAlignment(), solver=TopN())


@BOOK.add()
def embedding_alignment() -> SelectRecipe:
    """The documents nearest to the mean vector of ``objective.target``: topic similarity alone."""
    return SelectRecipe(features=Hashing(), objective=MeanAlignment(), solver=TopN())
