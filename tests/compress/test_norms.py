# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.compress.norms import slice_norms
from harmonia.compress.structure import Both


def norms(values):
    return [np.abs(values).sum(), np.sqrt((values**2).sum())]


def test_each_layer_of_a_group_of_heads():
    model = tiny.llama()
    heads, neurons = Both().sites(model, 8)[:2]
    found, gated = slice_norms(model, [heads, neurons])
    attention = model.model.layers[0].self_attn
    place = "model.layers.0.self_attn"
    assert list(found)[::2] == [f"l1:{place}.{name}_proj" for name in "qkvo"]
    for unit in range(2):
        for name, rows in (("q", 16), ("k", 8), ("v", 8)):
            own = getattr(attention, f"{name}_proj").weight[unit * rows : (unit + 1) * rows].double().numpy()
            assert [found[f"l{i}:{place}.{name}_proj"][unit] for i in (1, 2)] == pytest.approx(norms(own))
        own = attention.o_proj.weight[:, unit * 16 : (unit + 1) * 16].double().numpy()
        assert [found[f"l{i}:{place}.o_proj"][unit] for i in (1, 2)] == pytest.approx(norms(own))
    down = model.model.layers[0].mlp.down_proj.weight.double().norm(dim=0).numpy()
    np.testing.assert_allclose(gated["l2:model.layers.0.mlp.down_proj"], down)


def test_queries_keys_and_values_of_one_layer_count_apart():
    model = tiny.gpt2()
    (found,) = slice_norms(model, Both().sites(model, 8)[:1])
    place = "transformer.h.0.attn"
    assert list(found)[1::2] == [f"l2:{place}.c_attn.{part}" for part in range(3)] + [f"l2:{place}.c_proj"]
    weight = model.transformer.h[0].attn.c_attn.weight.double().numpy()
    assert found[f"l2:{place}.c_attn.1"][2] == pytest.approx(norms(weight[:, 32 + 16 : 32 + 24])[1])
