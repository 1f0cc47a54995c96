"""What holds for every page: self-contained, escaped, well formed, readable without a script."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from made_up_policy import (
    compared,
    composed,
    disagreement,
    film,
    in_groups,
    in_order,
    make_policy_run,
    masks,
    together,
)
from made_up_run import make_pool, make_run, picks_of
from made_up_training import clients_that_disagree, compared_trainings, dealt, make_training_run, training

from harmonia.core.compare import statistic
from harmonia.core.errors import InputError, RunError
from harmonia.core.files import read_json, write_json
from harmonia.report import (
    compare,
    decide,
    diagnose,
    diagnose_decide,
    diagnose_federate,
    federate,
    partition,
    select,
)
from harmonia.report import pages as dispatch
from harmonia.report.page import render
from harmonia.select.context import Context
from harmonia.select.diagnosis import measure

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'--></textarea></script></style>"
    "{{ 7 * 7 }} javascript:alert(3) \u202edesrever \x00 数据 🦔"
)
VOID = {"meta", "input", "br", "img", "link", "hr"}


class Outline(HTMLParser):
    """Tags, attributes and visible text; refuses tags that are not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text, self.open, self.scripts = [], [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, k, v or "") for k, v in attributes]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append([dict(attributes), ""])

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, k, v or "") for k, v in attributes]

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += data
        elif not self.open or self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def selection_page(folder, sources, texts="plain", ids=None, picked=20, per_source=60, quality=True):
    pool, read = make_pool(sources, per_source, text=texts, ids=ids, quality=quality)
    make_run(folder, pool, read, picks_of(np.random.default_rng(0).permutation(len(pool))[:picked]))
    return select.page(folder)


def comparison(recipes, seeds=4, **extra):
    rng = np.random.default_rng(0)
    names = ["bpb/law", "bpb/mail", "bpb/mean", "bpb/worst", "epochs"]
    values = {
        r: {m: (2 + shift + 0.01 * rng.normal(size=seeds)).tolist() for m in names} for r, shift in recipes.items()
    }
    first = next(iter(recipes))
    return {
        "metrics": names,
        "baseline": first,
        "seeds": list(range(seeds)),
        "recipes": {r: {m: vars(statistic(v[m], values[first][m])) for m in names} for r, v in values.items()},
        "seconds": dict.fromkeys(recipes, 3.5),
        "peak_memory_bytes": dict.fromkeys(recipes, 2**29),
        **extra,
    }


def diagnosis_page(sources, texts="plain", ids=None, **changes):
    pool, read = make_pool(sources, 30, text=texts, ids=ids, **changes)
    return diagnose.page(measure(pool, Context(), lambda rows: [read[i] for i in rows]))


def pages(folder, sources, texts="plain", ids=None):
    yield selection_page(folder / "run", sources, texts, ids and ids[: 60 * len(sources)])
    yield compare.page(
        comparison({"random": 0.0, sources[0]: -0.1, sources[-1] + "'": 0.1}, warnings=[texts], judge=texts)
    )
    yield diagnosis_page(sources, texts, ids and ids[: 30 * len(sources)])


def policy_page(folder, summary, films=()):
    videos = [film(folder, f"film-{i}") | {"task": task} for i, task in enumerate(films)]
    return decide.page(make_policy_run(folder, {**summary, "videos": videos}))


def policy_pages(folder, tasks, words="plain"):
    """``tasks``: four names or more."""
    shared = {"recipe": words, "warnings": [words]}
    joint = together(tasks, unknown=True, sharing=in_groups(tasks), **shared)
    for task in joint["tasks"]:
        task["text"] = words
    yield policy_page(folder / "joint", joint, tasks[:2])
    yield policy_page(folder / "stream", in_order(tasks, kept=0.3, sharing=composed(tasks), **shared), tasks[:1])
    rates = {"finetune": 0.3, f"better {words}": 0.8, "mtl": 0.7}
    yield compare.page(compared(rates, tasks, streams={"finetune": 0.1}, warnings=[words]))
    yield diagnose_decide.page(disagreement(tasks))


def training_pages(folder, classes, words="plain"):
    """``classes``: four names or more."""
    told = {"recipe": words, "warnings": [words], "data": words}
    yield federate.page(make_training_run(folder / "training", training(classes=classes, clients=6, **told)))
    finals = {"fedavg": 0.7, f"better {words}": 0.8, "fedper": 0.8}
    yield compare.page(compared_trainings(finals, private=["fedper"], warnings=[words]))
    yield diagnose_federate.page(clients_that_disagree(classes=classes, data=words, partition=words))
    yield partition.page(dealt(classes=classes, data=words, partition=words, means=words))


def every_page(folder, names, texts="plain", ids=None):
    yield from pages(folder, names, texts, ids)
    yield from policy_pages(folder, [*names, *(f"task {i}" for i in range(4))], texts)
    yield from training_pages(folder, [*names, *(f"class {i}" for i in range(4))], texts)


def test_pages_load_nothing_and_run_their_own_script_only(tmp_path):
    for page in every_page(tmp_path, ["law", "mail", "web"]):
        outline = Outline(page)
        assert not {"link", "iframe", "object", "embed", "base", "audio"} & set(outline.tags)
        for tag, name, value in outline.attributes:
            if name == "src":
                assert value.startswith("data:image/gif;base64,") and tag == "img"
            assert name not in (
                "srcset",
                "poster",
                "background",
                "action",
                "formaction",
            ) and not name.startswith("on"), (tag, name)
            if name == "href":
                assert value.startswith("#")
        assert "url(" not in page and "@import" not in page and "http-equiv" in page
        assert not re.search(r"https?://", page)
        script = next(body for attributes, body in outline.scripts if "type" not in attributes)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = next(
            v for tag, name, v in outline.attributes if tag == "meta" and name == "content" and "default-src" in v
        )
        assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy
        assert ("img-src data:;" in policy) == ("Policy" in outline.text)
        assert not re.search(r"-src [^;]*(https?:|\*)", policy)
        assert [a.get("type") for a, _ in outline.scripts].count(None) == 1


def test_hostile_texts_names_and_ids_stay_text(tmp_path):
    ids = [f"{HOSTILE}{i}" for i in range(200)]
    calm_tags = [set(Outline(page).tags) for page in every_page(tmp_path / "calm", ["law", "mail"])]
    for page, known in zip(every_page(tmp_path / "evil", [HOSTILE, "x" * 400], HOSTILE, ids), calm_tags, strict=True):
        outline = Outline(page)
        assert set(outline.tags) <= known
        assert not any(name.startswith("on") for _, name, _ in outline.attributes)
        assert "alert(1)" in page and "<script>alert" not in page and "<img src=x" not in page
        assert "{{ 7 * 7 }}" in page and "\u202e" not in page and "\x00" not in page
        assert outline.tags.count("script") == 1 + ('type="application/json"' in page)


def test_the_points_of_the_map_are_inert_json(tmp_path):
    page = selection_page(tmp_path / "run", [HOSTILE, "mail"], HOSTILE)
    attributes, body = next(s for s in Outline(page).scripts if "type" in s[0])
    assert attributes == {"type": "application/json", "id": "points"} and "<" not in body
    points = json.loads(body)
    assert len({len(points[k]) for k in ("x", "y", "source", "rank", "id", "text")}) == 1
    assert len(points["x"]) == 120 and sum(r >= 0 for r in points["rank"]) == 20
    assert min(points["x"] + points["y"]) >= 0 and max(points["x"] + points["y"]) <= 1000
    assert sorted(points["rank"])[-20:] == list(range(20))


def test_figures_of_the_selection_stand_on_the_page(tmp_path):
    pool, texts = make_pool(["law", "mail"])
    summary = make_run(
        tmp_path / "run", pool, texts, picks_of(np.arange(12)), warnings=["mind the gap"], rejects={"empty text": 3}
    )
    words = Outline(select.page(tmp_path / "run")).words
    assert "disf-unit" in words and "10.0 % of the documents" in words and "mind the gap" in words
    assert "left out: 3 × empty text." in words
    ranks = summary["spectrum"]["effective_rank"]
    assert f"{ranks['picks']:.3f}" in words and f"{ranks['random']:.3f}" in words and f"{ranks['pool']:.2f}" in words
    assert "Nothing was picked from 1 of 2 sources: mail." in words
    assert "14.0 s" in words and "768 MiB" in words and "@inproceedings{fan2025disf" in words
    assert select.length_bias(summary["length"]) in words


@pytest.mark.parametrize(
    ("sources", "changes"),
    [
        (["all"], {}),
        ([f"s{i:03d}" for i in range(100)], {"per_source": 5}),
        (["a", "b"], {"quality": False}),
        (["a", "b"], {"picked": 0}),
        (["a", "b"], {"picked": 1}),
        (["a", "b"], {"picked": 120}),
    ],
)
def test_edges(tmp_path, sources, changes):
    page = selection_page(tmp_path / "run", sources, **changes)
    outline = Outline(page)
    assert outline.tags.count("h1") == 1 and not {"nan", "None"} & set(outline.words.split())
    assert ("Nothing was picked." in outline.words) == (changes.get("picked") == 0)
    assert ("mean score" in outline.words) == changes.get("quality", True)
    assert len(page.encode()) < 1_000_000
    assert "nan" not in "".join(v for tag, name, v in outline.attributes if name in ("d", "x", "x1", "cx", "style"))


def test_a_pool_without_texts_or_features_has_a_page(tmp_path):
    from harmonia.select.pool import Pool

    pool = Pool.from_arrays(ids=[str(i) for i in range(10)])
    make_run(tmp_path / "run", pool, [""] * 10, picks_of(np.arange(3)))
    words = Outline(select.page(tmp_path / "run")).words
    assert "30.0 % of the documents" in words and "Map of pool" not in words and "effective rank" not in words


def test_constant_scores_have_no_curve(tmp_path):
    pool, texts = make_pool(["a"])
    chosen = picks_of(np.arange(9))
    make_run(tmp_path / "run", pool, texts, replace(chosen, scores=np.ones(9)))
    make_run(tmp_path / "falling", pool, texts, chosen)
    assert "What each further pick adds" not in select.page(tmp_path / "run")
    assert "What each further pick adds" in select.page(tmp_path / "falling")


def test_a_full_sample_stays_below_a_megabyte(tmp_path):
    page = selection_page(
        tmp_path / "run",
        [f"source {i}" for i in range(8)],
        per_source=1500,
        picked=6000,
        texts="some words that are as long as those of a usual document " * 8,
    )
    assert len(page.encode()) < 1_000_000
    points = json.loads(next(body for a, body in Outline(page).scripts if "type" in a))
    assert len(points["x"]) == 2 * select.MAP_POINTS


def test_examples_come_from_every_source(tmp_path):
    page = selection_page(tmp_path / "run", [f"s{i:02d}" for i in range(40)], per_source=20, picked=400)
    cards = [v for tag, name, v in Outline(page).attributes if tag == "article" and name == "data-source"]
    assert len(cards) == 200 and len(set(cards)) == 40


def test_a_missing_or_damaged_result_is_said_in_one_line(tmp_path):
    with pytest.raises(RunError, match=r"summary\.json is missing"):
        select.page(tmp_path)
    selection_page(tmp_path / "run", ["a"])
    sample = tmp_path / "run" / "result" / "sample.parquet"
    sample.write_bytes(b"PAR1 broken")
    with pytest.raises(RunError, match=r"sample\.parquet is damaged"):
        select.page(tmp_path / "run")
    sample.unlink()
    with pytest.raises(RunError, match=r"sample\.parquet is missing"):
        select.page(tmp_path / "run")


def test_a_page_is_a_function_of_its_input(tmp_path):
    first = selection_page(tmp_path / "run", ["a", "b"])
    assert select.page(tmp_path / "run") == first


def test_a_value_that_the_template_lacks_is_an_error():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render("select.html", "title")


def test_the_diagnosis_page_names_findings_figures_and_recipes():
    words = Outline(diagnosis_page(["law", "mail", "web"])).words
    assert "Sources lie apart" in words and "stratified" in words and "facility-location" in words
    assert "How far sources mix" in words and "90 documents" in words
    for sources in (["all"], [f"s{i:03d}" for i in range(100)]):
        assert "What stands out" in Outline(diagnosis_page(sources)).words


def test_a_calm_diagnosis_advises_nothing():
    record = measure(make_pool(["all"], 200, quality=False, dimension=40)[0], Context(), lambda rows: [""] * len(rows))
    assert record["advice"] == [] and "Nothing does." in Outline(diagnose.page(record)).words


def test_the_page_is_that_of_the_stage_and_of_the_kind_of_result(tmp_path):
    folder = make_policy_run(tmp_path / "run", together())
    assert dispatch.page_of(folder) == decide.page(folder)
    for stage, kind, record, title in (
        ("decide", "comparison", compared({"mtdt": 0.4, "harmodt": 0.8}), "Comparison of recipes"),
        ("decide", "diagnosis", disagreement(), "Diagnosis of tasks"),
        ("federate", "comparison", compared_trainings({"fedavg": 0.4, "moon": 0.8}), "Comparison of recipes"),
        ("federate", "diagnosis", clients_that_disagree(), "Diagnosis of clients"),
        ("select", "comparison", comparison({"random": 0.0, "a": -0.1}), "Comparison of recipes"),
    ):
        write_json(tmp_path / kind / "run.json", {"status": "finished", "request": {"stage": stage}})
        write_json(tmp_path / kind / "result" / dispatch.RESULTS[kind], record)
        assert f"<title>{title}</title>" in dispatch.page_of(tmp_path / kind)
        assert read_json(tmp_path / kind / "run.json")["request"]["stage"] == stage


def test_every_page_that_is_named_exists():
    from importlib import import_module

    assert all(callable(import_module(module).page) for module in dispatch.PAGES.values())
    assert {kind for _, kind in dispatch.PAGES} == set(dispatch.RESULTS)


def test_a_run_without_a_page_is_said_in_one_line(tmp_path):
    write_json(tmp_path / "run.json", {"status": "finished", "request": {"stage": "decide"}})
    with pytest.raises(InputError, match="holds no result that has a page"):
        dispatch.page_of(tmp_path)
    write_json(tmp_path / "run.json", {"status": "running", "request": {"stage": "decide"}})
    with pytest.raises(InputError, match="go on with --resume"):
        dispatch.page_of(tmp_path)


def test_a_policy_page_of_fifty_tasks_is_small(tmp_path):
    tasks = [f"task-{i}" for i in range(50)]
    page = policy_page(tmp_path / "run", together(tasks, alternating=True, sharing=masks(tasks)))
    assert len(page.encode()) < 1_500_000
    assert 'class="heats bare"' in page
