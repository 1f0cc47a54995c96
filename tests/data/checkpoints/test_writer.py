import errno
import json
import shutil
from collections import namedtuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tests.data.checkpoints.saved import drawn, saved

from harmonia.core import files
from harmonia.core.errors import InputError, RunError
from harmonia.data.checkpoints import CheckpointWriter, Slot, layout, open_checkpoint, read_header
from harmonia.data.checkpoints.positional import PositionalFile

NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float64: "F64"}


def slots_of(tensors):
    return [Slot(name, NAMES[t.dtype], tuple(t.shape), t.numel()) for name, t in tensors.items()]


def fill(writer, tensors, order=None, piece=7):
    for name in order or tensors:
        if writer.finished(name):
            continue
        flat = tensors[name].flatten().float()
        for start in range(0, len(flat), piece):
            writer.write(name, start, flat[start : start + piece])
        writer.done(name)


def write(folder, tensors, **options):
    order, piece = options.pop("order", None), options.pop("piece", 7)
    with CheckpointWriter(folder, slots_of(tensors), **options) as writer:
        fill(writer, tensors, order, piece)
        writer.complete({"model_type": "x"})
    return folder


def loaded(folder):
    return {k: v for path in folder.glob("*.safetensors") for k, v in load_file(path).items()}


@given(st.data())
def test_what_is_written_is_read_back_in_any_order(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("out") / "o"
    shapes = data.draw(st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=6))
    tensors = {f"t{i}": drawn(i, {"x": s}, data.draw(st.sampled_from(list(NAMES))))["x"] for i, s in enumerate(shapes)}
    write(
        folder,
        tensors,
        order=data.draw(st.permutations(list(tensors))),
        piece=data.draw(st.integers(1, 60)),
        shard=data.draw(st.integers(1, 500)),
    )
    found = loaded(folder)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name].float(), tensor.float())
    if list(tensors):
        assert open_checkpoint(folder).tensors.keys() == tensors.keys()


def test_files_are_full_in_order_and_named_as_the_hub_does():
    shards = layout([Slot(n, "F32", (s,), s) for n, s in (("a", 10), ("b", 10), ("c", 50), ("d", 1))], shard=80)
    assert [(s.file, list(s.places)) for s in shards] == [
        ("model-00001-of-00003.safetensors", ["a", "b"]),
        ("model-00002-of-00003.safetensors", ["c"]),
        ("model-00003-of-00003.safetensors", ["d"]),
    ]
    assert [s.file for s in layout([Slot("a", "F32", (1,), 1)])] == ["model.safetensors"]


def test_elements_begin_at_multiples_of_their_width(tmp_path):
    write(tmp_path / "o", {"a": torch.ones(3, dtype=torch.bfloat16), "b": torch.ones(3), "c": torch.ones(1).double()})
    for tensor in read_header(tmp_path / "o" / "model.safetensors"):
        assert tensor.start % (tensor.bytes // tensor.size) == 0


def test_rounding_is_to_nearest_ties_to_even(tmp_path):
    exact = torch.tensor([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1 - 2**-8])
    with CheckpointWriter(tmp_path / "o", [Slot("a", "BF16", (5,), 5)]) as writer:
        writer.write("a", 0, exact)
        writer.done("a")
        writer.complete({})
    assert loaded(tmp_path / "o")["a"].tolist() == [1, 1, 1 + 2**-6, 1 + 2**-7, -1]


def test_numbers_that_do_not_fit_are_named(tmp_path):
    slots = [Slot("a", "F16", (2,), 2)]
    message = "o: a number of tensor a is too large for float16: write it as bfloat16 or float32"
    with pytest.raises(InputError, match=message), CheckpointWriter(tmp_path / "o", slots) as writer:
        writer.write("a", 0, torch.tensor([1.0, 70000.0]))
    with pytest.raises(InputError, match="came out as NaN"), CheckpointWriter(tmp_path / "p", slots) as writer:
        writer.write("a", 0, torch.tensor([1.0, torch.nan]))


def test_the_index_names_every_tensor(tmp_path):
    write(tmp_path / "o", drawn(), shard=400)
    record = json.loads((tmp_path / "o" / "model.safetensors.index.json").read_text())
    assert record["weight_map"].keys() == drawn().keys()
    assert record["metadata"]["total_size"] == sum(t.numel() * 4 for t in drawn().values())
    assert not (tmp_path / "o" / ".unfinished").exists()


def test_small_files_are_copied_and_weights_are_not(tmp_path):
    source = saved(tmp_path / "m")
    kept = [
        "tokenizer.json",
        "merges.txt",
        "tokenizer.model",
        "chat_template.jinja",
        "LICENSE",
        "generation_config.json",
    ]
    left = [
        "README.md",
        "modeling.py",
        "pytorch_model.bin",
        "adapter_config.json",
        "model.fp16.safetensors",
        ".hidden.json",
    ]
    for name in (*kept, *left):
        (source / name).write_text(name)
    (source / "modules.json").write_text(json.dumps([{"path": ""}, {"path": "1_Pooling"}, {"path": "../m"}]))
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text("{}")
    (source / "onnx").mkdir()
    with CheckpointWriter(tmp_path / "o", slots_of(drawn())) as writer:
        fill(writer, drawn())
        writer.complete({"own": 1}, source)
    found = {str(p.relative_to(tmp_path / "o")) for p in (tmp_path / "o").rglob("*") if p.is_file()}
    assert found == {*kept, "modules.json", "1_Pooling/config.json", "config.json", "model.safetensors"}
    assert json.loads((tmp_path / "o" / "config.json").read_text()) == {"own": 1}


def test_nothing_has_its_name_before_it_is_whole(tmp_path):
    tensors, folder = drawn(), tmp_path / "o"
    with pytest.raises(KeyboardInterrupt), CheckpointWriter(folder, slots_of(tensors), shard=400) as writer:
        names = list(tensors)
        fill(writer, tensors, names[:2])
        assert (folder / "model-00001-of-00004.safetensors").exists()
        writer.write(names[3], 0, tensors[names[3]].flatten()[:3])
        raise KeyboardInterrupt
    left = sorted(path.name for path in folder.iterdir())
    assert [name for name in left if name.endswith((".part", ".safetensors"))] == ["model-00001-of-00004.safetensors"]


def test_resuming_keeps_finished_files_and_ends_the_same(tmp_path):
    tensors, folder = drawn(), tmp_path / "o"
    order = [name for shard in layout(slots_of(tensors), 400) for name in shard.places]
    with CheckpointWriter(folder, slots_of(tensors), shard=400, request={"a": 1}) as writer:
        whole = writer.bytes
        fill(writer, tensors, order[:4])
    (folder / ".model-00004-of-00004.safetensors.1.part").touch()  # what a killed process leaves
    finished = sorted(folder.glob("*.safetensors"))
    stamps = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in finished]
    with pytest.raises(InputError, match="o was begun with other settings or inputs"):
        CheckpointWriter(folder, slots_of(tensors), shard=400, request={"a": 2}, resume=True)
    with pytest.raises(InputError, match="is not what was begun here"):
        CheckpointWriter(folder, slots_of(drawn(dtype=torch.float64)), shard=600, request={"a": 1}, resume=True)
    with CheckpointWriter(folder, slots_of(tensors), shard=400, request={"a": 1}, resume=True) as writer:
        assert 0 < writer.bytes < whole and [writer.finished(name) for name in order].count(True) >= 3
        fill(writer, tensors)
        writer.complete({"model_type": "x"})
    assert finished and stamps == [(path.stat().st_ino, path.stat().st_mtime_ns) for path in finished]
    write(tmp_path / "p", tensors, shard=400)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "p").iterdir())
    assert all((folder / name).read_bytes() == (tmp_path / "p" / name).read_bytes() for name in names)


def test_outputs_that_are_refused(tmp_path):
    source, slots = saved(tmp_path / "m"), slots_of(drawn())
    (tmp_path / "link").symlink_to(source)
    for same in (source, tmp_path / "link", tmp_path / "x" / ".." / "m"):
        with pytest.raises(InputError, match="is an input as well"):
            CheckpointWriter(same, slots, inputs=[source])
    with pytest.raises(InputError, match="m is not empty; choose another one, or resume"):
        CheckpointWriter(source, slots)
    with pytest.raises(InputError, match="m is not an unfinished output"):
        CheckpointWriter(source, slots, resume=True)
    with pytest.raises(InputError, match="config.json is a file"):
        CheckpointWriter(source / "config.json", slots)


def test_a_disk_that_is_too_small_is_told_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("U", "total used free")(1, 1, 1000))
    with pytest.raises(InputError, match="o needs 0.00 GB, and the disk has 0.00 GB free: make room"):
        CheckpointWriter(tmp_path / "o", slots_of(drawn()))
    assert not (tmp_path / "o").exists()


def test_a_disk_that_fills_up_is_told_and_leaves_nothing_half(tmp_path, monkeypatch):
    def full(self, start, data):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(PositionalFile, "write", full)
    with pytest.raises(RunError, match="model.safetensors: the disk is full"):
        write(tmp_path / "o", drawn())
    assert [path.name for path in (tmp_path / "o").iterdir()] == [".unfinished"]


def test_a_caller_that_forgets_something_is_told(tmp_path):
    with CheckpointWriter(tmp_path / "o", slots_of(drawn())) as writer:
        writer.write("model.norm.weight", 0, torch.ones(2))
        with pytest.raises(ValueError, match="model.norm.weight: 8 of 24 bytes were written"):
            writer.done("model.norm.weight")
        with pytest.raises(ValueError, match="bytes 20 to 28 of 24"):
            writer.write("model.norm.weight", 5, torch.ones(2))
        with pytest.raises(ValueError, match="are not written"):
            writer.complete({})


def test_observers_see_every_file(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(files, "written", [lambda path: seen.append(path.name)])
    write(tmp_path / "o", drawn(), shard=400)
    assert sum(name.endswith(".safetensors") for name in seen) == 4 and seen[-1] == "config.json"
