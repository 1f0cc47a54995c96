"""Gates out of the hidden states of prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.merge.routing.base import Shared
from harmonia.merge.routing.gates import GateRouter, gates_like

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Fitting


class HiddenPrompt(GateRouter):
    """An expert's gate vector in a layer is the base's hidden state of prompts that it should take, at length 1.

    The mean over its prompts, minus the mean over those that it should not take, of the state that enters the layer, or
    that the gate will see.
    """

    kind: Literal["hidden-prompt"] = "hidden-prompt"
    reads_examples: ClassVar[bool] = True
    reads_base: ClassVar[bool] = True
    per_token: ClassVar[bool] = True
    main: ClassVar[str] = "tokens"

    shared: Shared = "non-ffn"
    """What experts share; for single tokens only all but feed-forward layers."""
    tokens: Literal["last", "mean"] = "last"
    """Which tokens of a prompt: the last one, or all."""
    state: Literal["layer", "ffn"] = "layer"
    """The hidden state that enters the layer, as is usual, or the normalised one that enters its feed-forward layer,
    which is what a gate sees."""

    def fit(self, fitting: Fitting) -> Mapping[str, Tensor]:
        from harmonia.merge.mixture.prompt_states import prompt_states

        assert fitting.examples is not None
        rows = prompt_states(fitting.base, fitting.examples, last=self.tokens == "last", ffn=self.state == "ffn")
        return gates_like(fitting.mixture, rows)
