import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import read_header

TYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool]


def file_of(path, record, data=b""):
    text = record if isinstance(record, bytes) else json.dumps(record).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@given(st.data())
def test_agrees_with_the_library_that_writes_them(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("file") / "a.safetensors"
    shapes = data.draw(st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=5))
    tensors = {f"t{i}": torch.ones(s, dtype=data.draw(st.sampled_from(TYPES))) for i, s in enumerate(shapes)}
    save_file(tensors, path)
    content = path.read_bytes()
    found = {tensor.name: tensor for tensor in read_header(path)}
    assert found.keys() == tensors.keys()
    with safe_open(path, "pt") as file:
        for name, tensor in found.items():
            assert (list(tensor.shape), tensor.dtype) == (
                file.get_slice(name).get_shape(),
                file.get_slice(name).get_dtype(),
            )
            raw = content[tensor.start : tensor.start + tensor.bytes]
            assert raw == tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def test_order_is_that_of_the_bytes(tmp_path):
    save_file({"a": torch.ones(2, dtype=torch.int8), "b": torch.ones(2), "c": torch.ones(2)}, tmp_path / "x")
    starts = [tensor.start for tensor in read_header(tmp_path / "x")]
    assert starts == sorted(starts)


def test_cut_off_anywhere_is_told(tmp_path):
    save_file({"a": torch.ones(3), "b": torch.ones(2, 2)}, tmp_path / "x")
    content = (tmp_path / "x").read_bytes()
    for length in range(len(content)):
        (tmp_path / "x").write_bytes(content[:length])
        with pytest.raises(InputError, match="x is cut off"):
            read_header(tmp_path / "x")
    (tmp_path / "x").write_bytes(content + b"!")
    with pytest.raises(InputError, match=f"x is too long: its header says {len(content)} bytes, and it has"):
        read_header(tmp_path / "x")


@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_a_damaged_byte_is_an_error_or_harmless(tmp_path_factory, place, byte):
    path = tmp_path_factory.mktemp("file") / "x"
    save_file({"a": torch.ones(3), "b": torch.ones(2, 2)}, path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    try:
        read_header(path)
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"[1]", "damaged header .not an object"),
        (b"{", "damaged header"),
        (b'{"a": 1, "a": 2}', "a name stands twice"),
        ({"a": {"dtype": "F32"}}, "a: not dtype, shape and data_offsets"),
        ({"a": entry("F33")}, "a: unknown dtype 'F33'"),
        ({"a": entry(shape=(-2,))}, "a: shape or data_offsets are not lists of counts"),
        ({"a": entry(shape=(3,))}, r"a: F32 of shape \[3\] does not fill its 8 bytes"),
        ({"a": entry(offsets=(4, 12))}, "the bytes of a do not follow those before it"),
        ({"a": entry(), "b": entry(offsets=(4, 12))}, "the bytes of b do not follow"),
    ],
)
def test_a_header_that_contradicts_itself(tmp_path, record, message):
    with pytest.raises(InputError, match=message):
        read_header(file_of(tmp_path / "x", record, b"\0" * 16))


def test_what_is_no_safetensors_file(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff" * 100)
    with pytest.raises(InputError, match="x is not a safetensors file"):
        read_header(tmp_path / "x")
    (tmp_path / "x").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(InputError, match="x is a pointer of Git LFS, not the weights: fetch them with git lfs pull"):
        read_header(tmp_path / "x")
    with pytest.raises(InputError, match="cannot read .*absent"):
        read_header(tmp_path / "absent")
