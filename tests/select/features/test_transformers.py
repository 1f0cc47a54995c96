"""Features of pretrained transformers: mean hidden states by hand, sentence encoders, and unusable folders."""

import json
from pathlib import Path

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.data import catalogue
from harmonia.data.catalogue.wheels import cache_folder
from harmonia.models.pretrained import located
from harmonia.select.features.mean_hidden import MeanHidden
from harmonia.select.features.sentence_transformers import SentenceTransformers

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = ["the cat sat.", "a", "a much longer text about dogs and cats.", "1 2 3", "z" * 500]


def test_mean_hidden_by_hand(tiny_llama):
    z = MeanHidden(model=tiny_llama).encoder([])(TEXTS)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_llama)
    trunk = transformers.AutoModel.from_pretrained(tiny_llama).eval()
    for row, text in zip(z, TEXTS, strict=True):
        ids = tokenizer([text], truncation=True, max_length=64, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            expected = trunk(input_ids=ids).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(row, expected.numpy(), atol=2e-6)


@pytest.mark.parametrize("tokens", [1, 70, 10**6])
def test_batches_change_nothing(tiny_llama, tokens):
    encode = MeanHidden(model=tiny_llama, batch_tokens=tokens).encoder([])
    np.testing.assert_allclose(encode(TEXTS), np.concatenate([encode([t]) for t in TEXTS]), atol=2e-6)


def test_texts_are_cut(tiny_llama):
    encode = MeanHidden(model=tiny_llama, max_tokens=3).encoder([])
    np.testing.assert_allclose(*encode(["abcdef", "abc"]), atol=1e-6)


def test_empty_text_is_zero(tiny_llama):
    encode = MeanHidden(model=tiny_llama).encoder([])
    assert not encode(["", "a"])[0].any()
    assert encode([]).shape == (0, 16)


def test_no_model_named():
    with pytest.raises(InputError, match=r"name a model with --set features\.model=FOLDER"):
        MeanHidden().encoder([])


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"no model folder .*nowhere"):
        MeanHidden(model=str(tmp_path / "nowhere")).encoder([])
    with pytest.raises(InputError, match=r"no model file .*\.gguf"):
        MeanHidden(model=str(tmp_path / "nowhere.gguf")).encoder([])


def test_folder_that_is_no_model(tmp_path):
    with pytest.raises(InputError, match=r"is not the folder of a model: it has no config\.json"):
        MeanHidden(model=str(tmp_path)).encoder([])


def copy_without(folder, tmp_path, *names):
    for file in Path(folder).iterdir():
        if file.name not in names:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    return str(tmp_path)


def test_folder_without_weights(tiny_llama, tmp_path):
    folder = copy_without(tiny_llama, tmp_path, "model.safetensors")
    with pytest.raises(InputError, match=r"has no weights \(\*\.safetensors\)"):
        MeanHidden(model=folder).encoder([])


def test_damaged_weights(tiny_llama, tmp_path):
    folder = copy_without(tiny_llama, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="its weights cannot be loaded"):
        MeanHidden(model=folder).encoder([])


def test_code_in_a_folder_is_never_run(tiny_llama, tmp_path):
    folder = copy_without(tiny_llama, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    with pytest.raises(InputError):
        MeanHidden(model=folder).encoder([])
    assert not (tmp_path / "ran").exists()


def test_unusable_device(tiny_llama):
    with pytest.raises(InputError, match="device 'abacus' cannot be used"):
        MeanHidden(model=tiny_llama, device="abacus").encoder([])


def test_sentence_encoder(tiny_llama):
    pytest.importorskip("sentence_transformers")
    encode = SentenceTransformers(model=tiny_llama).encoder([])
    z = encode(TEXTS)
    # a folder without a pooling of its own gets the library's default: for a decoder, the last token
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_llama)
    trunk = transformers.AutoModel.from_pretrained(tiny_llama).eval()
    for row, text in zip(z, TEXTS, strict=True):
        ids = tokenizer([text], truncation=True, max_length=64, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            last = trunk(input_ids=ids).last_hidden_state[0, -1]
        np.testing.assert_allclose(row, (last / last.norm()).numpy(), atol=2e-6)
    np.testing.assert_allclose(z, np.concatenate([encode([t]) for t in TEXTS]), atol=2e-6)
    assert encode([]).shape == (0, 16)


def test_sentence_encoder_without_weights(tiny_llama, tmp_path):
    pytest.importorskip("sentence_transformers")
    folder = copy_without(tiny_llama, tmp_path, "model.safetensors")
    with pytest.raises(InputError, match=r"has no weights \(\*\.safetensors\)"):
        SentenceTransformers(model=folder).encoder([])
    with pytest.raises(InputError, match="no model folder"):
        SentenceTransformers(model="/no/such/folder").encoder([])


def test_catalogue_names_are_located(monkeypatch, tmp_path, tiny_llama):
    monkeypatch.setattr(catalogue, "path_of", lambda name: tmp_path)
    assert located("smollm2") == str(tmp_path)
    (tmp_path / "weights.gguf").touch()
    assert located("smollm2") == str(tmp_path / "weights.gguf")
    assert located(tiny_llama) == tiny_llama and located("owner/model") == "owner/model"


@pytest.mark.slow
@pytest.mark.skipif(not any(cache_folder().glob("minilm-*")), reason="the catalogue's cache does not hold minilm")
def test_real_sentence_encoder():
    z = SentenceTransformers().encoder([])(
        ["The cat sat on the mat.", "A cat is sitting on a rug.", "Quarterly revenue grew by 4 percent."]
    )
    assert z.shape == (3, 384)
    assert z[0] @ z[1] > 0.6 > 0.2 > z[0] @ z[2]
