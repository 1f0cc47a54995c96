"""The battery itself: it finds what it is meant to find."""

from __future__ import annotations

import numpy as np
import pytest

from harmonia import testing
from harmonia.core.errors import InputError
from harmonia.core.files import write_text
from harmonia.core.recipe import Recipe


class Honest(Recipe):
    stage = "toy"


class Trial:
    identity = "rows"
    forgets = False
    follows_order = False
    accepts_anything = False
    calls = 0

    def run(self, recipe, data, *, seed, out, resume=False):
        if not self.accepts_anything and any(x < 0 for x in data):
            raise InputError(f"row {min(data)} is negative")
        self.calls += 1
        state = out / "state"
        if not (resume and state.exists()):
            write_text(state, "half")
        elif self.forgets:
            data = [x + 1 for x in data]
        write_text(out / "result", "whole")
        return {"rows": np.array(data if self.follows_order else sorted(data))}

    def reordered(self, data, folder):
        return data[::-1]

    def limits(self, recipe):
        return iter(())

    def spoiled(self, data, folder):
        yield "negative", [*data, -1], "negative"


class Stage:
    def __init__(self, trial):
        self.trial = trial

    def cite(self, keys):
        return ""


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (None, None),
        ("forgets", "resumed equals uninterrupted"),
        ("follows_order", "order of the input"),
        ("accepts_anything", "negative was accepted"),
    ],
)
def test_the_battery_finds_each_fault(monkeypatch, fault, word):
    trial = Trial()
    if fault:
        setattr(trial, fault, True)
    monkeypatch.setattr(testing, "find_stage", lambda name: Stage(trial))
    if fault is None:
        testing.check_recipe(Honest(), [1, 2, 3], interruptions=2)
    else:
        with pytest.raises(AssertionError, match=word):
            testing.check_recipe(Honest(), [1, 2, 3], interruptions=2)
