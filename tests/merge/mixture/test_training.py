import pytest
import torch
from tests.merge.mixture.small import TRIPLE, built, family, kept
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.merge.bridging import Projector
from harmonia.merge.mixture.training import imbalance, loss_of, train
from harmonia.merge.routing import Ppl, Random, SequenceLinear, TokenLinear, UniformRandom


def whole_loss(mixture):
    with torch.no_grad():
        batches = [batch for batches in TRIPLE.positive for batch in batches]
        return float(sum(loss_of(mixture, batch.ids, batch.mask, 0.0) for batch in batches)) / len(batches)


@pytest.mark.parametrize(
    "routing", [TokenLinear(steps=40, learning_rate=0.05), SequenceLinear(steps=40, learning_rate=0.5)]
)
def test_only_gates_move_and_the_loss_falls(tmp_path, routing):
    _, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, routing, examples=TRIPLE)
    begun = built(tmp_path, experts, routing.model_copy(update={"steps": 0}), examples=TRIPLE, name="begun")
    assert whole_loss(mixture) < whole_loss(begun) - 1e-3
    before = {(owner, name): tensor for owner, name, tensor in begun.named()}
    for owner, name, tensor in mixture.named():
        assert torch.equal(tensor, before[owner, name]) == (owner != "router")


def test_the_trainer_of_transformers_does_what_the_loop_does(tmp_path):
    _, (_, *experts) = family(tmp_path, moved=0.3)
    gates = []
    for trainer in ("loop", "hf"):
        routing = TokenLinear(steps=5, learning_rate=0.01, trainer=trainer)
        gates.append(built(tmp_path, experts, routing, examples=TRIPLE, name=trainer).gates())
    for ours, theirs in zip(*gates, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_projectors_are_trained_with_the_gate(tmp_path):
    experts = [kept(tiny.llama(seed=i, hidden=w), tmp_path / f"e{i}") for i, w in enumerate((32, 48, 32))]
    routing = SequenceLinear(steps=30, learning_rate=0.01)
    mixture = built(tmp_path, experts, routing, examples=TRIPLE, bridging=Projector())
    begun = built(tmp_path, experts, Ppl(), bridging=Projector(), name="begun")
    assert whole_loss(mixture) < whole_loss(begun)
    moved = {n: t for o, n, t in mixture.named() if o == "bridge"}
    assert all(not torch.equal(t, moved[n]) for o, n, t in begun.named() if o == "bridge")


def test_everything_can_be_trained(tmp_path):
    _, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, Random())
    before = {(o, n): t.clone() for o, n, t in mixture.named()}
    losses = train(mixture, TRIPLE.positive, steps=12, learning_rate=0.01, everything=True)
    assert len(losses) == 12 and losses[-1] < losses[0]
    moved = [not torch.equal(t, before[o, n]) for o, n, t in mixture.named()]
    assert sum(moved) >= len(moved) - 12  # an expert that no token was sent to stays
    assert not any(parameter.requires_grad for parameter in mixture.parameters())


def test_imbalance_is_one_for_equal_shares_and_l_for_one_expert(tmp_path):
    _, (_, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, Random(top_k=1))
    batch = tiny.batch((9, 5))
    for gate in mixture.gates():
        gate.data.zero_()
    mixture(input_ids=batch.ids, attention_mask=batch.mask)
    assert float(imbalance(mixture, batch.ids, batch.mask)) == pytest.approx(1)
    for layer in mixture.feed_forwards:
        layer.scores = torch.tensor([100.0, 0, 0]).expand(*batch.ids.shape, 3)
    assert float(imbalance(mixture, batch.ids, batch.mask)) == pytest.approx(3)


def test_balance_evens_out_what_one_expert_takes(tmp_path):
    _, (_, *experts) = family(tmp_path)
    shares = []
    for balance in (0.0, 5.0):
        mixture = built(tmp_path, experts, UniformRandom(), name=f"b{balance}")
        train(mixture, TRIPLE.positive, steps=40, learning_rate=0.02, balance=balance)
        batch = tiny.batch((12, 12))
        mixture(input_ids=batch.ids)
        shares.append(float(imbalance(mixture, batch.ids, batch.mask)))
    assert shares[1] < shares[0]


def test_bad_input_is_named(tmp_path):
    _, (_, *experts) = family(tmp_path)
    with pytest.raises(InputError, match="routing.top_k=1 gives whatever is chosen the weight 1"):
        built(tmp_path, experts, TokenLinear(top_k=1), examples=TRIPLE)
    mixture = built(tmp_path, experts, Ppl())
    with pytest.raises(InputError, match="nothing to train: this mixture has neither gates nor projectors"):
        train(mixture, TRIPLE.positive, steps=1)
    gated = built(tmp_path, experts, Random(), name="gated")
    with pytest.raises(InputError, match="no texts to train on"):
        train(gated, [[], []], steps=1)
    gated.model.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="the loss of update 1 is not finite: lower routing.learning_rate"):
        train(gated, TRIPLE.positive, steps=1)
