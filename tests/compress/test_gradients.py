# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.compress.gradients import class_loss, mask_gradients, next_token_loss
from harmonia.compress.structure import Both
from harmonia.core.errors import InputError

BATCHES = [tiny.batch((9, 5, 3)), tiny.batch((4, 4), first=3)]
LABELS = np.array([0, 1, 1, 0, 1])


def classifier():
    return tiny.bert(auto=transformers.AutoModelForSequenceClassification, num_labels=2)


def single(batch, row):
    """Return one sequence of a batch without its padding."""
    n = int(batch.mask[row].sum())
    part = slice(row, row + 1)
    return type(batch)(batch.rows[part], batch.ids[part, :n], batch.mask[part, :n])


def ghost(model, site, batch, loss):
    """Return the sum over tokens of the input times what comes back to it, for one example: (units,)."""
    read = []

    def watch(module, inputs, out):
        read.append(inputs[0].detach())
        out.register_hook(lambda delta: read.append(delta))

    embeddings = model.get_input_embeddings()
    hooks = [
        embeddings.register_forward_hook(lambda m, x, y: y.requires_grad_()),
        model.get_submodule(site.name).register_forward_hook(watch),
    ]
    loss(model, batch).sum().backward()
    for hook in hooks:
        hook.remove()
    x, delta = read
    return (x * (delta @ site.weight)).sum(dim=(0, 1)).reshape(site.units, site.run).sum(dim=1).numpy()


@pytest.mark.parametrize(
    ("make", "loss"),
    [(tiny.llama, next_token_loss), (tiny.gpt2, next_token_loss), (classifier, class_loss(LABELS))],
)
def test_one_backward_pass_gives_the_gradients_of_every_example(make, loss):
    model = make()
    sites = Both().sites(model, 8)
    found = mask_gradients(model, sites, BATCHES, loss)
    for site, gradient in zip(sites, found, strict=True):
        wanted = [ghost(model, site, single(b, row), loss) for b in BATCHES for row in range(len(b.rows))]
        np.testing.assert_allclose(gradient, np.stack(wanted), rtol=1e-3, atol=2e-6)
        assert np.abs(gradient).max() > 1e-4


def test_they_are_slopes_of_the_loss():
    model = tiny.llama().double()
    site, batch, step = Both().sites(model, 8)[0], BATCHES[0], 1e-2

    def value(mask):
        columns = torch.from_numpy(mask).repeat_interleave(site.run)
        hook = model.get_submodule(site.name).register_forward_pre_hook(lambda m, x: (x[0] * columns,))
        with torch.no_grad():
            out = next_token_loss(model, batch).double().numpy()
        hook.remove()
        return out

    (found,) = mask_gradients(model, [site], [batch], next_token_loss)
    for unit in range(site.units):
        bump = np.eye(site.units)[unit] * step
        slope = (value(1 + bump) - value(1 - bump)) / (2 * step)
        np.testing.assert_allclose(found[:, unit], slope, rtol=1e-2, atol=1e-3)


def test_losses_of_examples():
    model, batch = tiny.llama(), BATCHES[0]
    with torch.no_grad():
        found = next_token_loss(model, batch)
        for row in range(3):
            one = single(batch, row)
            torch.testing.assert_close(found[row], model(one.ids, labels=one.ids).loss)
        model = classifier()
        found = class_loss(LABELS)(model, BATCHES[1])
        wanted = -model(BATCHES[1].ids).logits.log_softmax(-1)[[0, 1], LABELS[3:5]]
    torch.testing.assert_close(found, wanted)


def test_nothing_is_left_behind():
    model = tiny.llama().requires_grad_(True)
    mask_gradients(model, Both().sites(model, 8), BATCHES, next_token_loss)
    assert all(tensor.requires_grad and tensor.grad is None for tensor in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_inference_mode_does_not_hinder():
    model = tiny.llama()
    sites = Both().sites(model, 8)
    with torch.no_grad():
        found = mask_gradients(model, sites, BATCHES, next_token_loss)
    assert np.abs(found[0]).max() > 0
    with torch.inference_mode(), pytest.raises(InputError, match="inside of torch.inference_mode"):
        mask_gradients(model, sites, BATCHES, next_token_loss)


def test_bad_input():
    model = tiny.bert()
    with pytest.raises(InputError, match="predicts no tokens: load it with its language-model head, or give labels"):
        next_token_loss(model, BATCHES[0])
    with pytest.raises(InputError, match="no logits of classes"):
        class_loss(LABELS)(model, BATCHES[0])
    with pytest.raises(InputError, match="labels from 0 to 3 for a classifier of 2 classes"):
        class_loss(np.array([0, 3, 0]))(classifier(), BATCHES[0])
    with pytest.raises(InputError, match="3 labels for sequence 4"):
        class_loss(np.array([0, 1, 0]))(classifier(), BATCHES[1])
    sick = tiny.llama()
    sick.lm_head.weight[5] = torch.inf
    with pytest.raises(InputError, match=r"o_proj: gradients are NaN or infinite"):
        mask_gradients(sick, Both().sites(sick, 8), BATCHES, next_token_loss)
