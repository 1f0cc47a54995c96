import numpy as np
import pytest
import torch
from tests.merge.mixture.small import TRIPLE, built, family, kept
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.merge.mixture.ridge_statistics import ridge_statistics
from harmonia.merge.routing import CheapEmbed, HiddenPrompt, Random, RidgeRouter, UniformRandom
from harmonia.merge.routing.examples import Examples
from harmonia.models.mixture.folder import write_router

LONG = Examples([[tiny.batch((20, 14), seed=seed), tiny.batch((9,), seed=seed + 9)] for seed in (1, 2, 3)])


def unit(rows):
    return torch.nn.functional.normalize(rows, dim=-1)


@pytest.mark.parametrize("tokens", ["last", "mean"])
@pytest.mark.parametrize("negative", [False, True])
def test_hidden_prompts_are_states_that_enter_layers(tmp_path, tokens, negative):
    (base, *_), (stored, *experts) = family(tmp_path)
    examples = Examples(LONG.positive, TRIPLE.positive if negative else ())
    mixture = built(tmp_path, experts, HiddenPrompt(tokens=tokens), base=stored, examples=examples)

    def mean(batches, layer):
        rows = []
        for batch in batches:
            for ids, mask in zip(batch.ids, batch.mask.bool(), strict=True):
                states = base(input_ids=ids[mask][None], output_hidden_states=True).hidden_states[layer][0]
                rows.append(states[-1] if tokens == "last" else states.mean(dim=0))
        return torch.stack(rows).mean(dim=0)

    for layer, gate in enumerate(mixture.gates()):
        expected = torch.stack([mean(batches, layer) for batches in examples.positive])
        if negative:
            expected -= torch.stack([mean(batches, layer) for batches in examples.negative])
        torch.testing.assert_close(gate.data, unit(expected), rtol=1e-4, atol=1e-5)


def test_the_state_that_a_gate_sees(tmp_path):
    (base, *_), (stored, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, HiddenPrompt(tokens="mean", state="ffn"), base=stored, examples=TRIPLE)
    seen = []
    hook = base.model.layers[1].mlp.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    rows = []
    for [batch] in TRIPLE.positive:
        each = []
        for ids, mask in zip(batch.ids, batch.mask.bool(), strict=True):
            base(input_ids=ids[mask][None])
            each.append(seen[-1][0].mean(dim=0))
        rows.append(torch.stack(each).mean(dim=0))
    hook.remove()
    torch.testing.assert_close(mixture.gates()[1].data, unit(torch.stack(rows)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shared", ["non-ffn", "embed-head"])
def test_cheap_embeddings_are_sums_of_embeddings(tmp_path, shared):
    _, (_, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, CheapEmbed(shared=shared), examples=LONG)
    expected = torch.stack(
        [sum(mixture.embedding[b.ids[b.mask.bool()]].sum(dim=0) for b in bs) for bs in LONG.positive]
    )
    assert len(mixture.gates()) == (2 if shared == "non-ffn" else 1)
    for gate in mixture.gates():
        torch.testing.assert_close(gate.data, unit(expected), rtol=1e-4, atol=1e-5)


def test_random_gates_have_their_distributions_and_seeds(tmp_path):
    _, (_, *experts) = family(tmp_path)
    normal, uniform, again, other = (
        torch.stack(built(tmp_path, experts, routing, seed=seed, name=f"{routing.kind}{number}").gates()).flatten()
        for number, (routing, seed) in enumerate(((Random(), 0), (UniformRandom(), 0), (Random(), 0), (Random(), 1)))
    )
    assert torch.equal(normal, again) and not torch.equal(normal, other)
    assert abs(float(normal.std()) - 1) < 0.2 and float(normal.abs().max()) > 2
    assert float(uniform.abs().max()) <= 32**-0.5 and abs(float(uniform.std()) - (32 * 3) ** -0.5) < 0.02


@pytest.mark.parametrize("shared", ["non-ffn", "embed-head"])
def test_ridge_gates_are_the_closed_form(tmp_path, shared):
    _, (_, *experts) = family(tmp_path)
    routing = RidgeRouter(shared=shared, ridge=0.01, sharpness=3.0)
    mixture = built(tmp_path, experts, routing, examples=LONG)
    H, Y = [[] for _ in mixture.gates()], []
    for expert, batches in enumerate(LONG.positive):
        for batch in batches:
            if shared == "non-ffn":
                states = mixture.gate_inputs(batch.ids, batch.mask, expert)
            else:
                states = [mixture.mean_embedding(batch.ids, batch.mask).detach()]
            for all_, rows in zip(H, states, strict=True):
                all_.append(rows.double().numpy())
            Y.append(np.eye(3)[[expert] * len(states[0])])
    for gate, parts in zip(mixture.gates(), H, strict=True):
        h, y = np.concatenate(parts), np.concatenate(Y)
        gram = h.T @ h
        lam = 0.01 * np.diag(gram).mean()
        expected = 3 * np.linalg.solve(gram + lam * np.eye(len(gram)), h.T @ y).T
        np.testing.assert_allclose(gate.detach().numpy(), expected, rtol=1e-3, atol=1e-4)


def test_an_expert_that_comes_later_adds_a_column(tmp_path):
    _, (_, *experts) = family(tmp_path)
    two = Examples(LONG.positive[:2])
    # what is shared stays as it was: the first expert's, since the others count 0
    whole = built(tmp_path, experts, RidgeRouter(), examples=LONG, counts=[1, 0, 0])
    part = built(tmp_path, experts[:2], RidgeRouter(), examples=two, counts=[1, 0], name="part")
    sums = ridge_statistics(part, two)
    for batch in LONG.positive[2]:
        for each, rows in zip(sums, whole.gate_inputs(batch.ids, batch.mask, 2), strict=True):
            each.add_class(rows, 2)
    for gate, each in zip(whole.gates(), sums, strict=True):
        np.testing.assert_allclose(gate.detach().numpy(), 10 * each.solve(1e-3).T, rtol=1e-3, atol=1e-4)


def test_ridge_gates_send_texts_to_their_own_expert(tmp_path):
    """Three domains of words of their own."""
    base = tiny.llama()
    experts = [kept(base, tmp_path / f"e{i}") for i in range(3)]
    draw = torch.Generator().manual_seed(0)

    def texts(first):
        batch = tiny.batch((16,) * 40)
        batch.ids[:] = torch.randint(first, first + 15, (40, 16), generator=draw)
        return [batch]

    for shared in ("non-ffn", "embed-head"):
        routing = RidgeRouter(top_k=1, shared=shared)
        mixture = built(tmp_path, experts, routing, examples=Examples([texts(i) for i in (5, 20, 35)]), name=shared)
        for expert, first in enumerate((5, 20, 35)):
            [batch] = texts(first)
            weights = mixture(input_ids=batch.ids).weights
            share = weights.flatten(0, -2)[:, expert].mean()
            assert share > (0.9 if shared == "embed-head" else 0.75)


def test_a_router_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(InputError, match="a of the router came out as NaN or infinite"):
        write_router(tmp_path, {"a": torch.tensor([float("inf")])})
