import math

import numpy as np
import pytest
import torch
from tests.merge.mixture.small import built, family
from tests.models.pruned import tiny

from harmonia.merge.routing import Ppl, Random
from harmonia.models.mixture.diagnostics import condition, diagnose_router

DOMAINS = {"a": [tiny.batch((9, 4), seed=1), tiny.batch((5,), seed=2)], "b": [tiny.batch((8,), seed=3)]}


def test_condition_numbers():
    assert condition(torch.diag(torch.tensor([3.0, 1.0]))) == pytest.approx(3)
    assert condition(torch.ones(2, 4)) == math.inf
    assert condition(torch.randn(5, 4)) == math.inf
    q = torch.linalg.qr(torch.randn(6, 3))[0].T
    assert condition(q) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("routing", [Random(), Ppl()])
def test_shares_are_mean_weights_without_padding(tmp_path, routing):
    _, (_, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, routing)
    found = diagnose_router(mixture, DOMAINS)
    assert found.domains == ("a", "b") and found.experts == ("m1", "m2", "m3")
    np.testing.assert_allclose(found.shares.sum(axis=1), 1, rtol=1e-6)
    assert ((found.entropy >= 0) & (found.entropy <= math.log(2) + 1e-6)).all()
    rows = []
    for batch in DOMAINS["a"]:
        for ids, mask in zip(batch.ids, batch.mask.bool(), strict=True):
            with torch.no_grad():
                weights = mixture(input_ids=ids[mask][None]).weights
            rows.append(weights.flatten(0, -2).double().numpy())
    np.testing.assert_allclose(found.shares[0], np.concatenate(rows).mean(axis=0), atol=1e-5)
    assert len(found.conditions) == (2 if isinstance(routing, Random) else 0)


def test_what_deserves_a_warning(tmp_path):
    _, (_, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, Random(top_k=1))
    for gate in mixture.gates():
        gate.data.copy_(torch.ones_like(gate) + 1e-3 * torch.randn(gate.shape))
    [ill, *_] = diagnose_router(mixture, {}).warnings
    assert "gate vectors of 2 of 2 layers are nearly dependent (condition number up to" in ill
    for gate in mixture.gates():
        gate.data.zero_()
    warnings = diagnose_router(mixture, DOMAINS).warnings
    assert "no text was sent to m2, m3: leave out what is not used" in warnings[-1]
    for gate in mixture.gates():
        gate.data.copy_(torch.eye(3, 32))
    assert diagnose_router(mixture, {}).warnings == []
