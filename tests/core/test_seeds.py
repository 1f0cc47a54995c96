"""Randomness by name: uniform, independent of order, reproducible."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harmonia.core.seeds import generator, gumbels, mix, stable_hash, uniforms

KEYS = stable_hash(str(i) for i in range(20000))


def test_hash_is_the_same_on_every_machine():
    assert int(stable_hash(["harmonia"])[0]) == 17062814059936338603


def test_uniforms_are_uniform_and_gumbels_gumbel():
    assert stats.kstest(uniforms(KEYS, 0, "a"), "uniform").pvalue > 1e-3
    assert stats.kstest(gumbels(KEYS, 0, "a"), "gumbel_r").pvalue > 1e-3


def test_seeds_and_purposes_are_independent():
    a, b, c = uniforms(KEYS, 0, "a"), uniforms(KEYS, 1, "a"), uniforms(KEYS, 0, "b")
    assert max(abs(np.corrcoef(a, b)[0, 1]), abs(np.corrcoef(a, c)[0, 1])) < 0.03


@given(st.permutations(range(50)))
def test_a_number_belongs_to_its_key_whatever_the_order(order):
    assert np.array_equal(uniforms(KEYS[:50], 3)[list(order)], uniforms(KEYS[:50][list(order)], 3))


def test_mix_is_a_bijection_on_a_sample():
    assert len(np.unique(mix(KEYS, 5))) == len(np.unique(KEYS))


def test_path_words_do_not_run_together():
    assert generator(0, "ab", "c").random() != generator(0, "a", "bc").random()
