import pytest
import torch
from pydantic import ValidationError

from harmonia.federate.drift import Dyn
from harmonia.federate.server import DynServer


def number(x):
    return torch.tensor([x], dtype=torch.float64)


def test_one_step_by_hand():
    """Clients at 0.629136875 and 3.273068125 from w = 1."""
    step = DynServer(alpha=0.5).start()
    found = step.step(number(1.0), number((0.629136875 + 3.273068125) / 2), 2, 2)
    assert step.state["h"].item() == pytest.approx(-0.47555125, abs=1e-9)
    assert found.item() == pytest.approx(2.902205, abs=1e-9)


def test_h_is_minus_alpha_times_all_changes_so_far_over_all_clients():
    step, model, changes = DynServer(alpha=0.2).start(), number(0.0), 0.0
    for average, active in [(1.0, 2), (3.0, 5), (-2.0, 1)]:
        changes += active / 5 * (average - model.item())
        model = step.step(model, number(average), active, 5)
        assert step.state["h"].item() == pytest.approx(-0.2 * changes)
        assert model.item() == pytest.approx(average + changes)


def test_few_of_many_clients_hardly_move_h():
    step = DynServer().start()
    assert step.step(number(1.0), number(2.0), 1, 10**9).item() == pytest.approx(2, abs=1e-8)


def test_it_goes_with_the_drift_correction():
    assert DynServer().alpha == Dyn().alpha
    with pytest.raises(ValidationError, match="alpha"):
        DynServer(alpha=0)
