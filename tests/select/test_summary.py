import json

import numpy as np
import pytest

from harmonia.core.seeds import stable_hash
from harmonia.select import summary as module
from harmonia.select.context import Context
from harmonia.select.keyed_sample import keyed_sample
from harmonia.select.pool import Pool
from harmonia.select.solver.base import Picks
from harmonia.select.summary import summarise


def picks_of(rows, scores=None, batches=None, facts=None):
    k = len(rows)
    return Picks(
        np.asarray(rows, np.int64),
        np.arange(k, 0.0, -1) if scores is None else np.asarray(scores, float),
        {},
        np.zeros(k, np.int64) if batches is None else np.asarray(batches),
        facts or {},
    )


def make(n=300, d=6, seed=0, **changes):
    rng = np.random.default_rng(seed)
    texts = [f"text {i} " + "é" * int(rng.integers(1, 500)) for i in range(n)]
    given = {
        "quality": rng.normal(size=n),
        "sources": [f"s{i % 3}" for i in range(n)],
        "texts": texts,
        "tokens": rng.integers(1, 100, n),
    } | changes
    return Pool.from_arrays(rng.normal(size=(n, d)) * np.geomspace(1, 0.1, d), **given), texts


def run(pool, picks, texts=None, warned=None, seed=0):
    context = Context(seed=seed, warn=(warned if warned is not None else []).append)
    return summarise(pool, picks, lambda rows: [texts[i] if texts else "" for i in rows], context)


def test_counts_equal_a_direct_sum():
    pool, texts = make()
    rows = np.random.default_rng(1).permutation(300)[:40]
    summary, _ = run(pool, picks_of(rows), texts)
    assert summary["documents"] == 300 and summary["tokens"] == pool.tokens.sum()
    assert summary["picked"] == {"documents": 40, "tokens": pool.tokens[rows].sum()}
    for s, row in enumerate(summary["sources"]):
        ours, theirs = pool.sources == s, pool.sources[rows] == s
        assert row == {
            "source": f"s{s}",
            "documents": ours.sum(),
            "tokens": pool.tokens[ours].sum(),
            "picked_documents": theirs.sum(),
            "picked_tokens": pool.tokens[rows][theirs].sum(),
        }


def test_spectra_equal_those_of_numpy():
    pool, texts = make()
    rows = np.arange(50)
    summary, _ = run(pool, picks_of(rows), texts)
    spectrum = summary["spectrum"]
    for name, x in (("pool", pool.features), ("picks", pool.features[rows])):
        values = np.linalg.eigvalsh(np.cov(x.T))[::-1]
        p = values / values.sum()
        np.testing.assert_allclose(spectrum[name], p, rtol=1e-9)
        assert spectrum["effective_rank"][name] == pytest.approx(np.exp(-(p * np.log(p)).sum()))
        assert spectrum["participation_ratio"][name] == pytest.approx(1 / (p**2).sum())
    assert spectrum["sampled"] == {"pool": 300, "picks": 50, "random": 50}


def test_picking_at_random_looks_random():
    pool, texts = make(2000, 6)
    rows = keyed_sample(pool.keys, 400, 99, "another draw")
    warned = []
    summary, _ = run(pool, picks_of(rows), texts, warned)
    ranks = summary["spectrum"]["effective_rank"]
    assert ranks["picks"] == pytest.approx(ranks["random"], rel=0.05)
    assert not [line for line in warned if "collapse" in line]


def test_picking_everything_gives_the_pool():
    pool, texts = make()
    summary, sample = run(pool, picks_of(np.arange(300)), texts)
    spectrum, quality = summary["spectrum"], summary["quality"]["quality"]
    np.testing.assert_allclose(spectrum["picks"], spectrum["pool"])
    np.testing.assert_allclose(spectrum["random"], spectrum["pool"])
    assert quality["pool"] == quality["picks"] and quality["mean_pool"] == quality["mean_picks"]
    assert all(sample["picked"].to_pylist())


def test_histograms_count_every_document_once():
    pool, texts = make()
    rows = np.arange(0, 300, 4)
    summary, _ = run(pool, picks_of(rows), texts)
    for part, values in ((summary["quality"]["quality"], pool.quality["quality"]), (summary["length"], pool.lengths)):
        assert sum(part["pool"]) == 300 and sum(part["picks"]) == 75
        assert part["mean_pool"] == pytest.approx(values.mean())
        assert part["mean_picks"] == pytest.approx(values[rows].mean())
        assert np.all(np.diff(part["edges"]) > 0)
    assert summary["length"]["edges"][0] == pytest.approx(pool.lengths.min())
    np.testing.assert_allclose(np.diff(np.log(summary["length"]["edges"]), 2), 0, atol=1e-12)


def test_values_that_are_not_finite_are_left_out():
    pool, texts = make(quality=np.array([np.nan, 1.0, 3.0] * 100))
    summary, sample = run(pool, picks_of([0, 1]), texts)
    assert summary["quality"]["quality"]["mean_pool"] == 2.0 and sum(summary["quality"]["quality"]["pool"]) == 200
    assert summary["quality"]["quality"]["mean_picks"] == 1.0
    assert sample["quality"].null_count == 100


def test_a_long_selection_is_reported_as_length_bias():
    pool, texts = make()
    warned = []
    summary, _ = run(pool, picks_of(np.argsort(-pool.lengths)[:30]), texts, warned)
    times = summary["length"]["mean_picks"] / summary["length"]["mean_pool"]
    assert times > 1.5
    assert any(line.startswith("length bias") and f"{times:.2f} times" in line for line in warned)
    assert summary["warnings"] == warned


def test_a_collapsed_selection_is_reported():
    pool, texts = make()
    flat = np.argsort(np.abs(pool.features[:, 1:]).sum(axis=1))[:30]
    warned = []
    summary, _ = run(pool, picks_of(flat), texts, warned)
    ranks = summary["spectrum"]["effective_rank"]
    assert ranks["picks"] < module.COLLAPSE * ranks["random"]
    assert any(f"effective rank {ranks['picks']:.1f}" in line for line in warned)


def test_gains_are_thinned_with_both_ends_kept():
    pool, texts = make(2000)
    scores = np.geomspace(1, 1e-3, 1800)
    scores[0] = np.inf
    gains = run(pool, picks_of(np.arange(1800), scores), texts)[0]["gains"]
    assert len(gains["rank"]) == len(gains["score"]) == module.CURVE
    assert gains["rank"][0] == 0 and gains["rank"][-1] == 1799 and gains["score"][0] is None
    np.testing.assert_array_equal(gains["score"][1:], scores[gains["rank"][1:]])


def test_a_budget_is_suggested_where_the_gains_flatten():
    pool, texts = make()
    assert run(pool, picks_of(range(8), [5, 5, 5, 1, 1, 1, 1, 1]), texts)[0]["suggested_budget"] == 3
    # two batches that flatten after the first of four picks each: two picks in all
    both = picks_of(range(8), [6, 1, 1, 1, 4, 1, 1, 1], [0] * 4 + [1] * 4)
    summary = run(pool, both, texts)[0]
    assert summary["suggested_budget"] == 2
    assert summary["gains"] == {"rank": [0, 2, 4, 6], "score": [5.0, 1.0, 1.0, 1.0]}
    # a last batch cut short has gains of its own scale and does not bend the curve
    short = picks_of(range(8), [6, 1, 1, 4, 1, 1, 90, 80], [0, 0, 0, 1, 1, 1, 2, 2])
    assert run(pool, short, texts)[0]["gains"]["score"] == [5.0, 1.0, 1.0]
    assert run(pool, picks_of(range(8), [1.0] * 8), texts)[0]["suggested_budget"] is None


def test_injected_copies_are_found_with_their_ids():
    texts = [f"text {i}" for i in range(200)]
    features = np.random.default_rng(0).normal(size=(200, 32))
    features[[30, 60, 90]] = features[7] * [[1.0], [2.0], [0.5]]
    pool = Pool.from_arrays(features, sources=["a"] * 100 + ["b"] * 100, texts=texts)
    group = run(pool, picks_of([60, 3]), texts)[0]["redundant"][0]
    assert group["ids"] == ["7", "30", "60", "90"] and group["size"] == 4 and group["picked"] == 1
    assert group["similarity"] == pytest.approx(1.0) and group["excerpt"] == texts[7][:400] and group["source"] == "a"


def test_the_map_is_the_projection_on_the_first_two_principal_components():
    pool, texts = make()
    _, sample = run(pool, picks_of([1, 2]), texts)
    x = pool.features - pool.features.mean(axis=0)
    _, _, vt = np.linalg.svd(x, full_matrices=False)
    order = [int(i) for i in sample["id"].to_pylist()]
    place = np.column_stack([sample["x"], sample["y"]])
    np.testing.assert_allclose(np.abs(place), np.abs(x[order] @ vt[:2].T), atol=1e-9)


def test_the_sample_holds_pool_and_picks_without_repetition(monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 50)
    pool, texts = make(1000)
    rows = np.arange(0, 1000, 5)[::-1]
    _, sample = run(pool, picks_of(rows), texts)
    ids = [int(i) for i in sample["id"].to_pylist()]
    assert len(set(ids)) == len(ids)
    assert set(keyed_sample(pool.keys, 50, 0, "summary", "sample").tolist()) <= set(ids)
    picked = {i: r for i, r, p in zip(ids, sample["rank"].to_pylist(), sample["picked"].to_pylist(), strict=True) if p}
    assert len(picked) >= 50 and all(rows[r] == i for i, r in picked.items())
    assert all(e == texts[i][:400] for i, e in zip(ids, sample["excerpt"].to_pylist(), strict=True))


def test_permuting_the_pool_changes_nothing():
    pool, texts = make(400, ids=[f"d{i}" for i in range(400)])
    order = np.random.default_rng(5).permutation(400)
    moved = Pool.from_arrays(
        pool.features[order],
        quality=pool.quality["quality"][order],
        sources=[pool.source_names[s] for s in pool.sources[order]],
        tokens=pool.tokens[order],
        texts=[texts[i] for i in order],
        ids=[f"d{i}" for i in order],
    )
    rows = np.arange(60)
    a, sample_a = run(pool, picks_of(rows), texts)
    b, sample_b = run(moved, picks_of(np.argsort(order)[rows]), [texts[i] for i in order])
    assert sample_a["id"].to_pylist() == sample_b["id"].to_pylist()
    assert a["sources"] == b["sources"] and a["quality"]["quality"]["picks"] == b["quality"]["quality"]["picks"]
    np.testing.assert_allclose(a["spectrum"]["random"], b["spectrum"]["random"], rtol=1e-9)
    np.testing.assert_allclose(sample_a["x"], sample_b["x"], atol=1e-9)


def test_block_size_and_a_sampled_pool_keep_the_figures(monkeypatch):
    pool, texts = make(1000)
    whole = run(pool, picks_of(np.arange(100)), texts)[0]["spectrum"]
    monkeypatch.setattr(module, "SCANNED", 500)
    part = run(pool, picks_of(np.arange(100)), texts)[0]["spectrum"]
    assert part["sampled"] == {"pool": 500, "picks": 100, "random": 100}
    assert part["effective_rank"]["pool"] == pytest.approx(whole["effective_rank"]["pool"], rel=0.05)


def test_nothing_to_measure_gives_none_and_plain_json():
    pool = Pool.from_arrays(ids=["a", "b", "c"])
    summary, sample = run(pool, picks_of([]))
    assert summary["spectrum"] is None and summary["length"] is None and summary["gains"] is None
    assert summary["redundant"] == [] and summary["picked"] == {"documents": 0, "tokens": 0}
    assert sample.num_rows == 3 and sample["x"].null_count == 3
    pool, texts = make()
    json.dumps(run(pool, picks_of([], facts={"gap": np.inf}), texts)[0], allow_nan=False)


def test_constant_features_have_no_spectrum():
    pool = Pool.from_arrays(np.ones((10, 3)))
    summary, sample = run(pool, picks_of([1, 2]))
    assert summary["spectrum"]["pool"] == [] and summary["spectrum"]["effective_rank"]["pool"] is None
    np.testing.assert_allclose(sample["x"], 0, atol=1e-12)


def test_a_keyed_sample_is_nested_and_follows_the_ids():
    keys = stable_hash([str(i) for i in range(1000)])
    small, large = keyed_sample(keys, 10, 3, "x"), keyed_sample(keys, 100, 3, "x")
    np.testing.assert_array_equal(small, large[:10])
    assert (
        len(set(large)) == 100
        and len(keyed_sample(keys, 5000, 3, "x")) == 1000
        and len(keyed_sample(keys, 0, 3, "x")) == 0
    )
    order = np.random.default_rng(0).permutation(1000)
    np.testing.assert_array_equal(order[keyed_sample(keys[order], 10, 3, "x")], small)
