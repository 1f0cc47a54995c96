import torch

from harmonia.maths.competition import competition, unit


def column(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None]


def test_unit_by_hand():
    rows = torch.tensor([[0.0, 1, 2, 5], [3, 3, 3, 3]])
    assert unit(rows, column(1, 3), column(3, 3)).tolist() == [[0, 0, 0.5, 1], [0, 0, 0, 0]]


def test_by_hand():
    tasks = torch.tensor([[1.0, -0.5], [1.0, 2.0]])
    found = competition(tasks, column(0, 0), column(1, 2))
    x = torch.tensor
    expected = [
        [x(2.0).exp() * x(2.0).tanh(), x(0.5).exp() * x(-0.75).tanh()],
        [x(0.5).exp() * x(2.0).tanh(), x(2.0).exp() * x(3.0).tanh()],
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_agreement_decides_the_sign_and_size_the_amount():
    random = torch.Generator().manual_seed(0)
    tasks = torch.randn(3, 200, generator=random)
    found = competition(tasks, column(0, 0, 0), column(3, 3, 3))
    assert ((found > 0) == (tasks * tasks.sum(dim=0) > 0)).all()
    alone = competition(torch.linspace(0.1, 3, 50)[None], column(0), column(3))[0]
    assert (alone.diff() > 0).all()


def test_the_same_bits_for_an_element_alone():
    tasks = torch.randn(3, 37, generator=torch.Generator().manual_seed(1))
    low, high = column(0.1, 0.1, 0.1), column(1, 2, 3)
    whole = competition(tasks, low, high)
    for i in range(37):
        assert (competition(tasks[:, i : i + 1], low, high) == whole[:, i : i + 1]).all()
