"""The named recipes of stage ``merge``: each is one part per slot, with the settings of its paper."""

from __future__ import annotations

from harmonia.core.recipe import RecipeBook
from harmonia.merge.bridging import Projector
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.routing import Ppl, RidgeRouter, SequenceLinear, TokenLinear
from harmonia.merge.weights import (
    AdaMerging,
    Breadcrumbs,
    BreadcrumbsTies,
    DareLinear,
    DareTies,
    Della,
    DellaLinear,
    Fisher,
    Linear,
    ModelStock,
    MultiSlerp,
    Pcb,
    RegMean,
    Sce,
    Slerp,
    TaskArithmetic,
    Ties,
)

BOOK = RecipeBook(MergeRecipe)


@BOOK.add(aliases=("model-soup",))
def linear() -> MergeRecipe:
    """The weighted average of the experts; no base is needed."""
    return MergeRecipe(weights=Linear())


@BOOK.add()
def task_arithmetic() -> MergeRecipe:
    """Task arithmetic: the base plus the sum of what each expert learned."""
    return MergeRecipe(weights=TaskArithmetic())


@BOOK.add()
def ties() -> MergeRecipe:
    """TIES: what each expert learned is trimmed to its largest fifth, and only what agrees in sign is averaged."""
    return MergeRecipe(weights=Ties())


@BOOK.add()
def mergekit_ties() -> MergeRecipe:
    """TIES as mergekit has it: a threshold for each tensor, not one for the model."""
    return MergeRecipe(weights=Ties(scope="tensor"))


@BOOK.add()
def official_ties() -> MergeRecipe:
    """TIES as its authors' code has it: one element more is kept, and a tied vote goes to the majority's sign."""
    return MergeRecipe(weights=Ties(official_threshold=True, undecided="majority"))


@BOOK.add()
def dare_linear() -> MergeRecipe:
    """DARE: random elements of what each expert learned are dropped, the others made larger, and summed."""
    return MergeRecipe(weights=DareLinear())


@BOOK.add()
def dare_ties() -> MergeRecipe:
    """DARE, then only what agrees in sign is summed."""
    return MergeRecipe(weights=DareTies())


@BOOK.add()
def breadcrumbs() -> MergeRecipe:
    """Breadcrumbs: what each expert learned loses its largest elements, and is summed."""
    return MergeRecipe(weights=Breadcrumbs())


@BOOK.add()
def breadcrumbs_ties() -> MergeRecipe:
    """Breadcrumbs, then only what agrees in sign is summed."""
    return MergeRecipe(weights=BreadcrumbsTies())


@BOOK.add()
def della() -> MergeRecipe:
    """DELLA: elements are dropped at random, small ones more often, and only what agrees in sign is averaged."""
    return MergeRecipe(weights=Della())


@BOOK.add()
def della_linear() -> MergeRecipe:
    """DELLA without the vote: elements are dropped at random, small ones more often, and the rest is summed."""
    return MergeRecipe(weights=DellaLinear())


@BOOK.add()
def sce() -> MergeRecipe:
    """SCE: only where experts differ most they are averaged, by how much each learned there."""
    return MergeRecipe(weights=Sce())


@BOOK.add()
def slerp() -> MergeRecipe:
    """SLERP: two models, half way along the arc between them."""
    return MergeRecipe(weights=Slerp())


@BOOK.add(aliases=("karcher",))
def multislerp() -> MergeRecipe:
    """The mean direction of several models on the sphere, with their mean norm."""
    return MergeRecipe(weights=MultiSlerp())


@BOOK.add()
def model_stock() -> MergeRecipe:
    """Model Stock: from the base towards the mean of the experts, as far as they agree."""
    return MergeRecipe(weights=ModelStock())


@BOOK.add()
def pcb() -> MergeRecipe:
    """PCB-Merging: elements count by their size in their task and by how far the other tasks agree."""
    return MergeRecipe(weights=Pcb())


@BOOK.add()
def ada_merging() -> MergeRecipe:
    """AdaMerging: how much each task vector counts, tensor by tensor, is fitted to unlabelled text of each expert."""
    return MergeRecipe(weights=AdaMerging())


@BOOK.add()
def ada_merging_task() -> MergeRecipe:
    """AdaMerging with one coefficient for each expert."""
    return MergeRecipe(weights=AdaMerging(granularity="task"))


@BOOK.add()
def ada_merging_pp() -> MergeRecipe:
    """AdaMerging++: task vectors are first trimmed and lose what has not the elected sign, as in TIES."""
    return MergeRecipe(weights=AdaMerging(density=0.2))


@BOOK.add(aliases=("fisher-merge",))
def fisher() -> MergeRecipe:
    """Fisher merging: each element is averaged by how much each expert's loss depends on it."""
    return MergeRecipe(weights=Fisher())


@BOOK.add()
def regmean() -> MergeRecipe:
    """RegMean: linear layers answer as each expert does on its own inputs, in least squares."""
    return MergeRecipe(weights=RegMean())


@BOOK.add()
def btx() -> MergeRecipe:
    """Branch-Train-MiX: experts keep their feed-forward layers, all else is averaged, and a trained gate chooses."""
    return MergeRecipe(weights=Linear(), routing=TokenLinear())


@BOOK.add()
def mergeme_ties() -> MergeRecipe:
    """MergeME: as btx, but what is shared is merged by TIES."""
    return MergeRecipe(weights=Ties(density=0.8, normalize=False, scaling="1/n"), routing=TokenLinear())


@BOOK.add()
def mergeme_dare() -> MergeRecipe:
    """MergeME: as btx, but what is shared is merged by DARE."""
    return MergeRecipe(weights=DareLinear(density=0.8, scaling="1/n"), routing=TokenLinear())


@BOOK.add()
def mergeme_free() -> MergeRecipe:
    """MergeME without training: experts keep all their layers, and those work that find the prompt the likeliest."""
    return MergeRecipe(weights=DareLinear(density=0.8, scaling="1/n"), routing=Ppl())


@BOOK.add()
def mergeme_hetero() -> MergeRecipe:
    """MergeME for experts of several widths: projectors between them and one embedding, and a trained gate."""
    return MergeRecipe(weights=Linear(), routing=SequenceLinear(), bridging=Projector())


@BOOK.add()
def ridge_router() -> MergeRecipe:
    """As btx, but the gate is found in closed form, by ridge regression from what it sees to the domain."""
    return MergeRecipe(weights=Linear(), routing=RidgeRouter())
