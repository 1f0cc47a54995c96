import threading

import pytest
import torch

from harmonia.core.errors import InputError
from harmonia.merge.sources import InMemory, each
from harmonia.merge.workers import InThreads

MODEL = [InMemory(f"w{i}", (torch.full((i + 1,), float(i)),)) for i in range(20)]


def test_every_tensor_is_worked_on_once_in_order_and_by_several_threads():
    barrier, seen, own = threading.Barrier(3), [], threading.local()

    def work(tensor):
        if not getattr(own, "met", False):
            own.met = True
            barrier.wait(timeout=60)  # passed only where three work at once
        seen.append(threading.get_ident())
        return tensor.name

    model = InThreads(MODEL, 3, "looking, MB")
    assert each(model, work) == [tensor.name for tensor in MODEL] == each(MODEL, lambda tensor: tensor.name)
    assert len(set(seen)) == 3
    assert list(model) == MODEL and model[1:3] == MODEL[1:3] and len(model) == 20


def test_a_failure_ends_the_others_and_threads_are_given_back():
    before, done = torch.get_num_threads(), []

    def work(tensor):
        if tensor.name == "w2":
            raise InputError("w2 is damaged")
        done.append(tensor.name)

    with pytest.raises(InputError, match="w2 is damaged"):
        each(InThreads(MODEL, 1, "looking, MB"), work)
    assert done[:2] == ["w0", "w1"] and len(done) < len(MODEL)
    assert torch.get_num_threads() == before
