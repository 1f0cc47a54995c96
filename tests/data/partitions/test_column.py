import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.data.partitions import Column, FeatureNoise

SITE = np.array(["b", "a", "c", "a", "b", "a"])


def test_every_value_is_a_client_in_order_of_the_values():
    labels = np.zeros(6, int)
    for clients in (None, 3):
        rows = Column(name="site").split(labels, {"site": SITE}, clients, 0)
        assert [own.tolist() for own in rows] == [[1, 3, 5], [0, 4], [2]]


def test_the_column_tells_how_many_clients_there_are():
    with pytest.raises(InputError, match="'site' has 3 values and so 3 clients, not 4; leave out --clients"):
        Column(name="site").split(np.zeros(6, int), {"site": SITE}, 4, 0)
    with pytest.raises(InputError, match=r"column:sight: no column 'sight'; did you mean 'site'\?"):
        Column(name="sight").split(np.zeros(6, int), {"site": SITE}, None, 0)
    with pytest.raises(InputError, match="the data have no columns besides the label"):
        Column(name="site").split(np.zeros(6, int), {}, None, 0)


def test_the_variance_of_noise_grows_evenly_to_sigma():
    found = FeatureNoise(sigma=0.4).noise(4)
    assert (found**2).tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert FeatureNoise(sigma=0).noise(3).tolist() == [0, 0, 0]
    assert Column(name="site").noise(2).tolist() == [0, 0]
