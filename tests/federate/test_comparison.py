"""A comparison goes on where a recipe diverges, and says so."""

import pytest

from harmonia.core.errors import RunError
from harmonia.federate.comparison import compare
from harmonia.federate.recipes import BOOK

ASKED = {"clients": 3, "partition": "iid", "rounds": 2, "model": "mlp:4", "seeds": range(2), "personal": False}


def plain():
    return BOOK.get("fedavg").with_settings(["training.learning_rate=0.3"])


def wild():
    return BOOK.get("fedavg").with_settings(["training.learning_rate=1e30"]).model_copy(update={"name": "wild"})


def test_a_recipe_that_diverges_has_no_values_and_the_others_have(labelled, tmp_path):
    found = compare(labelled, [plain(), wild()], out=tmp_path / "c", **ASKED)
    tame, lost = (found["recipes"][name]["accuracy/last"] for name in ("fedavg", "wild"))
    assert tame["mean"] > 0.5 and lost["mean"] is None and lost["values"] == [None, None]
    assert [line for line in found["warnings"] if line.startswith("wild, seed 1 has no values: round 1: no client")]
    assert len(found["curves"]["fedavg"]) == 2 and found["curves"]["wild"] == []


def test_a_baseline_that_diverges_leaves_no_differences(labelled, tmp_path):
    found = compare(labelled, [wild(), plain()], out=tmp_path / "c", **ASKED)
    assert found["recipes"]["fedavg"]["accuracy/last"]["mean"] > 0.5
    assert found["recipes"]["fedavg"]["accuracy/last"]["difference"] is None


def test_a_comparison_in_which_every_run_diverges_ends(labelled, tmp_path):
    with pytest.raises(RunError, match="every run ended early; wild, seed 0 has no values: round 1: no client"):
        compare(labelled, [wild()], out=tmp_path / "c", **ASKED)
