import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.data.labelled import Examples, Labelled


def make(n=6, **columns):
    return Examples(np.arange(3 * n, dtype=np.float32).reshape(n, 3), np.arange(n) % 2, columns)


def test_a_subset_takes_everything_along():
    part = make(site=np.array(list("abcdef"))).subset(np.array([4, 1]))
    assert len(part) == 2 and part.labels.tolist() == [0, 1]
    assert part.inputs.tolist() == [[12, 13, 14], [3, 4, 5]] and part.columns["site"].tolist() == ["e", "b"]


def test_the_fingerprint_sees_every_value_and_the_order():
    site = np.array(list("abcdef"))
    first = make(site=site).fingerprint()
    assert first == make(site=site.copy()).fingerprint() and first["examples"] == 6 and first["shape"] == [3]
    changed = make(site=site)
    changed.inputs[2, 1] += 1e-3
    others = [changed, make(), make(sight=site), make(site=site[::-1]), make(site=site).subset(np.arange(6)[::-1])]
    assert len({other.fingerprint()["digest"] for other in others} | {first["digest"]}) == 6


def test_a_data_set_is_known_by_its_content():
    one, other = (Labelled(name, "vector", ("no", "yes"), make(), make(2), "CC0", name) for name in ("a", "b"))
    assert one.fingerprint() == other.fingerprint()
    assert one.subset(np.arange(3), np.arange(1)).fingerprint() != one.fingerprint()
    assert len(one.subset(np.arange(3), np.arange(1)).train) == 3


@pytest.mark.parametrize(
    "inputs, labels, columns, message",
    [
        (
            np.zeros((2, 3)),
            np.zeros(2, int),
            {},
            r"inputs are float64 \(2, 3\); give \(n, ...\) of uint8, float32, int64",
        ),
        (np.zeros(2, np.float32), np.zeros(2, int), {}, r"inputs are float32 \(2,\)"),
        (np.zeros((2, 3), np.uint8), np.zeros(2, np.int32), {}, "labels are int32"),
        (np.zeros((2, 3), np.uint8), np.zeros(3, int), {}, r"labels: \(3,\) for 2 inputs; give one for each"),
        (np.zeros((2, 3), np.uint8), np.zeros(2, int), {"site": np.array(["a"])}, r"site: \(1,\) for 2 inputs"),
        (np.zeros((2, 3), np.uint8), np.array([0, -1]), {}, "labels: row 1 is -1; classes are counted from 0"),
        (np.array([[0], [np.nan]], np.float32), np.zeros(2, int), {}, "inputs: row 1 holds NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(inputs, labels, columns, message):
    with pytest.raises(InputError, match=message):
        Examples(inputs, labels, columns)


def test_parts_that_do_not_fit_together_are_refused():
    wide = Examples(np.zeros((2, 4), np.float32), np.zeros(2, int))
    with pytest.raises(InputError, match=r"d: training inputs are float32 \(3,\), test inputs float32 \(4,\)"):
        Labelled("d", "vector", ("a", "b"), make(), wide, "", "")
    with pytest.raises(InputError, match="d: a training label is 1, there are 1 classes"):
        Labelled("d", "vector", ("a",), make(), make(2), "", "")


def test_the_order_follows_from_the_content():
    random = np.random.default_rng(0)
    one = Examples(
        random.normal(size=(20, 3)).astype(np.float32), np.arange(20) % 4, {"site": np.array(["a", "b"] * 10)}
    )
    other = one.subset(random.permutation(20))
    assert one.in_order().fingerprint() == other.in_order().fingerprint() != other.fingerprint()
