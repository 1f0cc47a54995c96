"""How the label laws of clients differ: distance to the global law, classes held in effect, information.

With n_ic examples of class c at client i and p_i = n_i. / n_i: TV(p, q) = (1/2) sum_c |p_c - q_c|; effective classes
exp(H(p)) with H(p) = -sum_c p_c log p_c (Hill 1973, Ecology 54); the mutual information of client and class is
H(p) - sum_i (n_i / n) H(p_i).
"""

from __future__ import annotations

import numpy as np


def class_laws(counts: np.ndarray) -> np.ndarray:
    """Return examples per class as shares: (..., C) -> (..., C) float64; all zero where there is no example.

    >>> class_laws(np.array([[1, 3], [0, 0]])).tolist()
    [[0.25, 0.75], [0.0, 0.0]]
    """
    counts = np.asarray(counts, np.float64)
    total = counts.sum(axis=-1, keepdims=True)
    return counts / np.where(total > 0, total, 1)


def total_variation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the total variation distance of laws over the last axis, broadcast: (..., C), (..., C) -> (...).

    >>> total_variation(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0.5, 0.5])).tolist()
    [0.5, 0.0]
    """
    return np.abs(np.asarray(p) - np.asarray(q)).sum(axis=-1) / 2


def entropy(law: np.ndarray) -> np.ndarray:
    """Return the entropy of laws over the last axis, in nats: (..., C) -> (...).

    >>> float(entropy(np.array([1.0, 0.0])))
    0.0
    """
    law = np.asarray(law, np.float64)
    return -(law * np.log(np.where(law > 0, law, 1))).sum(axis=-1) + 0.0


def effective_classes(law: np.ndarray) -> np.ndarray:
    """Return exp of the entropy: how many equally frequent classes would be as varied: (..., C) -> (...).

    >>> effective_classes(np.array([0.5, 0.5, 0.0])).round(12).tolist()
    2.0
    """
    return np.exp(entropy(law))


def missing_classes(table: np.ndarray) -> np.ndarray:
    """Return how many of the classes that occur anywhere each client lacks: (K, C) -> (K,) int64.

    >>> missing_classes(np.array([[2, 0, 0], [1, 1, 0]])).tolist()
    [1, 0]
    """
    table = np.asarray(table)
    return (table.any(axis=0) & (table == 0)).sum(axis=1)


def client_information(table: np.ndarray) -> float:
    """Return the share of the labels' entropy that is explained by knowing the client: (K, C) -> [0, 1].

    0 where all clients have one law, 1 where a client's examples are of one class; 0 where one class occurs.

    >>> client_information(np.array([[5, 0], [0, 5]])), client_information(np.array([[2, 2], [1, 1]]))
    (1.0, 0.0)
    """
    table = np.asarray(table, np.float64)
    whole = float(entropy(class_laws(table.sum(axis=0))))
    if whole == 0:
        return 0.0
    within = float(class_laws(table.sum(axis=1)) @ entropy(class_laws(table)))
    return min(max(1 - within / whole, 0.0), 1.0)
