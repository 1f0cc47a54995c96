"""Norms of units' slices: against norms of the slices cut out."""

import numpy as np
import pytest
import torch

from harmonia.maths.run_norms import run_norms


@pytest.mark.parametrize("of", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("parts", [1, 3])
def test_norms_are_those_of_the_slices(of, parts):
    rows = np.random.default_rng(0).normal(size=(parts * 4 * 2, 5))
    found = run_norms(of(rows), 4, columns=False, parts=parts)
    turned = run_norms(of(rows).T, 4, columns=True, parts=parts)
    for unit in range(4):
        own = np.concatenate([rows[part * 8 + unit * 2 : part * 8 + unit * 2 + 2].ravel() for part in range(parts)])
        for norms in (found, turned):
            assert float(norms["l1"][unit]) == pytest.approx(np.abs(own).sum())
            assert float(norms["l2"][unit]) == pytest.approx(np.linalg.norm(own))
