import pytest
import torch
from tests.merge.mixture.small import TRIPLE, built, kept, logits, shown
from tests.models.pruned import tiny

from harmonia.merge.routing import (
    CheapEmbed,
    HiddenPrompt,
    Ppl,
    Random,
    RidgeRouter,
    SequenceLinear,
    TaskVector,
    TokenLinear,
    UniformRandom,
)

SEQUENCE = [
    Ppl(shared=shared, mix=mix, top_k=k)
    for shared in ("non-ffn", "non-ffn-non-attn", "embed-head", "nothing")
    for mix in ("trunk", "layer", "logprob")
    for k in (1, 2)
]
OTHERS = [
    TokenLinear(steps=2),
    HiddenPrompt(),
    HiddenPrompt(tokens="mean", state="ffn", top_k=1),
    CheapEmbed(),
    CheapEmbed(shared="embed-head"),
    Random(top_k=3),
    Random(shared="nothing"),
    UniformRandom(),
    RidgeRouter(),
    RidgeRouter(shared="embed-head", mix="layer"),
    SequenceLinear(steps=2),
    TaskVector(),
    TaskVector(shared="non-ffn", mix="layer", layers=1),
]


@pytest.mark.parametrize("routing", SEQUENCE + OTHERS, ids=lambda r: f"{r.kind}-{r.shared}-{r.mix}-{r.top_k}")
def test_equal_experts_are_one(tmp_path, routing):
    base = tiny.llama()
    experts = [kept(base, tmp_path / f"m{number}") for number in range(3)]
    mixture = built(tmp_path, experts, routing, base=kept(base, tmp_path / "base"), examples=TRIPLE)
    batch = tiny.batch()
    expected = logits(base, batch)
    if routing.mix == "logprob":
        expected = expected.log_softmax(dim=-1)
    torch.testing.assert_close(shown(logits(mixture, batch), batch), shown(expected, batch), rtol=0, atol=1e-5)
