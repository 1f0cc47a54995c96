# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.models.embedding_agreement import embedding_agreement

TEXTS = [[3, 4, 5, 6], [7, 8], [9]]


def test_a_model_agrees_with_itself_and_with_its_trunk():
    model = tiny.bert(auto=transformers.AutoModelForSequenceClassification)
    assert embedding_agreement(model, model.bert, TEXTS) == pytest.approx(np.ones(3), abs=1e-6)


def test_the_cosine_of_the_mean_hidden_states():
    first, second = tiny.bert(seed=0), tiny.bert(seed=1)
    found = embedding_agreement(first, second, TEXTS)
    for text, cosine in zip(TEXTS, found, strict=True):
        ids = torch.tensor([text])
        with torch.no_grad():
            a, b = (model(ids).last_hidden_state[0].mean(0).double() for model in (first, second))
        assert cosine == pytest.approx(float(a @ b / (a.norm() * b.norm())), abs=1e-5)
    assert (np.abs(found) < 0.9).all()


def test_bad_input():
    model = tiny.bert()
    for texts in ([], [[3], []]):
        with pytest.raises(InputError, match="give at least one, and none without tokens"):
            embedding_agreement(model, model, texts)
    with pytest.raises(InputError, match="embeddings of 32 and 16 numbers"):
        embedding_agreement(model, tiny.bert(hidden=16), TEXTS)
    dead = tiny.bert()
    for layer in dead.encoder.layer:
        layer.output.LayerNorm.weight.zero_()
        layer.output.LayerNorm.bias.zero_()
    with pytest.raises(InputError, match="zero or not finite"):
        embedding_agreement(model, dead, TEXTS)
