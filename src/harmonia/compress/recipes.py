"""The named recipes of stage ``compress``: each is one part per axis, with the settings of its paper."""

from __future__ import annotations

from typing import Any

from harmonia.compress.allocation import GlobalStandardised, MacSearch, Rearrange, Uniform
from harmonia.compress.criterion import (
    BlockInfluence,
    Fisher,
    Kcm,
    Magnitude,
    Obs,
    Principal,
    Random,
    TaylorElement,
    WandaSp,
    Wifv,
)
from harmonia.compress.recipe import CompressRecipe
from harmonia.compress.reconstruction import Bias, LeastSquares, Liar, NoReconstruction, Scale
from harmonia.compress.sampling import Sampling
from harmonia.compress.structure import Both, Depth, Hidden
from harmonia.core.recipe import RecipeBook

BOOK = RecipeBook(CompressRecipe)


def _with(**parts: Any) -> CompressRecipe:
    """LIAR on FLAP's scores with other choices."""
    chosen: dict[str, Any] = {
        "structure": Both(),
        "criterion": Wifv(),
        "allocation": Uniform(),
        "reconstruction": Liar(),
        "calibration": Sampling(),
    }
    return CompressRecipe(**{**chosen, **parts})


@BOOK.add(aliases=("liar",))
def liar_wifv() -> CompressRecipe:
    """LIAR: removed inputs are replaced by affine combinations of kept ones; what varies most stays."""
    return _with()


@BOOK.add()
def liar_stream() -> CompressRecipe:
    """LIAR layer by layer: each layer also gives what the cuts below it took from the hidden state it is added to."""
    return _with(calibration=Sampling(target="dense-stream"))


@BOOK.add()
def ls_wifv() -> CompressRecipe:
    """LIAR without its bias, for architectures that have no place for one; what varies most stays."""
    return _with(reconstruction=LeastSquares())


@BOOK.add()
def bias_wifv() -> CompressRecipe:
    """The bias takes up the mean of what is gone; what varies most stays, the same share in each layer."""
    return _with(reconstruction=Bias())


@BOOK.add()
def none_wifv() -> CompressRecipe:
    """What varies most stays, and nothing is repaired: what repairs are measured against."""
    return _with(reconstruction=NoReconstruction())


@BOOK.add()
def liar_magnitude() -> CompressRecipe:
    """LIAR's repair; units that are read with small weights go."""
    return _with(criterion=Magnitude())


@BOOK.add()
def liar_taylor() -> CompressRecipe:
    """LIAR's repair; units whose weights hardly change the loss go, which needs labels or a language model."""
    return _with(criterion=TaylorElement())


@BOOK.add()
def liar_obs() -> CompressRecipe:
    """LIAR's repair; units go one by one, each time the one whose loss the others repair best."""
    return _with(criterion=Obs(order="joint", intercept=True))


@BOOK.add()
def flap() -> CompressRecipe:
    """FLAP: what varies most over all layers stays, and the bias takes up the mean of what is gone."""
    return _with(allocation=GlobalStandardised(), reconstruction=Bias())


@BOOK.add()
def wanda_sp() -> CompressRecipe:
    """Wanda by unit: small weights times small inputs go, and nothing is repaired."""
    return _with(criterion=WandaSp(), reconstruction=NoReconstruction())


@BOOK.add()
def magnitude() -> CompressRecipe:
    """Units that are read with small weights go, and nothing is repaired; no data."""
    return _with(criterion=Magnitude(), reconstruction=NoReconstruction())


@BOOK.add()
def none_random() -> CompressRecipe:
    """Chance decides, and nothing is repaired: what criteria are measured against."""
    return _with(criterion=Random(), reconstruction=NoReconstruction())


@BOOK.add()
def kwon() -> CompressRecipe:
    """Fisher information of masks, searched under a budget of multiplications, rearranged, and masks tuned."""
    return _with(criterion=Fisher(), allocation=Rearrange(of=MacSearch()), reconstruction=Scale())


@BOOK.add()
def kcm() -> CompressRecipe:
    """Units that stand for others and are active stay, without gradients or labels; masks are tuned."""
    return _with(criterion=Kcm(), allocation=MacSearch(), reconstruction=Scale())


@BOOK.add()
def llm_pruner() -> CompressRecipe:
    """LLM-Pruner before its tuning: units whose weights hardly change the loss go, first and last layers are spared."""
    return _with(
        structure=Both(spare_first=4, spare_last=2), criterion=TaylorElement(), reconstruction=NoReconstruction()
    )


@BOOK.add()
def obs() -> CompressRecipe:
    """Structured OBS: units go one by one, each time the cheapest to repair, and the others make up for it."""
    return _with(criterion=Obs(order="joint"), reconstruction=LeastSquares())


@BOOK.add()
def shortgpt() -> CompressRecipe:
    """ShortGPT: whole layers that hardly turn what passes through them go."""
    return _with(structure=Depth(), criterion=BlockInfluence(), reconstruction=NoReconstruction())


@BOOK.add()
def slicegpt() -> CompressRecipe:
    """SliceGPT: hidden states are turned to their principal directions, and all layers lose the least of these."""
    return _with(structure=Hidden(), criterion=Principal(), reconstruction=NoReconstruction())
