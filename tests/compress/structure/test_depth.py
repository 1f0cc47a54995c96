# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.compress.structure import Depth
from harmonia.compress.structure.depth import block_influence
from harmonia.core.errors import InputError
from harmonia.models.pruned import shallower


def identity(block):
    """Make a block of Llama pass its input on."""
    block.self_attn.o_proj.weight.zero_()
    block.mlp.down_proj.weight.zero_()


def test_a_block_that_passes_its_input_on_has_no_influence():
    model = tiny.llama(layers=4)
    identity(model.model.layers[2])
    found = block_influence(model, [tiny.batch()])
    assert found[2] == pytest.approx(0, abs=1e-12)
    assert (np.delete(found, 2) > 1e-3).all()
    assert Depth().staying(block_influence(model, [tiny.batch()]), 0.25).tolist() == [0, 1, 3]
    smaller = shallower(model, Depth().staying(block_influence(model, [tiny.batch()]), 0.25))
    assert torch.equal(tiny.output(smaller, tiny.batch()), tiny.output(model, tiny.batch()))


def test_the_mean_over_tokens_without_padding():
    model, batches = tiny.bert(layers=2), [tiny.batch((7, 3)), tiny.batch((4,), first=2)]
    found = block_influence(model, batches)
    cosines = [[], []]
    for batch in batches:
        for row in range(len(batch.rows)):
            n = int(batch.mask[row].sum())
            with torch.no_grad():
                states = model(batch.ids[row : row + 1, :n], output_hidden_states=True).hidden_states
            for layer in range(2):
                a, b = states[layer][0].double(), states[layer + 1][0].double()
                cosines[layer] += ((a * b).sum(-1) / a.norm(dim=-1) / b.norm(dim=-1)).tolist()
    assert found == pytest.approx([1 - np.mean(c) for c in cosines], abs=1e-6)
    assert len(cosines[0]) == 14


def test_the_length_of_hidden_states_does_not_matter():
    model = tiny.llama(layers=3)
    before = block_influence(model, [tiny.batch()])
    hook = model.model.layers[1].register_forward_hook(lambda m, x, y: 1000 * y)
    scaled = block_influence(model, [tiny.batch()])
    hook.remove()
    assert scaled[:2] == pytest.approx(before[:2], abs=1e-8)
    hook = model.model.layers[1].register_forward_hook(lambda m, x, y: 7 * x[0])
    assert block_influence(model, [tiny.batch()])[1] == pytest.approx(0, abs=1e-12)
    hook.remove()


def test_how_many_go_and_of_equal_ones_the_earlier_stays():
    model = tiny.llama(layers=5)
    for layer in (1, 2, 3):
        identity(model.model.layers[layer])
    given = [tiny.batch()]
    assert Depth().staying(block_influence(model, given), 0).tolist() == [0, 1, 2, 3, 4]
    assert Depth().staying(block_influence(model, given), 0.39).tolist() == [0, 1, 2, 4]
    assert Depth().staying(block_influence(model, given), 0.4).tolist() == [0, 1, 4]
    assert Depth().staying(block_influence(model, given), 0.6).tolist() == [0, 4]
    assert len(Depth().staying(block_influence(model, given), 0.99)) == 1


def test_spared_layers_stay():
    model = tiny.llama(layers=4)
    identity(model.model.layers[3])
    assert 3 not in Depth().staying(block_influence(model, [tiny.batch()]), 0.25)
    assert {0, 3} <= set(
        Depth(spare_first=1, spare_last=1).staying(block_influence(model, [tiny.batch()]), 0.5).tolist()
    )
    with pytest.raises(InputError, match="removes 3 of 4 layers, and only 2 are not spared"):
        Depth(spare_first=1, spare_last=1).staying(block_influence(model, [tiny.batch()]), 0.75)


def test_bad_input():
    model = tiny.llama()
    for ratio in (-0.1, 1, 2):
        with pytest.raises(InputError, match=rf"ratio={ratio}: .* lies in \[0, 1\)"):
            Depth().staying(block_influence(model, [tiny.batch()]), ratio)
    empty = tiny.batch()
    empty.mask.zero_()
    with pytest.raises(InputError, match="every token is masked"):
        block_influence(model, [empty])
    model.model.layers[1].mlp.down_proj.weight[0] = torch.inf
    with pytest.raises(InputError, match=r"model.layers.1: hidden states are not finite"):
        block_influence(model, [tiny.batch()])
