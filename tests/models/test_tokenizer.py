import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.models.tokenizer import END, encode, load_tokenizer, pack, save_tokenizer, train_tokenizer

CORPUS = [f"the court of {word} held that the {word} is {i}" for i, word in enumerate(["appeal", "law", "état"] * 7)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CORPUS, 280)


def test_ids_cover_bytes_and_the_end_comes_first(tokenizer):
    assert tokenizer.get_vocab_size() == 280
    assert tokenizer.token_to_id(END) == 0
    assert sorted(tokenizer.get_vocab().values()) == list(range(280))


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back(text):
    tokenizer = train_tokenizer(CORPUS, 270)
    assert tokenizer.decode(encode(tokenizer, [text])[0].tolist(), skip_special_tokens=False) == text


def test_merges_shorten_text(tokenizer):
    (tokens,) = encode(tokenizer, CORPUS[:1])
    assert len(tokens) < len(CORPUS[0].encode()) / 2


def test_order_of_texts_and_process_do_not_matter(tokenizer):
    assert train_tokenizer(CORPUS[::-1], 280).to_str() == tokenizer.to_str()
    program = (
        "from harmonia.models.tokenizer import train_tokenizer\n"
        f"print(train_tokenizer({CORPUS!r}, 280).to_str(), end='')"
    )
    fresh = subprocess.run([sys.executable, "-X", "utf8", "-c", program], capture_output=True, check=True)
    assert fresh.stdout.decode() == tokenizer.to_str()


def test_pack_ends_every_text(tokenizer):
    a, b = encode(tokenizer, CORPUS[:2])
    assert pack(tokenizer, CORPUS[:2]).tolist() == [*a, 0, *b, 0]
    assert pack(tokenizer, CORPUS, block=2).tolist() == pack(tokenizer, CORPUS).tolist()
    assert pack(tokenizer, []).dtype == np.int32


def test_a_text_that_spells_the_end_does_not_end(tokenizer):
    (tokens,) = encode(tokenizer, [f"a{END}b"])
    assert 0 not in tokens
    assert tokenizer.decode(tokens.tolist()) == f"a{END}b"


def test_saved_and_loaded_here_and_by_transformers(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    save_tokenizer(tokenizer, tmp_path, context=64)
    text = "the law of état,  twice\n"
    tokens = encode(tokenizer, [text])[0].tolist()
    assert encode(load_tokenizer(tmp_path), [text])[0].tolist() == tokens
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(text)["input_ids"] == tokens
    assert theirs.decode(tokens) == text
    assert (theirs.eos_token_id, theirs.model_max_length) == (0, 64)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(InputError, match="vocab_size 256 is below 257"):
        train_tokenizer(CORPUS, 256)
    with pytest.raises(InputError, match="every document is empty"):
        train_tokenizer(["", ""], 300)
    with pytest.raises(InputError, match=r"holds no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="is not a tokenizer"):
        load_tokenizer(tmp_path)
