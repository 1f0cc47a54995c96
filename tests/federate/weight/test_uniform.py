from harmonia.federate.weight import Uniform


def test_everybody_counts_alike():
    part = Uniform()
    assert [part.unit(n, k) * part.scale([1, 3], [5, 1]) for n, k in ((1, 5), (3, 1))] == [0.5, 0.5]
