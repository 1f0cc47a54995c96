# ruff: noqa: E402
import dataclasses

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.compress.calibration import calibrate, held_out
from harmonia.compress.gradients import next_token_loss
from harmonia.compress.structure import Both, Heads, Neurons
from harmonia.core.errors import InputError
from harmonia.models.pruned import Cut, sliced

BATCHES = [tiny.batch((9, 5, 3)), tiny.batch((4, 4), first=3), tiny.batch((8,), first=5)]


def inputs_of(model, site, batches, rows=None):
    """Return what the consumer reads at the tokens of these sequences, in float64: (N, d)."""
    found = []
    for batch in batches:
        read = []
        hook = model.get_submodule(site.name).register_forward_pre_hook(lambda m, x, read=read: read.append(x[0]))
        tiny.output(model, batch)
        hook.remove()
        chosen = batch.mask.bool()
        if rows is not None:
            chosen = chosen & torch.from_numpy(np.isin(batch.rows, rows))[:, None]
        found.append(read[0][chosen])
    return torch.cat(found).double().numpy()


@pytest.mark.parametrize("make", [tiny.bert, tiny.gpt2, tiny.llama])
def test_moments_are_those_of_the_consumers_inputs(make):
    model = make()
    sites = Both().sites(model, 8)
    seen = list(calibrate(model, sites, BATCHES, seed=0, held=0))
    assert [site.name for site, _ in seen] == [site.name for site in sites]
    for site, here in seen:
        x = inputs_of(model, site, BATCHES)
        assert here.fit.count == len(x) == 33 and here.fit.sequences == 6 and here.held is None
        np.testing.assert_allclose(here.fit.mean, x.mean(axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(here.fit.gram, x.T @ x, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(here.fit.variance, x.var(axis=0, ddof=1), rtol=1e-4, atol=1e-7)
        assert here.gradients is None and here.slices == {}


def test_sequences_that_are_held_out_are_seen_apart():
    model = tiny.llama()
    site = Neurons().sites(model, 8)[1]
    ((_, seen),) = calibrate(model, [site], BATCHES, seed=3, held=0.34)
    apart = held_out(BATCHES, 0.34, seed=3)
    assert len(apart) == 2
    for moments, rows in ((seen.fit, np.setdiff1d(np.arange(6), apart)), (seen.held, apart)):
        x = inputs_of(model, site, BATCHES, rows)
        assert moments.count == len(x) and moments.sequences == len(rows)
        np.testing.assert_allclose(moments.gram, x.T @ x, rtol=1e-4, atol=1e-4)


def test_what_is_held_out_does_not_depend_on_batches():
    whole = tiny.batch((3,) * 6)
    for seed in range(5):
        assert held_out([whole], 0.5, seed).tolist() == held_out(BATCHES[::-1], 0.5, seed).tolist()
    assert len({tuple(held_out([whole], 0.5, seed)) for seed in range(9)}) > 3
    assert held_out([whole], 0.1, 0).tolist() == []
    with pytest.raises(InputError, match=r"held=1: .* lies in \[0, 1\)"):
        held_out([whole], 1.0, 0)


def test_the_same_tokens_give_the_same_bits():
    model = tiny.llama()
    sites = Both().sites(model, 8)
    first, second = (list(calibrate(model, sites, BATCHES, seed=0)) for _ in range(2))
    for (_, a), (_, b) in zip(first, second, strict=True):
        assert a.fit.gram.tobytes() == b.fit.gram.tobytes() and a.fit.mean.tobytes() == b.fit.mean.tobytes()


def test_blocks_are_handed_over_one_by_one_and_no_hook_stays():
    model = tiny.llama(layers=3)
    sites = Both().sites(model, 8)
    worked = []
    hooks = [
        block.register_forward_hook(lambda m, x, y, layer=layer: worked.append(layer))
        for layer, block in enumerate(model.model.layers)
    ]
    steps = calibrate(model, sites, BATCHES, seed=0)
    assert next(steps)[0].layer == 0
    assert worked == [0, 0, 0]
    steps.close()
    # no further than the last site
    worked.clear()
    list(calibrate(model, sites[:4], BATCHES, seed=0))
    assert worked == [0, 0, 0, 1, 1, 1]
    for hook in hooks:
        hook.remove()
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_gradients_and_slices_come_where_they_are_read():
    model = tiny.llama()
    sites = Both().sites(model, 8)
    seen = [here for _, here in calibrate(model, sites, BATCHES, seed=0, reads=("gradients",), loss=next_token_loss)]
    assert [here.gradients.shape for here in seen] == [(6, site.units) for site in sites]
    assert all(here.slices == {} for here in seen)
    seen = [here for _, here in calibrate(model, sites, BATCHES, seed=0, reads=("slices",), loss=next_token_loss)]
    assert all(set(here.slices) == {"element1", "vector", "taylor2", "mix"} for here in seen)
    assert all(here.gradients is None for here in seen)
    seen = [here for _, here in calibrate(model, sites, BATCHES, seed=0, reads=("norms",))]
    assert all(len(here.slices) == 8 for here in seen[::2]) and all(len(here.slices) == 6 for here in seen[1::2])


def test_score_cut_and_repair_from_what_was_seen():
    """The whole way with the plainest parts: keep the neurons of most variance, and repair the mean."""
    model = tiny.llama(seed=2)
    sites = Neurons().sites(model, 8)
    cuts = {}
    for site, seen in calibrate(model, sites, BATCHES, seed=0, held=0):
        score = seen.fit.variance * site.weight.double().square().sum(dim=0).numpy()
        kept = np.sort(np.argsort(-score, kind="stable")[: site.units // 2])
        gone = np.setdiff1d(np.arange(site.units), kept)
        bias = site.weight.double().numpy()[:, gone] @ seen.fit.mean[gone]
        cuts[site.name] = Cut(kept, None, bias)
    smaller = sliced(model, cuts)
    plain = sliced(model, {name: dataclasses.replace(cut, bias=None) for name, cut in cuts.items()})
    wanted = [tiny.output(model, batch)[batch.mask.bool()] for batch in BATCHES]
    errors = [
        sum(float((tiny.output(m, b)[b.mask.bool()] - w).square().sum()) for b, w in zip(BATCHES, wanted, strict=True))
        for m in (smaller, plain)
    ]
    assert 0 < errors[0] < errors[1]


def test_bad_input():
    model = tiny.llama()
    sites = Heads().sites(model, 8)

    def run(batches, **options):
        return list(calibrate(options.pop("model", model), sites, batches, seed=0, **options))

    with pytest.raises(InputError, match="no tokens to calibrate on: give at least one sequence"):
        run([])
    empty = tiny.batch()
    empty.mask.zero_()
    with pytest.raises(InputError, match="every token is masked as padding"):
        run([empty])
    half = tiny.batch((4, 4))
    half.mask[np.setdiff1d([0, 1], held_out([half], 0.5, 0))[0]] = 0
    with pytest.raises(InputError, match="no tokens to fit repairs on"):
        run([half], held=0.5)
    for reads in ("gradients", "slices"):
        with pytest.raises(InputError, match="criterion needs gradients, and there is no loss"):
            run(BATCHES, reads=(reads,))
    with pytest.raises(InputError, match="float16 on the CPU"):
        run(BATCHES, model=tiny.llama().half())
    sick = tiny.llama()
    sick.model.layers[1].self_attn.v_proj.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"model.layers.1.self_attn.o_proj: activations are NaN or infinite"):
        run(BATCHES, model=sick)
    pieces = tiny.bert(chunk_size_feed_forward=1)
    with pytest.raises(InputError, match="chunk_size_feed_forward=0"):
        run(BATCHES, model=pieces)
    with torch.device("meta"):
        nothing = tiny.llama()
    with pytest.raises(InputError, match="meta device"):
        run(BATCHES, model=nothing)


def test_bfloat16_activations_are_summed_in_float32():
    model = tiny.llama().to(torch.bfloat16)
    site = Neurons().sites(model, 8)[0]
    ((_, seen),) = calibrate(model, [site], BATCHES, seed=0, held=0)
    x = inputs_of(model, site, BATCHES)
    np.testing.assert_allclose(seen.fit.gram, x.T @ x, rtol=1e-4, atol=1e-4)
