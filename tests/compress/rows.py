"""Sites and statistics from rows of inputs, for tests of criteria, allocations and repairs."""

import numpy as np
import torch

from harmonia.compress.site import Moments, Seen, Site

X = np.array([[1.0, 0, 1], [0, 1, 2], [1, 1, 3], [2, 1, 5]])
W = np.array([[1.0, 2, 1], [0, 1, -1]])
B = np.array([0.5, -0.5])


def moments(rows, sequences=1):
    return Moments(len(rows), rows.mean(axis=0), rows.T @ rows, sequences)


def seen(rows, held=None, **more):
    return Seen(moments(rows), None if held is None else moments(held), **more)


def site(weight, run=1, *, name="layers.0.down", layer=0, kind="neurons", parameters=1, macs=1):
    units = weight.shape[1] // run
    return Site(name, layer, kind, units, run, torch.from_numpy(weight), None, parameters, macs)


def drawn(seed=0, n=60, d=8, out=3, mean=1.0):
    """Return correlated rows (n, d) with a mean, weights (out, d) and a bias (out,)."""
    random = np.random.default_rng(seed)
    mix = random.normal(size=(d, d)) / d**0.5 + np.eye(d)
    rows = random.normal(size=(n, d)) @ mix + mean * random.normal(size=d)
    return rows, random.normal(size=(out, d)), random.normal(size=out)


def measured(rows, weight, bias, kept, repaired):
    """Return the squared error of a repair, from the rows themselves."""
    dense = rows @ weight.T + (0 if bias is None else bias)
    now = rows[:, kept] @ repaired.weight.T + (0 if repaired.bias is None else repaired.bias)
    return float(((dense - now) ** 2).sum())
