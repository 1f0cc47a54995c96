"""Sums over what gates see, from which ridge regression gets gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmonia.maths.ridge_regression import RidgeRegression

if TYPE_CHECKING:
    from harmonia.merge.routing.examples import Examples
    from harmonia.models.mixture.mixture import Mixture


def ridge_statistics(mixture: Mixture, examples: Examples) -> list[RidgeRegression]:
    """Return H^T H and H^T Y of each gate of a mixture, one for each layer, or one for whole texts.

    The states of an expert's texts do not depend on the other experts, so one that comes later only adds to the sums
    (``RidgeRegression.add_class``).

    Args:
        mixture: with gates.
        examples: texts of each expert's domain.
    """
    import torch

    from harmonia.models.mixture.sequence_mixture import SequenceMixture
    from harmonia.models.mixture.token_mixture import TokenMixture

    found = [RidgeRegression(gate.shape[1], mixture.experts) for gate in mixture.gates()]
    for expert, batches in enumerate(examples.positive):
        for batch in batches:
            if isinstance(mixture, TokenMixture):
                states = mixture.gate_inputs(batch.ids, batch.mask, expert)
            else:
                assert isinstance(mixture, SequenceMixture)
                with torch.no_grad():
                    states = [mixture.mean_embedding(batch.ids, batch.mask)]
            for each, rows in zip(found, states, strict=True):
                each.add_class(rows, expert)
    return found
