import torch

from harmonia.maths.class_means import class_means, class_members, merged_means


def test_equal_to_one_class_after_the_other():
    torch.manual_seed(0)
    rows, labels = torch.randn(3, 20, 4).double(), torch.randint(5, (3, 20))
    valid = torch.rand(3, 20) < 0.7
    means, counts = class_means(rows, class_members(labels, 6, valid))
    for i in range(3):
        for c in range(6):
            own = rows[i][(labels[i] == c) & valid[i]]
            assert counts[i, c] == len(own)
            torch.testing.assert_close(means[i, c], own.mean(dim=0) if len(own) else torch.zeros(4).double())


def test_reports_are_merged_by_examples_and_a_silent_class_keeps_its_mean():
    sums, counts = torch.tensor([[2.0, 4.0], [0.0, 0.0], [0.0, 0.0]]), torch.tensor([4.0, 0.0, 0.0])
    means, known = merged_means(sums, counts)
    assert known.tolist() == [True, False, False]
    assert means[0].tolist() == [0.5, 1.0]
    later, known = merged_means(
        torch.tensor([[0.0, 0.0], [3.0, 3.0], [0.0, 0.0]]), torch.tensor([0.0, 1, 0]), means, known
    )
    assert later.tolist() == [[0.5, 1.0], [3.0, 3.0], [0.0, 0.0]] and known.tolist() == [True, True, False]
