import copy
import json

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select import diagnosis as module
from harmonia.select.advice import DUPLICATES_MATTER, advice, collapse
from harmonia.select.context import Context
from harmonia.select.diagnosis import measure
from harmonia.select.pool import Pool


def run(pool, texts=None, seed=0):
    return measure(pool, Context(seed=seed), lambda rows: [texts[i] if texts else "" for i in rows])


def calm(n=600, d=16, seed=0):
    """Two sources drawn from one distribution: nothing to say."""
    rng = np.random.default_rng(seed)
    texts = [f"{i} " + "x" * int(rng.integers(80, 120)) for i in range(n)]
    return {
        "features": rng.normal(size=(n, d)),
        "texts": texts,
        "sources": ["ab"[i % 2] for i in range(n)],
        "quality": rng.normal(size=n),
    }


def kinds(record):
    return [item["recipes"] for item in record["advice"]]


def test_nothing_is_advised_where_nothing_stands_out():
    given = calm()
    record = run(Pool.from_arrays(**given), given["texts"])
    assert record["advice"] == [] and not record["collapse"]["collapsed"] and record["examples"] == []
    assert record["duplicates"]["exact"]["surplus"] == 0 and record["duplicates"]["near"]["share"] == 0
    np.testing.assert_allclose(record["overlap"]["mixing"], 1.0, atol=0.1)
    json.dumps(record, allow_nan=False)


def test_sizes_lengths_and_quality_equal_direct_figures():
    given = calm()
    pool = Pool.from_arrays(**given)
    for s, row in enumerate(run(pool)["sources"]):
        own = pool.sources == s
        assert row["documents"] == own.sum() and row["tokens"] == pool.tokens[own].sum()
        assert row["share"] == pytest.approx(pool.tokens[own].sum() / pool.tokens.sum())
        assert row["mean_length"] == pytest.approx(pool.lengths[own].mean())
        assert row["median_length"] == np.median(pool.lengths[own])
        assert row["quality"]["quality"] == pytest.approx(pool.quality["quality"][own].mean())


def test_spectra_of_sources_and_pool_equal_numpy():
    given = calm()
    pool = Pool.from_arrays(**given)
    record = run(pool)

    def ranks(x):
        values = np.linalg.eigvalsh(np.cov(x.T))
        p = values / values.sum()
        return np.exp(-(p * np.log(p)).sum()), 1 / (p**2).sum(), np.sort(p)[::-1]

    entropy, participation, shares = ranks(pool.features)
    spectrum = record["spectrum"]
    assert spectrum["effective_rank"] == pytest.approx(entropy)
    assert spectrum["participation_ratio"] == pytest.approx(participation)
    assert spectrum["dominance"] == {"10": pytest.approx(shares[:10].sum())} and spectrum["largest_rank"] == 16
    for s, row in enumerate(record["sources"]):
        entropy, participation, _ = ranks(pool.features[pool.sources == s])
        assert (row["effective_rank"], row["participation_ratio"]) == (
            pytest.approx(entropy),
            pytest.approx(participation),
        )


def test_exact_duplicates_within_and_between_sources_are_counted():
    given = calm()
    texts = given["texts"]
    texts[2] = texts[4] = texts[0]  # three copies in a
    texts[7] = texts[9] = texts[6]  # one in a, two in b
    exact = run(Pool.from_arrays(**given), texts)["duplicates"]["exact"]
    assert exact["surplus"] == 4 and exact["share"] == pytest.approx(4 / 600)
    assert exact["by_source"] == [pytest.approx(4 / 300), pytest.approx(2 / 300)]
    assert exact["shared_texts"] == [[0, 1], [1, 0]]


def test_a_sample_by_text_estimates_the_share_of_copies(monkeypatch):
    texts = [f"t{i % 4000}" for i in range(6000)]  # a third is surplus
    pool = Pool.from_arrays(texts=texts)
    assert run(pool)["duplicates"]["exact"]["share"] == pytest.approx(1 / 3)
    monkeypatch.setattr(module, "HASHES", 1500)
    record = run(pool)
    read = record["sampled"]["exact_duplicates"]
    assert 1300 < read < 1700
    assert record["duplicates"]["exact"]["share"] == pytest.approx(1 / 3, abs=0.03)


def test_near_duplicates_are_found_and_deduplication_is_advised():
    given = calm(n=1000)
    given["features"][500:600] = given["features"][:100] * 3.0 + 1e-3
    record = run(Pool.from_arrays(**given), given["texts"])
    near = record["duplicates"]["near"]
    assert near["share"] == pytest.approx(0.2) and record["sampled"]["neighbour_queries"] == 1000
    assert kinds(record) == [["semdedup", "d4"]]
    assert record["advice"][0]["figures"] == {"near_duplicate_share": near["share"]}
    assert "20.0 %" in record["advice"][0]["finding"]
    first = record["examples"][0]
    assert first["similarity"] == pytest.approx(1, abs=1e-4)
    assert abs(int(first["documents"][0]["id"]) - int(first["documents"][1]["id"])) == 500


def test_the_share_of_near_duplicates_weighs_sources_by_their_size(monkeypatch):
    monkeypatch.setattr(module, "QUERIES", 100)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1000, 16))
    features[50:100] = features[:50]  # the small source repeats itself, the large one does not
    record = run(Pool.from_arrays(features, sources=["small"] * 100 + ["large"] * 900))
    near = record["duplicates"]["near"]
    assert record["sampled"]["neighbour_queries"] == 100
    assert near["by_source"] == [0.0, 1.0] and near["share"] == pytest.approx(0.1)
    assert near["sources"] == ["large", "small"] and near["nearest_in"] == [[0, 0], [0, 1]]


def test_neighbours_equal_a_slow_search():
    given = calm(n=120)
    pool = Pool.from_arrays(**given)
    unit = pool.features / np.linalg.norm(pool.features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    nearest = np.argsort(-cosines, axis=1)[:, :10]
    expected = np.zeros((2, 2))
    for i, row in enumerate(nearest):
        for j in row:
            expected[pool.sources[i], pool.sources[j]] += 1
    n = np.array([60, 60])
    chance = 600 * (n - np.eye(2)) / 119
    np.testing.assert_allclose(run(pool)["overlap"]["mixing"], (expected + expected.T) / (chance + chance.T))


def test_sources_far_apart_are_reported():
    given = calm()
    given["features"][::2, 0] += 40
    given["features"][1::2, 1] += 40
    record = run(Pool.from_arrays(**given))
    assert record["overlap"]["mixing"][0][1] == 0
    assert ["stratified", "facility-location"] in kinds(record)
    assert record["advice"][-1]["figures"]["median_mixing"] == 0


def test_collapse_is_said_with_its_figures():
    given = calm(d=64)
    given["features"] *= np.geomspace(1, 1e-3, 64)
    record = run(Pool.from_arrays(**given))
    assert record["collapse"]["collapsed"] and record["collapse"]["dominance_10"] > 0.5
    item = next(item for item in record["advice"] if "disf-unit" in item["recipes"])
    assert item["figures"]["dominance_10"] == record["spectrum"]["dominance"]["10"]
    assert f"{100 * record['collapse']['dominance_10']:.0f} %" in item["finding"]


@pytest.mark.parametrize(
    ("participation", "dominance", "most", "collapsed"),
    [(50.0, 0.3, 100, False), (4.9, 0.3, 100, True), (50.0, 0.51, 100, True), (20.0, 0.9, 40, False)],
)
def test_the_rule_of_collapse(participation, dominance, most, collapsed):
    found = collapse({"participation_ratio": participation, "largest_rank": most, "dominance": {"10": dominance}})
    assert found["collapsed"] is collapsed and bool(found["reasons"]) is collapsed


def test_uneven_sources_and_lengths_are_reported():
    rng = np.random.default_rng(0)
    texts = ["x" * 100 + str(i) for i in range(990)] + ["y" * 1000 + str(i) for i in range(4)]
    record = run(Pool.from_arrays(rng.normal(size=(994, 16)), texts=texts, sources=["big"] * 990 + ["tiny"] * 4))
    uneven, lengths = record["advice"]
    assert uneven["recipes"] == ["stratified"] and "big has" in uneven["finding"]
    assert lengths["recipes"] == [] and "a budget in tokens" in lengths["finding"]
    assert lengths["figures"]["longest_mean_bytes"] == pytest.approx(1001)


def test_quality_that_goes_with_length_or_narrows_is_reported():
    given = calm()
    lengths = np.array([len(t) for t in given["texts"]])
    given["quality"] = lengths + 0.0
    record = run(Pool.from_arrays(**given))
    assert record["quality"]["quality"]["length_correlation"] == pytest.approx(1)
    assert kinds(record) == [["datamask", "frank-wolfe"]] and "rises with length" in record["advice"][0]["finding"]
    given = calm()
    given["features"][:60, 3:] *= 0.05  # the best tenth lives in three directions
    given["quality"][:60] += 10.0
    record = run(Pool.from_arrays(**given))
    ratio = record["quality"]["quality"]["narrowing"]
    assert ratio == pytest.approx(3 / 16, abs=0.05)
    item = next(item for item in record["advice"] if "datamask" in item["recipes"])
    assert item["figures"] == {"effective_rank_ratio": ratio} and f"{100 * ratio:.0f} %" in item["finding"]


def test_variance_between_sources_is_eta_squared():
    from sklearn.feature_selection import f_classif

    given = calm()
    given["quality"][::2] += 1.0
    pool = Pool.from_arrays(**given)
    found = run(pool)["quality"]["quality"]["between_sources"]
    f = f_classif(pool.quality["quality"][:, None], pool.sources)[0][0]
    assert found == pytest.approx(f / (f + 598))  # eta^2 = F df1 / (F df1 + df2)


def test_the_order_of_documents_does_not_matter():
    given = calm()
    given["ids"] = [f"d{i}" for i in range(600)]
    order = np.random.default_rng(3).permutation(600)
    moved = {k: v[order] if isinstance(v, np.ndarray) else [v[i] for i in order] for k, v in given.items()}
    a, b = run(Pool.from_arrays(**given)), run(Pool.from_arrays(**moved))
    assert a["overlap"]["mixing"] == b["overlap"]["mixing"] and a["sampled"] == b["sampled"]
    assert a["spectrum"]["effective_rank"] == pytest.approx(b["spectrum"]["effective_rank"])
    assert a["quality"]["quality"]["narrowing"] == pytest.approx(b["quality"]["quality"]["narrowing"])


def test_many_sources_keep_tables_of_pairs_small():
    rng = np.random.default_rng(0)
    record = run(Pool.from_arrays(rng.normal(size=(1000, 8)), sources=[f"s{i % 100:03d}" for i in range(1000)]))
    assert len(record["sources"]) == 100 and len(record["overlap"]["sources"]) == module.PAIRED
    assert np.array(record["overlap"]["mixing"]).shape == (module.PAIRED, module.PAIRED)
    assert record["overlap"]["neighbours"] == 25


def test_one_source_or_no_features_measure_what_there_is():
    record = run(Pool.from_arrays(np.random.default_rng(0).normal(size=(50, 4))))
    assert record["overlap"] is None and record["duplicates"]["exact"] is None
    assert record["sources"][0]["mean_length"] is None
    record = run(Pool.from_arrays(texts=["a", "a", "b"]))
    assert record["spectrum"] is None and record["collapse"] is None and record["duplicates"]["exact"]["surplus"] == 1
    assert kinds(record) == [["semdedup", "d4"]]
    assert run(Pool.from_arrays(ids=["only"]))["advice"] == []


def test_an_empty_pool_is_refused():
    with pytest.raises(InputError, match="the pool is empty"):
        run(Pool(np.zeros(0, np.uint64), np.zeros(0, np.int32), ["a"], np.zeros(0, np.int64), np.zeros(0, np.int64)))


def test_advice_is_a_function_of_the_record_alone():
    given = calm()
    record = run(Pool.from_arrays(**given))
    before = copy.deepcopy(record)
    assert advice(record) == [] and record == before
    record["duplicates"]["near"]["share"] = DUPLICATES_MATTER
    assert [item["recipes"] for item in advice(record)] == [["semdedup", "d4"]]


def test_every_advised_recipe_exists():
    from harmonia.select.recipes import BOOK

    sources = [
        {"source": s, "documents": 9, "tokens": t, "share": t / 1001, "mean_length": m}
        for s, t, m in (("a", 1000, 10.0), ("b", 1, 100.0))
    ]
    spectrum = {"participation_ratio": 1.5, "effective_rank": 2.0, "largest_rank": 64, "dominance": {"10": 0.99}}
    record = {
        "duplicates": {"exact": {"share": 0.1}, "near": {"share": 0.2}},
        "sources": sources,
        "spectrum": spectrum,
        "collapse": collapse(spectrum),
        "overlap": {"mixing": [[2, 0], [0, 2]]},
        "quality": {"q": {"narrowing": 0.1, "length_correlation": -0.9}},
    }
    found = advice(record)
    assert len(found) == 7
    assert {name for item in found for name in item["recipes"]} <= {recipe.name for recipe in BOOK}
