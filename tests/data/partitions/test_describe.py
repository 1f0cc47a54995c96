import json

import numpy as np
import pytest

from harmonia.data.partitions import IID, describe


def test_a_small_table_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 3])
    skew = describe([np.array([0, 1, 3]), np.array([2, 4, 5])], labels, 4)
    assert skew.table.tolist() == [[2, 1, 0, 0], [1, 1, 0, 1]]
    assert skew.sizes.tolist() == [3, 3] and skew.held.tolist() == [2, 3] and skew.missing.tolist() == [1, 0]
    assert skew.distance.tolist() == pytest.approx([1 / 6, 1 / 6]) and skew.mean_distance == pytest.approx(1 / 6)
    assert skew.effective[1] == pytest.approx(3)
    record = json.loads(json.dumps(skew.record()))
    assert record["clients"] == 2 and record["examples"] == 6 and record["classes_missing"] == [1, 0]


def test_iid_clients_differ_only_by_chance():
    labels = np.arange(20_000) % 10
    skew = describe(IID().split(labels, {}, 5, 0), labels, 10)
    # E|p_c - q_c| = sqrt(2 q (1 - q) (1 / n_i - 1 / n) / pi) per class for a sample without replacement
    expected = 5 * np.sqrt(2 * 0.09 * (1 / 4000 - 1 / 20_000) / np.pi)
    assert skew.mean_distance == pytest.approx(expected, rel=0.4)
    assert skew.information < 1e-3 and skew.effective.min() > 9.9
