"""Static token vectors from a folder: the mean by hand, and every way a folder can be wrong."""

import importlib.util

import numpy as np
import pytest
from safetensors.numpy import save_file

from harmonia.core.errors import InputError
from harmonia.data.catalogue.wheels import cache_folder
from harmonia.select.features.static import Static

tokenizers = pytest.importorskip("tokenizers")

TABLE = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 4]], np.float16)


@pytest.fixture
def folder(tmp_path):
    vocabulary = {"<unk>": 0, "red": 1, "green": 2, "blue": 3}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    save_file({"embedding.weight": TABLE}, tmp_path / "table.safetensors")
    return tmp_path


def test_mean_of_token_vectors(folder):
    z = Static(folder=str(folder)).encoder([])(["red green", "red red blue", "", "red"])
    expected = np.array([[0.5, 1, 0], [2 / 3, 0, 4 / 3], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(
        z[[0, 1, 3]], expected[[0, 1, 3]] / np.linalg.norm(expected[[0, 1, 3]], axis=1)[:, None], atol=1e-6
    )
    assert not z[2].any() and z.dtype == np.float32


def test_batches_change_nothing(folder):
    encode = Static(folder=str(folder)).encoder([])
    texts = ["red", "green blue red " * 9, "blue"]
    assert np.array_equal(encode(texts), np.concatenate([encode([t]) for t in texts]))


def test_folder_without_table(folder):
    (folder / "table.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no \.safetensors file; name a folder with exactly one"):
        Static(folder=str(folder)).encoder([])


def test_two_tables(folder):
    save_file({"embedding.weight": TABLE}, folder / "other.safetensors")
    with pytest.raises(InputError, match=r"has 2 \.safetensors files"):
        Static(folder=str(folder)).encoder([])


def test_file_without_a_matrix(folder):
    save_file({"bias": np.ones(3, np.float32)}, folder / "table.safetensors")
    with pytest.raises(InputError, match="must hold one table of token vectors, not 0"):
        Static(folder=str(folder)).encoder([])


def test_damaged_table(folder):
    (folder / "table.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read"):
        Static(folder=str(folder)).encoder([])


def test_table_with_nan(folder):
    save_file({"e": np.full((4, 3), np.nan, np.float32)}, folder / "table.safetensors")
    with pytest.raises(InputError, match="holds values that are not finite"):
        Static(folder=str(folder)).encoder([])


def test_folder_without_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        Static(folder=str(folder)).encoder([])


def test_damaged_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="is not a tokenizer"):
        Static(folder=str(folder)).encoder([])


def test_more_tokens_than_rows(folder):
    save_file({"e": TABLE[:3]}, folder / "table.safetensors")
    with pytest.raises(InputError, match="knows 4 tokens, but the table has 3 rows"):
        Static(folder=str(folder)).encoder([])


@pytest.mark.skipif(
    importlib.util.find_spec("wordllama") is None and not any(cache_folder().glob("wordllama-*")),
    reason="wordllama is neither installed nor in the catalogue's cache",
)
def test_wordllama_itself():
    z = Static().encoder([])(["The cat sat on the mat.", "A cat is sitting on a rug.", "Quarterly revenue grew."])
    assert z.shape == (3, 256)
    assert z[0] @ z[1] > 0.5 > 0.2 > z[0] @ z[2]
