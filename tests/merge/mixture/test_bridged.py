import pytest
import torch
from tests.merge.mixture.small import PAIR, built, kept, logits, shown
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import open_checkpoint
from harmonia.merge.bridging import Projector
from harmonia.merge.mixture.bridged import Ends, padded_mean
from harmonia.merge.routing import Ppl, Random, RidgeRouter, SequenceLinear, TaskVector, TokenLinear
from harmonia.merge.routing.examples import Examples
from harmonia.merge.weights import Ties
from harmonia.models.mixture.bridge import identity
from harmonia.models.mixture.folder import load, save

CLOSED = Projector(init="least-squares")


def two(tmp_path, **options):
    """Return experts of widths 32 and 24."""
    models = [tiny.llama(seed=1, **options), tiny.llama(hidden=24, size=6, neurons=40, layers=3, seed=2, **options)]
    return models, [kept(model, tmp_path / f"w{number}") for number, model in enumerate(models)]


@pytest.mark.parametrize("tied", [False, True])
def test_in_closed_form_a_single_expert_is_recovered(tmp_path, tied):
    model = tiny.llama(tie_word_embeddings=tied)
    mixture = built(tmp_path, [kept(model, tmp_path / "e")], Ppl(top_k=1), bridging=CLOSED)
    batch = tiny.batch()
    found, expected = (shown(logits(each, batch), batch) for each in (mixture, model))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_with_identities_a_single_expert_is_itself(tmp_path):
    model = tiny.llama()
    mixture = built(tmp_path, [kept(model, tmp_path / "e")], Ppl(top_k=1), bridging=CLOSED)
    into, out = identity(32, 32)
    mixture.bridge.into[0][0].weight.data, mixture.bridge.out[0][0].weight.data = into, out
    batch = tiny.batch((7,))
    torch.testing.assert_close(logits(mixture, batch), logits(model, batch), rtol=0, atol=0)


def test_padded_columns_hold_the_mass_of_wider_experts_over_all_of_them():
    wide, narrow = torch.randn(5, 4), torch.randn(5, 3)
    by_all, by_some = (padded_mean([wide, narrow], how) for how in ("experts", "contributors"))
    torch.testing.assert_close(by_all[:, 3], wide[:, 3] / 2)
    torch.testing.assert_close(by_some[:, 3], wide[:, 3])
    torch.testing.assert_close(by_all[:, :3], (wide[:, :3] + narrow) / 2)
    torch.testing.assert_close(by_some[:, :3], by_all[:, :3])


@pytest.mark.parametrize("tied", [False, True])
def test_closed_forms_are_nearest_in_least_squares(tmp_path, tied):
    models, experts = two(tmp_path, tie_word_embeddings=tied)
    ends = Ends.of(experts, tied, "experts")
    maps = ends.least_squares()
    assert (ends.head is ends.embedding) == tied and ends.widths == (32, 24) and ends.width == 32
    for i, model in enumerate(models):
        into, out = maps[f"{i}.in.0.weight"], maps[f"{i}.out.0.weight"]
        assert into.shape == (ends.widths[i], 32) and out.shape == (32, ends.widths[i])
        for shared, found, wanted in (
            (ends.embedding, into.T, model.model.embed_tokens.weight),
            (ends.head, out, model.lm_head.weight),
        ):
            residual = shared @ found - wanted
            torch.testing.assert_close(shared.T @ residual, torch.zeros(32, ends.widths[i]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "routing", [Ppl(), Ppl(mix="logprob"), RidgeRouter(shared="embed-head"), SequenceLinear(steps=3)]
)
@pytest.mark.parametrize("bridging", [CLOSED, Projector(), Projector(layers=1, average="contributors")])
def test_experts_of_two_widths_run_generate_and_come_back(tmp_path, routing, bridging):
    _, experts = two(tmp_path)
    mixture = built(tmp_path, experts, routing, bridging=bridging, examples=PAIR)
    assert not any(parameter.requires_grad for parameter in mixture.parameters())
    batch = tiny.batch((6, 6))
    assert torch.isfinite(logits(mixture, batch)).all()
    new = mixture.generate(batch.ids.tolist(), 3, end=[])
    save(mixture, tmp_path / "again", tmp_path / "mixture")
    again = load(tmp_path / "again")
    assert (
        torch.equal(logits(mixture, batch), logits(again, batch))
        and again.generate(batch.ids.tolist(), 3, end=[]) == new
    )
    for text, more in zip(batch.ids, new, strict=True):
        with torch.no_grad():
            weights = mixture.route(text[None], torch.ones(1, 6, dtype=torch.long))[0]
            whole = torch.cat([text, torch.tensor(more[:-1])])[None]
            out = mixture(input_ids=whole, weights=weights).logits[0, 5:].argmax(dim=-1)
        assert out.tolist() == more


def test_drawn_projectors_depend_on_the_seed_alone(tmp_path):
    _, experts = two(tmp_path)
    ends = Ends.of(experts, False, "experts")
    one, same, other = (Projector().projectors(ends, ["a", "b"], seed) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one) and len(one) == 2 * 2 * 2 * 2
    assert not any(torch.equal(one[name], other[name]) for name in one)
    assert [one[f"1.in.{i}.weight"].shape for i in (0, 1)] == [(32, 32), (24, 32)]


def test_what_cannot_be_bridged_is_named(tmp_path):
    _, experts = two(tmp_path)

    def refused(match, routing, experts=experts, **options):
        with pytest.raises(InputError, match=match):
            built(tmp_path, experts, routing, bridging=CLOSED, examples=PAIR, name="refused", **options)

    refused("decides for every token, and experts of several widths cannot share attention", TokenLinear())
    refused("routing.shared=non-ffn: experts of several widths share embedding and head", Random())
    refused("routing.mix=layer needs layers of one width", Ppl(mix="layer"))
    refused("routing=task-vector needs one base for all", TaskVector())
    refused("weights=ties: embeddings of several widths", Ppl(), rule=Ties(), base=experts[0])
    short = tiny.llama()
    short.resize_token_embeddings(40)
    short.save_pretrained(tmp_path / "short")
    refused(
        "vocabularies of 50, 40 words: bridging joins widths", Ppl(), [experts[0], open_checkpoint(tmp_path / "short")]
    )


def test_examples_are_counted(tmp_path):
    with pytest.raises(InputError, match="examples of 1 experts for 2"):
        Examples([[tiny.batch()]]).check(2)
    with pytest.raises(InputError, match="negative examples of 1 experts for 2"):
        Examples([[tiny.batch()]] * 2, [[tiny.batch()]]).check(2)
