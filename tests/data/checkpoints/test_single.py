import pytest
import torch
from safetensors.torch import load_file

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import Slot, single, written_file

SLOTS = [Slot("a", "F32", (2, 3), 6), Slot("b", "BF16", (4,), 4)]


def test_tensors_come_back_in_any_order(tmp_path):
    held = {"a": torch.randn(2, 3), "b": torch.randn(4)}
    with written_file(tmp_path / "f.safetensors", SLOTS) as write:
        for name in ("b", "a"):
            write(name, held[name])
    found = load_file(tmp_path / "f.safetensors")
    assert torch.equal(found["a"], held["a"]) and torch.equal(found["b"], held["b"].bfloat16())


def test_a_file_that_is_not_whole_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"\['b'\] are not written"), written_file(tmp_path / "f", SLOTS) as write:
        write("a", torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="own"), written_file(tmp_path / "f", SLOTS):
        raise RuntimeError("own")
    assert not list(tmp_path.iterdir())


def test_the_disk_is_looked_at_first(tmp_path, monkeypatch):
    def full(folder, needed):
        raise InputError(f"{needed} bytes")

    monkeypatch.setattr(single, "check_disk", full)
    with pytest.raises(InputError, match="bytes"), written_file(tmp_path / "f", SLOTS):
        pass
