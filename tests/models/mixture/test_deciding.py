import math

import pytest
import torch
from tests.merge.mixture.small import built, family, kept, logits
from tests.models.pruned import tiny
from torch.func import functional_call, jvp

from harmonia.core.errors import InputError
from harmonia.maths.topk_softmax import topk_softmax
from harmonia.merge.routing import Ppl, Random, SequenceLinear, TaskVector
from harmonia.models.mixture.deciding import perplexity_scores


def nats(model, row):
    with torch.no_grad():
        return model(input_ids=row, labels=row).loss


def test_perplexities_by_hand():
    mean = torch.tensor([[2.0, 1.0, 1.5, 3.0]])
    assert torch.exp(mean)[0].tolist() == pytest.approx([7.389056, 2.718282, 4.481689, 20.085537], rel=1e-6)
    inverse = perplexity_scores(mean, "inv_ppl")
    assert topk_softmax(inverse, 2)[0].tolist() == pytest.approx([0, 0.536124, 0.463876, 0], abs=1e-6)
    sharp = topk_softmax(perplexity_scores(mean, "neg_nll"), 2)[0]
    assert sharp.tolist() == pytest.approx([0, 0.622459, 0.377541, 0], abs=1e-6)
    assert topk_softmax(torch.tensor([1.0, 0.0]), 2).max() == pytest.approx(math.e / (1 + math.e))


def test_scores_are_perplexities_of_the_experts_on_the_first_tokens(tmp_path):
    models, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, Ppl(score="neg_nll", ppl_tokens=4, shared="nothing"))
    batch = tiny.batch((7, 5, 3))
    scores, held = mixture.decision(mixture, batch.ids, batch.mask)
    for row, length in enumerate((4, 4, 3)):
        expected = [-nats(model, batch.ids[row : row + 1, :length]) for model in models[1:]]
        torch.testing.assert_close(scores[row], torch.stack(expected), rtol=1e-5, atol=1e-5)
    assert held is None  # a row is padded within the tokens that were read


def gradient_cosines(mixture, models, row, names):
    base = models[0].double()
    tensors = {name: tensor.detach().requires_grad_(True) for name, tensor in base.named_parameters()}
    loss = functional_call(base, tensors, kwargs={"input_ids": row, "labels": row}).loss
    found = torch.autograd.grad(loss, [tensors[name] for name in names])
    g = torch.cat([each.flatten() for each in found])
    ways = [torch.cat([(tensors[n] - m.double().state_dict()[n]).flatten() for n in names]) for m in models[1:]]
    return torch.stack([torch.cosine_similarity(g, way, dim=0) for way in ways]).detach(), g, ways


@pytest.mark.parametrize("routing", [TaskVector(shared="nothing"), TaskVector(shared="nothing", layers=1)])
def test_cosines_agree_with_gradients_in_float64(tmp_path, routing):
    models, (base, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, routing, base=base)
    names = [f"{name}.weight" for name in mixture.decision.linears(mixture)]
    assert len(names) == 7 * (routing.layers or 2)
    batch = tiny.batch((7, 5))
    with torch.inference_mode():
        scores, _ = mixture.decision(mixture, batch.ids, batch.mask)
    for row, length in enumerate((7, 5)):
        expected, _, _ = gradient_cosines(mixture, models, batch.ids[row : row + 1, :length], names)
        torch.testing.assert_close(scores[row].double(), expected, rtol=1e-3, atol=1e-5)
    assert (scores.abs() <= 1).all()


def test_a_product_is_the_derivative_of_the_loss_along_the_way(tmp_path):
    models, _ = family(tmp_path, experts=1)
    base, names = models[0].double(), [n for n, _ in models[0].named_parameters() if "proj" in n]
    row = tiny.batch((6,)).ids
    _, g, (way,) = gradient_cosines(None, models, row, names)
    held = {name: tensor.detach() for name, tensor in base.named_parameters()}
    step = {n: held[n] - models[1].double().state_dict()[n] for n in names}

    def loss(moved):
        return functional_call(base, held | moved, kwargs={"input_ids": row, "labels": row}).loss

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        _, derivative = jvp(loss, ({n: held[n] for n in names},), (step,))
    torch.testing.assert_close(derivative.double(), g @ way, rtol=1e-4, atol=1e-6)


def stepped(tmp_path, batch, name, sign=1, rate=0.05):
    """Return an expert that one gradient step on a text made, over the linear layers."""
    model = tiny.llama()
    for n, tensor in model.named_parameters():
        tensor.requires_grad_("proj" in n)
    model(input_ids=batch.ids, labels=batch.ids).loss.backward()
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.grad is not None:
                tensor.sub_(sign * rate * tensor.grad)
    return kept(model, tmp_path / name)


def test_one_gradient_step_on_the_very_text_has_cosine_one(tmp_path):
    batch, other = tiny.batch((8,)), tiny.batch((8,), seed=5)
    experts = [
        stepped(tmp_path, batch, "right"),
        stepped(tmp_path, batch, "wrong", sign=-1),
        stepped(tmp_path, batch, "further", rate=0.5),
        stepped(tmp_path, other, "other"),
    ]
    base = kept(tiny.llama(), tmp_path / "base")
    mixture = built(tmp_path, [base, *experts], TaskVector(top_k=1), base=base)
    assert mixture.record.anchor == 0 and not len(mixture._base)
    scores, _ = mixture.decision(mixture, batch.ids, batch.mask)
    assert scores[0, :4].tolist() == pytest.approx([0, 1, -1, 1], abs=1e-3)
    assert scores[0, 4] < 0.9


def test_a_sequence_gate_sees_neither_order_nor_padding(tmp_path):
    _, (_, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, Random(shared="embed-head"))
    batch = tiny.batch((6,))
    scores = mixture.decision(mixture, batch.ids, batch.mask)[0]
    turned = mixture.decision(mixture, batch.ids.flip(1), batch.mask)[0]
    longer = mixture.decision(
        mixture, torch.nn.functional.pad(batch.ids, (2, 3), value=9), torch.nn.functional.pad(batch.mask, (2, 3))
    )[0]
    torch.testing.assert_close(turned, scores, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(longer, scores, rtol=1e-5, atol=1e-5)
    expected = mixture.gates()[0].float() @ mixture.embedding[batch.ids[0]].mean(dim=0)
    torch.testing.assert_close(scores[0], expected)


def test_a_mixture_of_probabilities_is_one(tmp_path):
    models, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, Ppl(mix="logprob", shared="nothing", score="neg_nll"))
    batch = tiny.batch((6,))
    with torch.no_grad():
        out = mixture(input_ids=batch.ids)
    expected = sum(w * logits(m, batch).softmax(dim=-1) for w, m in zip(out.weights[0], models[1:], strict=True))
    torch.testing.assert_close(out.logits.exp(), expected)


def test_trunk_is_a_weighted_mean_of_logits_under_one_head(tmp_path):
    _, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, Ppl())
    batch = tiny.batch((6,))
    with torch.no_grad():
        out = mixture(input_ids=batch.ids)
        alone = [mixture(input_ids=batch.ids, weights=torch.eye(3)[[i]]).logits for i in range(3)]
    expected = sum(w * each for w, each in zip(out.weights[0], alone, strict=True))
    torch.testing.assert_close(out.logits, expected, rtol=1e-4, atol=1e-5)


def test_bad_input_is_named(tmp_path):
    _, (base, *experts) = family(tmp_path)
    one = torch.tensor([[5]])
    for routing, message in (
        (Ppl(), "perplexity routing needs at least two tokens"),
        (TaskVector(), "task-vector routing"),
    ):
        mixture = built(tmp_path, experts, routing, base=base, name=routing.kind)
        with pytest.raises(InputError, match=message):
            mixture(input_ids=one)
    mixture = built(tmp_path, experts, Ppl(), name="masked")
    with pytest.raises(InputError, match="perplexity routing needs at least two tokens"):
        mixture(input_ids=torch.tensor([[5, 6, 7]]), attention_mask=torch.zeros(1, 3, dtype=torch.long))
    mixture.trunks[1].model.layers[0].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="expert m2 has no finite perplexity on the prompt"):
        mixture(input_ids=torch.tensor([[5, 6, 7]]))


def test_a_linear_router_is_differentiable(tmp_path):
    _, (_, *experts) = family(tmp_path)
    from tests.merge.mixture.small import TRIPLE

    mixture = built(tmp_path, experts, SequenceLinear(steps=0), examples=TRIPLE)
    gate = mixture.gates()[0].requires_grad_(True)
    batch = tiny.batch((6,))
    mixture(input_ids=batch.ids, labels=batch.ids).loss.backward()
    assert gate.grad.abs().sum() > 0
