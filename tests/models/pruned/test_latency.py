# ruff: noqa: E402
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from harmonia.core.errors import InputError
from harmonia.models.pruned import latency, seconds_per_token


class Sleeper(torch.nn.Module):
    """Takes as long as it is told, call after call, on a clock of its own, and remembers the shapes it saw."""

    clock = 0.0

    def __init__(self, *seconds):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seconds, self.shapes = list(seconds), []

    def forward(self, input_ids):
        self.shapes.append(tuple(input_ids.shape))
        Sleeper.clock += self.seconds.pop(0)


def test_the_median_of_what_counts_is_divided_by_the_tokens(monkeypatch):
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: Sleeper.clock))
    # the first call warms up, and of the three that count one is disturbed
    slow, fast = Sleeper(0.3, 0.04, 0.2, 0.04), Sleeper(0.3, 0.01, 0.01, 0.2)
    found = seconds_per_token([slow, fast], batch=2, length=4, repeats=3, warm=1)
    assert [8 * seconds for seconds in found] == pytest.approx([0.04, 0.01])
    assert slow.shapes == fast.shapes == [(2, 4)] * 4


def test_nothing_to_measure():
    with pytest.raises(InputError, match="0 models: at least 1 of each"):
        seconds_per_token([], batch=1)
    with pytest.raises(InputError, match="batch=0"):
        seconds_per_token([Sleeper()], batch=0)
