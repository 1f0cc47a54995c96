# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.models.pruned import Cut, family_of, macs_per_token, parameters, sliced


def test_multiplications_by_hand():
    # attention 32 (32 + 16 + 16 + 32), feed-forward 3 * 32 * 48, twice; the head 32 * 50; scores and sums 2 * 10 * 32
    model = tiny.llama()
    assert macs_per_token(model, 10) == 2 * (32 * 96 + 3 * 32 * 48 + 2 * 10 * 32) + 32 * 50
    # a pooler works once for a sequence
    encoder = tiny.bert()
    assert macs_per_token(encoder, 10) == 2 * (4 * 32 * 32 + 2 * 32 * 48 + 2 * 10 * 32) + 32 * 32 / 10


def test_transposed_layers_count_alike():
    model = tiny.gpt2()
    assert macs_per_token(model, 3) == 2 * (4 * 32 * 32 + 2 * 32 * 128 + 2 * 3 * 32) + 32 * 50


def test_tied_parameters_count_once():
    assert parameters(tiny.llama()) - parameters(tiny.llama(tie_word_embeddings=True)) == 32 * tiny.WORDS


def test_cutting_saves_what_is_cut():
    model = tiny.llama()
    slot = family_of(model).slots(model)[1]
    smaller = sliced(model, {slot.name: Cut(np.arange(40))})
    assert macs_per_token(model, 4) - macs_per_token(smaller, 4) == 8 * 3 * 32
    assert parameters(model) - parameters(smaller) == 8 * 3 * 32


def test_no_length():
    with pytest.raises(InputError, match="length=0"):
        macs_per_token(tiny.llama(), 0)
