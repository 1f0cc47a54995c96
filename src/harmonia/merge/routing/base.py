"""The axis ``routing``: what chooses among experts when the merged model runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.part import Part

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Fitting

Shared = Literal["non-ffn", "non-ffn-non-attn", "embed-head", "nothing"]
Mix = Literal["trunk", "layer", "logprob"]
Decides = Literal["token-gate", "sequence-gate", "ppl", "task-vector"]


class Routing(Part):
    """What becomes of experts; the base of ``none``, too."""

    is_mixture: ClassVar[bool] = True
    """Whether experts stay apart; false for one dense model."""
    reads_examples: ClassVar[bool] = False
    """Whether it is fitted to texts of each expert's domain."""
    draws: ClassVar[bool] = False
    """Whether it depends on the seed."""
    reads_base: ClassVar[bool] = False
    """Whether it is fitted with the base at hand, which must be given then."""

    def check(self, experts: int, *, base: bool, examples: bool, bridged: bool) -> None:
        """Refuse what it cannot route.

        Args:
            experts: l, how many there are.
            base: whether there is a base.
            examples: whether there are texts of each expert's domain.
            bridged: whether experts of several widths are joined.

        Raises:
            InputError: says what does not go together, and what to do.
        """
        if experts < 1:
            raise InputError("no experts to merge: name at least one")

    def fit(self, fitting: Fitting) -> Mapping[str, Tensor]:
        """Return the tensors of the router, ``layers.0``, ... or ``weight``; none by default."""
        return {}


class Router(Routing):
    """Fields of what keeps experts apart."""

    per_token: ClassVar[bool] = False
    """Whether it can decide only for single tokens, for which experts must share attention."""

    top_k: int = Field(2, ge=1)
    """K, how many experts work at a time."""
    shared: Shared = "embed-head"
    """What experts share, merged by the rule of ``weights``: all but feed-forward layers, which the literature of
    mixtures does; embedding, norms and head; embedding, final norm and head (separate attention); or nothing."""
    mix: Mix = "trunk"
    """Where experts chosen for a whole text meet: last hidden states, hidden states after each layer, or probabilities
    of the next token."""

    def check(self, experts: int, *, base: bool, examples: bool, bridged: bool) -> None:
        super().check(experts, base=base, examples=examples, bridged=bridged)
        kind = self.kind_name()
        if self.top_k > experts:
            raise InputError(f"routing.top_k={self.top_k} of {experts} experts: give 1 to {experts}")
        if self.per_token and bridged:
            raise InputError(
                f"routing={kind} decides for every token, and experts of several widths cannot share attention: take "
                "routing=sequence-linear or ppl"
            )
        if self.per_token and self.shared != "non-ffn":
            raise InputError(
                f"routing={kind} decides for every token, and with routing.shared={self.shared} experts have attention "
                "of their own: take routing.shared=non-ffn, or routing=sequence-linear or ppl"
            )
        if bridged and self.shared != "embed-head":
            raise InputError(
                f"routing.shared={self.shared}: experts of several widths share embedding and head; take embed-head"
            )
        if bridged and self.mix == "layer":
            raise InputError("routing.mix=layer needs layers of one width, and bridging joins several: take trunk")
        if self.reads_base and not base:
            raise InputError(f"routing={kind} takes hidden states of the base: give the base")
        if self.reads_examples and not examples:
            raise InputError(
                f"routing={kind} is fitted to texts: give text of each expert's domain, --prompts EXPERT=FILE"
            )

    def decides(self) -> Decides:
        """Return how it decides when the model runs."""
        return "token-gate" if self.shared == "non-ffn" else "sequence-gate"

    def settings(self) -> dict[str, Any]:
        """Return what the running model must know of it."""
        return {}
