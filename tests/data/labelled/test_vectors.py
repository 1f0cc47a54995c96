import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harmonia.core.errors import InputError
from harmonia.data.labelled import open_labelled

X, Y = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32), np.arange(40) % 4
SITE = np.array([f"s{i % 5}" for i in range(40)])


def table(**changed):
    columns = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "target": Y, "site": SITE} | changed
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def test_archives_and_tables_give_the_same_data(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y, site=SITE)
    one = open_labelled(tmp_path / "d.npz")
    assert one.kind == "vector" and one.classes == ("0", "1", "2", "3") and one.train.inputs.shape == (32, 3)
    pq.write_table(table(), tmp_path / "d.parquet")
    assert open_labelled(tmp_path / "d.parquet").fingerprint() == one.fingerprint()
    for i, row in enumerate(one.train.inputs):
        place = int(np.flatnonzero((row == X).all(axis=1))[0])
        assert one.train.labels[i] == Y[place] and one.train.columns["site"][i] == SITE[place]


def test_integers_are_features_and_words_are_not(tmp_path):
    pq.write_table(table(age=np.arange(40)), tmp_path / "d.parquet")
    data = open_labelled(tmp_path / "d.parquet")
    assert data.train.inputs.shape[1] == 4 and list(data.train.columns) == ["site"]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, None])
def test_numbers_that_are_none_are_named(tmp_path, value):
    pq.write_table(table(b=[*X[:7, 1].tolist(), value, *X[8:, 1].tolist()]), tmp_path / "d.parquet")
    with pytest.raises(InputError, match=r"d\.parquet row 8: 'b' is missing or not a finite number"):
        open_labelled(tmp_path / "d.parquet")
    if value is not None:
        x = X.astype(np.float64)
        x[7, 1] = value
        np.savez(tmp_path / "d.npz", x=x, y=Y)
        with pytest.raises(InputError, match=r"d\.npz row 8: x\[7, 1\] is not a finite number"):
            open_labelled(tmp_path / "d.npz")


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"X": X, "y": Y}, r"no array 'x'; did you mean 'X'\?|no array 'x'; known: X"),
        ({"x": X}, r"no array 'y'; save with numpy\.savez|no array 'y'"),
        ({"x": X[:, 0], "y": Y}, r"x is float32 \(40,\); give numbers \(n, d\)"),
        ({"x": X, "y": Y[:39]}, r"y is \(39,\), x has 40 rows; give one value for each"),
        ({"x": X, "y": Y, "site": SITE[:3]}, r"site is \(3,\), x has 40 rows"),
        ({"x": X, "y": Y / 2}, "y is float64; a label is text or an integer"),
        ({"x": X[:0], "y": Y[:0]}, "x has no row"),
        ({"x": X, "y": np.array([{}] * 40)}, "holds Python objects"),
    ],
)
def test_archives_that_cannot_be_used(tmp_path, arrays, message):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError, match=rf"d\.npz: ({message})"):
        open_labelled(tmp_path / "d.npz")


def test_what_is_no_archive(tmp_path):
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InputError, match=r"d\.npz: not a readable npz file .*; save it again"):
        open_labelled(tmp_path / "d.npz")
    with pytest.raises(InputError, match=r"e\.npz: no such file"):
        open_labelled(tmp_path / "e.npz")
    pq.write_table(pa.table({"label": ["a", "b"], "site": ["x", "y"]}), tmp_path / "d.parquet")
    with pytest.raises(InputError, match=r"no column of numbers, of texts or of images besides the label 'label'"):
        open_labelled(tmp_path / "d.parquet")
