# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import numpy as np
from tests.compress.test_gradients import BATCHES, LABELS, class_loss, classifier, single
from tests.models.pruned import tiny

from harmonia.compress.gradients import next_token_loss
from harmonia.compress.structure import Both
from harmonia.compress.taylor import KEYS, slice_sums
from harmonia.core.errors import InputError
from harmonia.models.pruned import family_of
from harmonia.models.pruned.family import linears
from harmonia.models.pruned.linear import matrix


def gradients(model, loss):
    """Return each example's gradient by every weight, one backward pass each: name -> (B, d_out, d_in)."""
    model.requires_grad_(True)
    layers = {name for slot in family_of(model).slots(model) for name in linears(slot)}
    found = {name: [] for name in layers}
    for batch in BATCHES:
        for row in range(len(batch.rows)):
            model.zero_grad()
            loss(model, single(batch, row)).sum().backward()
            for name in layers:
                layer = model.get_submodule(name)
                gradient = layer.weight.grad
                found[name].append((gradient if isinstance(layer, torch.nn.Linear) else gradient.T).double().clone())
    model.requires_grad_(False).zero_grad()
    return {name: torch.stack(kept) for name, kept in found.items()}


def slices_of(slot, unit, name, tensor):
    """Return the columns or the rows of a unit in a layer, as rows."""
    if name == slot.name:
        return tensor[:, unit * slot.run : (unit + 1) * slot.run].T
    producer = next(p for p in slot.producers if p.name == name)
    return tensor[torch.from_numpy(producer.rows(np.array([unit]), slot.units))]


@pytest.mark.parametrize(
    ("make", "loss"),
    [(lambda: tiny.llama(neurons=9), next_token_loss), (tiny.gpt2, next_token_loss), (classifier, class_loss(LABELS))],
)
def test_sums_over_the_slices_of_every_unit(make, loss):
    model = make()
    sites = Both().sites(model, 8)
    found, each = slice_sums(model, sites, BATCHES, loss), gradients(model, loss)
    slots = {slot.name: slot for slot in family_of(model).slots(model)}
    for site, sums in zip(sites, found, strict=True):
        slot = slots[site.name]
        for unit in {0, 1, site.units - 1}:
            wanted = dict.fromkeys(KEYS, 0.0)
            for name in linears(slot):
                w = slices_of(slot, unit, name, matrix(model.get_submodule(name)).double())
                g = slices_of(slot, unit, name, each[name].mean(dim=0))
                f = slices_of(slot, unit, name, each[name].square().mean(dim=0))
                wanted["element1"] += float((w * g).abs().sum())
                wanted["vector"] += float((w * g).sum(dim=1).abs().sum())
                wanted["taylor2"] += float((w * f * w).abs().sum())
                wanted["mix"] += float((w * g - w * f * w / 2).abs().sum())
            for key in KEYS:
                assert sums[key][unit] == pytest.approx(wanted[key], rel=1e-3, abs=1e-7)
        assert (sums["vector"] <= sums["element1"] * (1 + 1e-6)).all()


def test_all_layers_of_attention_count():
    model = tiny.llama()
    (heads,) = [site for site in Both().sites(model, 8) if site.layer == 0 and site.kind == "heads"]
    (whole,) = slice_sums(model, [heads], BATCHES, next_token_loss)
    model.model.layers[0].self_attn.q_proj.weight.zero_()
    (without,) = slice_sums(model, [heads], BATCHES, next_token_loss)
    assert not np.allclose(whole["element1"], without["element1"], rtol=1e-3)


def test_a_loss_that_no_weight_changes_is_zero_everywhere():
    model = tiny.llama()
    model.lm_head.weight.zero_()
    for sums in slice_sums(model, Both().sites(model, 8), BATCHES, next_token_loss):
        assert all((sums[key] == 0).all() for key in KEYS)


def test_batches_change_nothing():
    model = tiny.llama()
    sites = Both().sites(model, 8)
    alone = [single(batch, row) for batch in BATCHES for row in range(len(batch.rows))]
    for a, b in zip(
        slice_sums(model, sites, BATCHES, next_token_loss),
        slice_sums(model, sites, alone, next_token_loss),
        strict=True,
    ):
        for key in KEYS:
            np.testing.assert_allclose(a[key], b[key], rtol=1e-3, atol=1e-7)


def test_nothing_is_left_behind():
    model = tiny.llama()
    slice_sums(model, Both().sites(model, 8), BATCHES, next_token_loss)
    assert not any(tensor.requires_grad or tensor.grad is not None for tensor in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_gradients_that_are_not_finite_name_the_layer():
    model = tiny.llama()
    model.lm_head.weight[5] = torch.inf
    with pytest.raises(InputError, match=r"o_proj: gradients are NaN or infinite"):
        slice_sums(model, Both().sites(model, 8), BATCHES, next_token_loss)
