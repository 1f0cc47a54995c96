"""Helpers for rules of merging: one tensor, or a whole model, from lists and arrays."""

import numpy as np
import pytest
import torch

from harmonia.merge.weights.statistics import MeasuredInMemory


def of(array):
    return torch.tensor(np.asarray(array), dtype=torch.float32)


def model_of(tensors, piece, statistics):
    """Return sources of {name: (base or None, experts)}."""
    return [
        MeasuredInMemory(
            name,
            tuple(of(expert) for expert in experts),
            None if base is None else of(base),
            piece,
            {kind: tuple(of(each) for each in found[name]) for kind, found in statistics.items() if name in found},
        )
        for name, (base, experts) in tensors.items()
    ]


@pytest.fixture
def merge_model():
    """A function that merges {name: (base or None, experts)} to {name: array}."""

    def merge(rule, tensors, counts=None, seed=0, piece=2**17, statistics=None, order=None):
        model = model_of(tensors, piece, statistics or {})
        counts = counts or [1.0] * model[0].experts
        known = rule.survey(model, counts, seed)
        done = {}
        for place in order or range(len(model)):
            tensor = model[place]
            parts = list(rule.merge(tensor, counts, seed, known))
            assert all(part.dtype == torch.float32 and part.dim() == 1 for part in parts)
            done[tensor.name] = torch.cat(parts).reshape(tensor.shape).numpy()
        return done

    return merge


@pytest.fixture
def merge(merge_model):
    """A function that merges one tensor."""

    def one(rule, experts, base=None, counts=None, statistics=None, **settings):
        statistics = {kind: {"w": found} for kind, found in (statistics or {}).items()}
        return merge_model(rule, {"w": (base, experts)}, counts, statistics=statistics, **settings)["w"]

    return one


@pytest.fixture
def tangled():
    """A base of two tensors and three experts that disagree, with equal magnitudes and equal elements among them."""
    random = np.random.default_rng(7)
    tensors = {}
    for name, shape in {"a.weight": (40, 33), "b.weight": (7, 5), "c.bias": (97,)}.items():
        base = random.standard_normal(shape).astype(np.float32)
        tasks = np.round(random.standard_normal((3, *shape)) * 8) / 64  # coarse: many ties and zeros
        tensors[name] = base, list((base + tasks).astype(np.float32))
    return tensors
