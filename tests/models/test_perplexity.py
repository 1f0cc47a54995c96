# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.models.perplexity import next_token_nats, perplexity


def test_a_model_that_knows_nothing_has_the_size_of_the_vocabulary():
    model = tiny.llama()
    model.lm_head.weight.zero_()
    assert perplexity(model, [tiny.batch()]) == pytest.approx(tiny.WORDS, rel=1e-6)


def test_tokens_count_alike_whatever_their_batch_and_padding():
    model, whole = tiny.llama(), tiny.batch((9, 4))
    alone = [
        type(whole)(whole.rows[i : i + 1], whole.ids[i : i + 1, :n], whole.mask[i : i + 1, :n])
        for i, n in ((0, 9), (1, 4))
    ]
    nats, count = 0.0, 0
    for batch in alone:
        logits = tiny.output(model, batch)[0].double()
        nats -= sum(float(logits[t].log_softmax(-1)[batch.ids[0, t + 1]]) for t in range(len(logits) - 1))
        count += len(logits) - 1
    assert perplexity(model, [whole]) == pytest.approx(np.exp(nats / count), rel=1e-6)
    assert perplexity(model, alone) == pytest.approx(perplexity(model, [whole]), rel=1e-6)


def test_padding_costs_nothing():
    batch = tiny.batch((6, 3))
    nats = next_token_nats(torch.zeros(2, 6, 50), batch)
    assert nats.shape == (2, 5) and (nats[1, 2:] == 0).all()
    assert nats[0].tolist() == pytest.approx([np.log(50)] * 5)


def test_nothing_to_predict():
    with pytest.raises(InputError, match="at least two tokens"):
        perplexity(tiny.llama(), [tiny.batch((1,))])
    model = tiny.llama()
    model.lm_head.weight[0] = torch.nan
    with pytest.raises(InputError, match="losses that are not finite"):
        perplexity(model, [tiny.batch()])
