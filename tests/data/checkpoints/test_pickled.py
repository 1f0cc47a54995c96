import json
import pickle
import warnings

import pytest
import torch
from tests.data.checkpoints.saved import SHAPES, drawn, saved

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import open_checkpoint

NAME, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


def pickled(folder, tensors, **options):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    torch.save(tensors, folder / NAME, **options)
    return folder


def sharded(folder, tensors, count=3):
    pickled(folder, {})
    (folder / NAME).unlink()
    places = {}
    for number in range(count):
        part = dict(list(tensors.items())[number::count])
        torch.save(part, folder / f"pytorch_model-{number}.bin")
        places |= dict.fromkeys(part, f"pytorch_model-{number}.bin")
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))
    return folder


def opened(folder):
    return open_checkpoint(folder, allow_pytorch_bin=True)


def whole(checkpoint, name):
    out = torch.empty(checkpoint.tensor(name).size)
    checkpoint.read(name, 0, out)
    return out.view(checkpoint.tensor(name).shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("old", [False, True])
def test_numbers_are_those_of_safetensors(tmp_path, dtype, old):
    tensors = drawn(dtype=dtype)
    one = opened(pickled(tmp_path / "p", tensors, _use_new_zipfile_serialization=not old))
    other = open_checkpoint(saved(tmp_path / "s", tensors))
    assert one.tensors.keys() == other.tensors.keys() == set(SHAPES)
    for name in SHAPES:
        assert torch.equal(whole(one, name), whole(other, name))
        assert one.same(name, other, name) and other.same(name, one, name)
    assert not one.same("model.norm.weight", one, "lm_head.weight")


def test_any_run_of_elements_and_bytes(tmp_path):
    tensor = torch.arange(50.0).view(5, 10)
    checkpoint = opened(pickled(tmp_path / "p", {"a": torch.ones(3), "b": tensor, "c": tensor.T, "d": torch.ones(0)}))
    out = torch.empty(7)
    checkpoint.read("b", 20, out)
    assert out.tolist() == list(range(20, 27))
    assert torch.equal(whole(checkpoint, "c"), tensor.T)
    assert whole(checkpoint, "d").numel() == 0
    raw = bytearray(8)
    checkpoint.read_bytes("b", 4, memoryview(raw))
    assert bytes(raw) == tensor.view(-1)[1:3].numpy().tobytes()


def test_shards_by_their_index(tmp_path):
    tensors = drawn()
    folder = sharded(tmp_path / "p", tensors)
    checkpoint = opened(folder)
    assert len(checkpoint.files) == 3
    assert all(torch.equal(whole(checkpoint, name), tensor) for name, tensor in tensors.items())
    torch.save({}, folder / "pytorch_model-1.bin")
    with pytest.raises(InputError, match="index.json names tensors .* that the shards lack"):
        opened(folder)
    (folder / "pytorch_model-1.bin").unlink()
    with pytest.raises(InputError, match="index.json names shard pytorch_model-1.bin that the folder lacks"):
        opened(folder)
    with pytest.raises(InputError, match=r"as pickle only .pytorch_model-0.bin.*, or read .* with --allow-pytorch-bin"):
        open_checkpoint(folder)


def test_not_without_leave_and_safetensors_come_first(tmp_path):
    folder = pickled(tmp_path / "p", {"a": torch.zeros(2)})
    with pytest.raises(
        InputError, match=r"as pickle only \(pytorch_model.bin\).*save_pretrained\(NEW\), or .* --allow-pytorch-bin"
    ):
        open_checkpoint(folder)
    saved(folder, {"a": torch.ones(2)})
    assert whole(opened(folder), "a").tolist() == [1, 1]
    (tmp_path / "q").mkdir()
    (tmp_path / "q" / "config.json").write_text("{}")
    (tmp_path / "q" / "weights.pt").touch()
    with pytest.raises(InputError, match="as pickle only") as caught:
        opened(tmp_path / "q")
    assert "--allow" not in str(caught.value)


class Call:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.path),)


def test_nothing_in_a_pickle_is_run(tmp_path):
    trap = tmp_path / "owned"
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        folder = pickled(tmp_path / "p", {"a": torch.ones(2), "x": Call(trap)}, **options)
        with pytest.raises(InputError, match=r"bin holds \w+\.mkdir, which is no tensor and could run code: it is not"):
            opened(folder)
    (folder / NAME).write_bytes(pickle.dumps({"x": Call(trap)}))
    with warnings.catch_warnings(action="error"), pytest.raises(InputError, match="pytorch_model.bin"):
        opened(folder)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Call(trap)))
    assert trap.exists()  # it would have


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.ones(2)], "holds a list, not a table of tensors by name"),
        ({"model": {"a": torch.ones(2)}}, "holds 'model', which is no plain tensor: save the model alone"),
        ({"a": torch.ones(2), "epoch": 3}, "holds 'epoch', which is no plain tensor"),
        ({3: torch.ones(2)}, "holds 3, which is no plain tensor"),
        ({"a": torch.eye(3).to_sparse()}, "holds 'a', which is no plain tensor"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "a is torch.complex64: save the model in another type"),
    ],
)
def test_what_is_no_table_of_tensors(tmp_path, content, said):
    with pytest.raises(InputError, match=said) as caught:
        opened(pickled(tmp_path / "p", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("old", [False, True])
def test_cut_off_anywhere_is_told(tmp_path, old):
    folder = pickled(tmp_path / "p", drawn(), _use_new_zipfile_serialization=not old)
    content = (folder / NAME).read_bytes()
    for length in (0, 1, 10, 100, len(content) // 2, len(content) - 30):
        (folder / NAME).write_bytes(content[:length])
        with pytest.raises(InputError, match="pytorch_model.bin .*copy or download it again") as caught:
            opened(folder)
        assert "\n" not in str(caught.value)
    (folder / NAME).write_text("not a model")
    with pytest.raises(InputError, match="pytorch_model.bin .*copy or download it again"):
        opened(folder)


def test_a_hub_id_with_pickles_only_comes_from_the_cache(tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    repository = tmp_path / "models--org--old"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    pickled(repository / "snapshots" / "abc", {"a": torch.ones(2)})
    assert whole(opened("org/old"), "a").tolist() == [1, 1]
    # what others fetched is told of; where only this package fetches, there would be nothing
    with pytest.raises(InputError, match=r"abc has weights as pickle only .* --allow-pytorch-bin"):
        open_checkpoint("org/old")


def test_what_is_fetched_of_the_hub(tmp_path, monkeypatch):
    """Pickles only where they are allowed, and where there is nothing else."""
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.chdir(tmp_path)
    asked = []

    def snapshot(held):
        def download(name, local_files_only=False, allow_patterns=()):
            if local_files_only:
                raise OSError("not in the cache")
            asked.append(any(".bin" in pattern for pattern in allow_patterns))
            (tmp_path / held).mkdir(exist_ok=True)
            if asked[-1] or held == "safe":
                pickled(tmp_path / held, {"a": torch.ones(2)})
            if held == "safe":
                saved(tmp_path / held, {"a": torch.ones(2)})
            return str(tmp_path / held)

        monkeypatch.setattr(hub, "snapshot_download", download)

    snapshot("safe")
    opened("org/some")
    assert asked == [False]
    snapshot("old")
    opened("org/some")
    assert asked == [False, False, True]
