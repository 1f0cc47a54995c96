"""A mixture as it answers: experts are chosen by the beginning of a text, and what follows is not looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from harmonia.models.mixture.mixture import Mixture, MixtureOutput
from harmonia.models.mixture.sequence_mixture import SequenceMixture


def prompted(mixture: Mixture, tokens: int) -> Callable[..., Any]:
    """Return a mixture that chooses experts for a whole text by its first tokens, to be called like a model.

    A router that decides for every token sees no token ahead anyway, and such a mixture is returned as it is.

    Args:
        mixture: in evaluation mode.
        tokens: of the beginning, at least 2; texts are padded on the right.
    """
    if not isinstance(mixture, SequenceMixture):
        return mixture

    def run(input_ids: Tensor, attention_mask: Tensor) -> MixtureOutput:
        weights, _ = mixture.route(input_ids[:, :tokens], attention_mask[:, :tokens])
        found: MixtureOutput = mixture(input_ids=input_ids, attention_mask=attention_mask, weights=weights)
        return found

    return run
