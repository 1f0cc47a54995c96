# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.compress.hidden_bases import hidden_bases
from harmonia.compress.structure import Hidden
from harmonia.core.errors import InputError
from harmonia.models.pruned import narrowed


def bases(model, batches, widths, normalised=False):
    found = hidden_bases(model, batches, widths, normalised=normalised)
    return [found.get(f"basis.{place}") for place in range(len(widths))], found["energy"]


def test_how_many_channels_stay():
    assert Hidden().widths(32, 2, 0.25) == [24, 24, 24, 24, None]
    assert Hidden().widths(32, 2, 0.26) == [16, 16, 16, 16, None]
    assert Hidden(multiple=1).widths(32, 1, 0.26) == [23, 23, None]
    assert Hidden(spare_head=False).widths(30, 1, 0) == [30, 30, 30]
    assert Hidden(spare_embeddings=True, spare_head=False).widths(32, 1, 0.5) == [None, 16, 16]
    assert Hidden(spare_first=1, spare_last=1).widths(32, 4, 0.5) == [*[None] * 3, 16, 16, 16, *[None] * 3]
    with pytest.raises(InputError, match="ratio=0.9 leaves less than structure.multiple=8 of 32 channels: lower one"):
        Hidden().widths(32, 2, 0.9)
    with pytest.raises(InputError, match=r"ratio=1: the share of the channels .* lies in \[0, 1\)"):
        Hidden().widths(32, 2, 1)


def states(model, batch):
    """Return what each norm of a Llama reads of every token that counts, in the order of the norms."""
    seen = []
    norms = [norm for block in model.model.layers for norm in (block.input_layernorm, block.post_attention_layernorm)]
    hooks = [norm.register_forward_pre_hook(lambda m, x: seen.append(x[0])) for norm in (*norms, model.model.norm)]
    tiny.output(model, batch)
    for hook in hooks:
        hook.remove()
    return [each[batch.mask.bool()].double().numpy() for each in seen]


@pytest.mark.parametrize("normalised", [False, True])
def test_the_first_basis_is_that_of_the_dense_model_and_later_ones_see_what_was_cut(normalised):
    model, batch = tiny.llama(), tiny.batch((11, 9, 8))
    found, energy = bases(model, [batch], [16] * 5, normalised)
    dense = states(model, batch)
    # the cut model in the channels of the dense one: every state is projected before it is read or passed on
    cut = states(narrowed(model, found), batch)
    for place, basis in enumerate(found):
        np.testing.assert_allclose(basis.T @ basis, np.eye(16), atol=1e-6)
        x = dense[place] / (np.linalg.norm(dense[place], axis=1, keepdims=True) if normalised else 1)
        inside = ((x @ basis) ** 2).sum() / (x**2).sum()
        if place == 0:
            best = np.linalg.svd(x, compute_uv=False) ** 2
            assert inside == pytest.approx(best[:16].sum() / best.sum()) == pytest.approx(energy[0])
            np.testing.assert_allclose(cut[0], dense[0] @ basis, atol=1e-5)
        else:
            assert 0.5 < energy[place] < 1 and abs(inside - energy[place]) > 1e-5


def test_tokens_of_large_states_count_the_same_where_states_are_normalised():
    model, batch = tiny.llama(), tiny.batch((11, 9, 8))
    large = tiny.llama()
    large.model.embed_tokens.weight[int(batch.ids[0, 0])] *= 100
    one, other = (bases(m, [batch], [16, *[None] * 4], normalised=True)[0][0] for m in (model, large))
    np.testing.assert_allclose(one, other, atol=1e-5)
    one, other = (bases(m, [batch], [16, *[None] * 4])[0][0] for m in (model, large))
    assert abs(one - other).max() > 0.1


def test_padding_and_batches_do_not_matter():
    model = tiny.llama()
    rows = tiny.batch((9, 5))
    alone = [
        type(rows)(rows.rows[i : i + 1], rows.ids[i : i + 1, :n], rows.mask[i : i + 1, :n]) for i, n in ((0, 9), (1, 5))
    ]
    one, two = (bases(model, batches, [8, 8, 8, 8, None])[0] for batches in ([rows], alone))
    for a, b in zip(one[:-1], two[:-1], strict=True):
        np.testing.assert_allclose(a @ a.T, b @ b.T, atol=1e-4)


def test_what_the_text_spans_is_enough():
    """24 tokens span 24 directions at most, so that 24 channels lose nothing of them."""
    model, batch = tiny.llama(), tiny.batch((9, 8, 7))
    found, energy = bases(model, [batch], [24] * 5)
    valid = batch.mask.bool()
    torch.testing.assert_close(
        tiny.output(narrowed(model, found), batch)[valid], tiny.output(model, batch)[valid], rtol=0, atol=1e-4
    )
    assert energy == pytest.approx([1] * 5)


def test_bad_input():
    model, batch = tiny.llama(), tiny.batch()
    batch.mask.zero_()
    with pytest.raises(InputError, match="every token is masked as padding"):
        bases(model, [batch], [8] * 5)
    model.model.layers[0].mlp.down_proj.weight[0] = torch.inf
    with pytest.raises(InputError, match="hidden state 2 is not finite; load the model in float32"):
        bases(model, [tiny.batch()], [8] * 5)
