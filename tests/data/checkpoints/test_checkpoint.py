import json
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.checkpoints.saved import SHAPES, drawn, moved, saved

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import Checkpoint, open_checkpoint
from harmonia.data.checkpoints.precision import from_float32

FLOATS = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


def whole(checkpoint, name):
    stored = checkpoint.tensor(name)
    out = torch.empty(stored.size)
    checkpoint.read(name, 0, out)
    return out.view(stored.shape)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_come_back_as_float32(tmp_path, shards, dtype):
    tensors = drawn(dtype=dtype)
    with open_checkpoint(saved(tmp_path / "m", tensors, shards)) as checkpoint:
        assert set(checkpoint.tensors) == set(SHAPES) and len(checkpoint.files) == shards
        for name, tensor in tensors.items():
            assert torch.equal(whole(checkpoint, name), tensor.float())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_number_of_16_bits_is_exact_both_ways(tmp_path, dtype):
    every = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(dtype)
    with open_checkpoint(saved(tmp_path / "m", {"a": every})) as checkpoint:
        read = whole(checkpoint, "a")
    torch.testing.assert_close(read.double(), every.double(), rtol=0, atol=0, equal_nan=True)
    number = ~every.isnan()
    back = from_float32(read, {torch.bfloat16: "BF16", torch.float16: "F16"}[dtype])
    assert torch.equal(back[number].view(torch.int16), every[number].view(torch.int16))


@given(st.data())
def test_any_run_of_elements(tmp_path_factory, data):
    tensor = torch.arange(50.0).to(data.draw(st.sampled_from(FLOATS)))
    start = data.draw(st.integers(0, 50))
    stop = data.draw(st.integers(start, 50))
    with open_checkpoint(saved(tmp_path_factory.mktemp("m"), {"a": torch.ones(3), "b": tensor})) as checkpoint:
        out = torch.empty(stop - start)
        checkpoint.read("b", start, out)
    assert out.tolist() == list(range(start, stop))


def test_threads_read_at_once(tmp_path):
    tensors = {f"t{i}": torch.full((5000,), float(i), dtype=torch.bfloat16) for i in range(8)}
    wrong = []
    with open_checkpoint(saved(tmp_path / "m", tensors)) as checkpoint:

        def check(i):
            for _ in range(20):
                wrong.extend([i] if (whole(checkpoint, f"t{i}") != i).any() else [])

        workers = [threading.Thread(target=check, args=(i,)) for i in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert wrong == []


def test_same_bytes(tmp_path):
    tensors = drawn()
    a = open_checkpoint(saved(tmp_path / "a", tensors))
    b = open_checkpoint(saved(tmp_path / "b", {**tensors, "lm_head.weight": tensors["lm_head.weight"].bfloat16()}))
    c = open_checkpoint(saved(tmp_path / "c", moved(tensors, 1)))
    assert a.same("model.norm.weight", b, "model.norm.weight")
    assert not a.same("lm_head.weight", b, "lm_head.weight")
    assert not a.same("model.norm.weight", c, "model.norm.weight")
    assert a.same("model.norm.weight", a, "model.norm.weight")
    assert not a.same("model.norm.weight", a, "model.embed_tokens.weight")


def test_integers_are_refused_where_numbers_are_asked(tmp_path):
    checkpoint = open_checkpoint(saved(tmp_path / "m", {"a": torch.ones(3, dtype=torch.int8)}))
    with pytest.raises(InputError, match="model.safetensors: a is I8, not floating-point weights"):
        whole(checkpoint, "a")
    raw = bytearray(3)
    checkpoint.read_bytes("a", 0, memoryview(raw))
    assert raw == b"\1\1\1"


def test_a_name_that_is_nearly_right(tmp_path):
    with pytest.raises(InputError, match="m has no tensor model.norm.wight; did you mean 'model.norm.weight'"):
        whole(open_checkpoint(saved(tmp_path / "m")), "model.norm.wight")


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    checkpoint = open_checkpoint(saved(tmp_path / "m"))
    with open(tmp_path / "m" / "model.safetensors", "r+b") as file:
        file.truncate(700)
    with pytest.raises(InputError, match="model.safetensors was cut off while it was read"):
        whole(checkpoint, list(checkpoint.tensors)[-1])


def test_folders_that_are_no_model(tmp_path):
    with pytest.raises(InputError, match="no model folder .*absent"):
        open_checkpoint(tmp_path / "absent")
    with pytest.raises(InputError, match="is not the folder of a model: it has no config.json"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match="config.json is not a JSON object"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json cannot be read"):
        open_checkpoint(tmp_path)
    with pytest.raises(InputError, match="config.json is a file: name the folder"):
        open_checkpoint(tmp_path / "config.json")


def test_weights_in_other_formats(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="has no weights .model.safetensors or model.safetensors.index.json"):
        open_checkpoint(tmp_path)
    (tmp_path / "m.gguf").touch()
    with pytest.raises(InputError, match="GGUF only"):
        open_checkpoint(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(InputError, match=r"as pickle only \(pytorch_model.bin\).*convert it .*save_pretrained\(NEW\)"):
        open_checkpoint(tmp_path)


def test_an_index_that_names_what_is_not_there(tmp_path):
    folder = saved(tmp_path / "m", shards=3)
    index = folder / "model.safetensors.index.json"
    record = json.loads(index.read_text())
    record["weight_map"]["new.weight"] = "model-00001-of-00003.safetensors"
    index.write_text(json.dumps(record))
    with pytest.raises(InputError, match="index.json names tensor new.weight that the shards lack"):
        open_checkpoint(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(
        InputError, match="index.json names shard model-00002-of-00003.safetensors that the folder lacks"
    ):
        open_checkpoint(folder)
    for places in ({}, [], {"a": "../x.safetensors"}, {"a": 3}):
        index.write_text(json.dumps({"weight_map": places}))
        with pytest.raises(InputError, match="has no weight_map from tensors to files beside it"):
            open_checkpoint(folder)


def test_a_tensor_in_two_shards_is_where_the_index_says(tmp_path):
    folder = saved(tmp_path / "m", {"a": torch.ones(2), "b": torch.ones(2)}, shards=2)
    saved(tmp_path / "n", {"a": torch.zeros(2), "b": torch.ones(2)})
    (tmp_path / "n" / "model.safetensors").replace(folder / "model-00002-of-00002.safetensors")
    assert whole(open_checkpoint(folder), "a").tolist() == [1, 1]


def test_a_hub_id_comes_from_the_cache_without_the_network(tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no model folder org/tiny, and as a Hub id it cannot be fetched"):
        open_checkpoint("org/tiny")
    repository = tmp_path / "models--org--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    saved(repository / "snapshots" / "abc")
    assert isinstance(open_checkpoint("org/tiny"), Checkpoint)
    with pytest.raises(InputError, match="no model folder a/b/c"):
        open_checkpoint("a/b/c")
