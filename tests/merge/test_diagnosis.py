import pytest
import torch
from tests.data.checkpoints.saved import drawn, saved
from tests.merge.small import SHAPES

import harmonia
from harmonia.core.errors import InputError
from harmonia.maths.task_vectors import Disagreement
from harmonia.merge.layers import by_layer


def experts(tmp_path, *moves, length=0.1):
    """Return folders of a base and of what lies in given directions from it."""
    base = drawn(0, SHAPES)
    folders = [saved(tmp_path / "base", base)]
    for place, move in enumerate(moves):
        folders.append(saved(tmp_path / f"e{place}", {n: t + length * move[n] for n, t in base.items()}))
    return folders


def advised(record):
    return {recipe for item in record["advice"] for recipe in item["recipes"]}


def test_independent_experts_conflict_in_sign(tmp_path):
    base, *own = experts(tmp_path, drawn(1, SHAPES), drawn(2, SHAPES), drawn(3, SHAPES))
    record = harmonia.diagnose(own, base=base, out=tmp_path / "r")
    assert record["stage"] == "merge" and record["experts"] == ["e0", "e1", "e2"]
    assert record["model"]["sign_conflict"] == pytest.approx(0.75, abs=0.06)
    assert {"ties", "dare-ties", "pcb"} <= advised(record) and "linear" not in advised(record)


def test_experts_that_agree_may_be_averaged(tmp_path):
    common = drawn(1, SHAPES)
    base, *own = experts(tmp_path, common, {n: 0.9 * t for n, t in common.items()})
    record = harmonia.diagnose(own, base=base)
    assert record["model"]["sign_conflict"] == 0 and advised(record) == {"linear", "model-stock"}


def test_opposed_and_uneven_experts_are_named(tmp_path):
    common = drawn(1, SHAPES)
    base, *own = experts(tmp_path, common, {n: -3 * t for n, t in common.items()})
    said = [item["finding"] for item in harmonia.diagnose(own, base=base)["advice"]]
    assert any("e0 and e1 move in opposed directions (cosine -1.00)" in line for line in said)
    assert any("e1 moved 3.0 times as far as e0" in line for line in said)


def test_experts_that_hardly_moved_and_such_as_went_far(tmp_path):
    (tmp_path / "a").mkdir()
    near = experts(tmp_path / "a", drawn(1, SHAPES), drawn(2, SHAPES), length=1e-3)
    assert "dare-linear" in advised(harmonia.diagnose(near[1:], base=near[0]))
    (tmp_path / "b").mkdir()
    far = experts(tmp_path / "b", drawn(1, SHAPES), drawn(2, SHAPES), length=0.6)
    assert "regmean" in advised(harmonia.diagnose(far[1:], base=far[0]))


def test_layers_are_sums_of_their_tensors():
    found = {}
    for name, values in {
        "h.10.a": [1.0, -1.0],
        "h.2.a": [1.0, 1.0],
        "h.2.b": [-1.0, 1.0],
        "norm.weight": [1.0, 2.0],
    }.items():
        found[name] = Disagreement(2)
        found[name].add(torch.ones(1), torch.tensor(values)[:, None])
    layers = by_layer(found)
    assert list(layers) == ["2", "10", "norm"]
    assert layers["2"].size == 2 and layers["2"].sign_conflict == 0.5 and layers["10"].sign_conflict == 1


def test_models_that_do_not_match_everywhere_are_compared_where_they_do(tmp_path):
    base, *own = experts(tmp_path, drawn(1, SHAPES), drawn(2, SHAPES))
    tensors = drawn(4, {n: s for n, s in SHAPES.items() if n != "lm_head.weight"})
    other = saved(tmp_path / "other", tensors)
    record = harmonia.diagnose([own[0], other], base=base)
    assert "lm_head.weight" not in record["tensors"]
    assert any("not all models have lm_head.weight alike" in line for line in record["warnings"])


def test_a_finished_diagnosis_is_read_again(tmp_path):
    base, *own = experts(tmp_path, drawn(1, SHAPES), drawn(2, SHAPES))
    first = harmonia.diagnose(own, base=base, out=tmp_path / "r")
    assert harmonia.diagnose(own, base=base, out=tmp_path / "r", resume=True) == first


def test_what_cannot_be_diagnosed_is_told(tmp_path):
    base, *own = experts(tmp_path, drawn(1, SHAPES), drawn(2, SHAPES))
    with pytest.raises(InputError, match="name at least two experts"):
        harmonia.diagnose(own[:1], base=base)
    with pytest.raises(InputError, match="name it with --base"):
        harmonia.diagnose(own, base=None)
    with pytest.raises(InputError, match="has no settings"):
        harmonia.diagnose(own, base=base, settings=["weights=ties"])
