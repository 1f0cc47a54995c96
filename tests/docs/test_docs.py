"""The documentation is true: commands parse, code runs, tables are those of the code, links lead somewhere."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from tests.conftest import records

from harmonia.cli.main import app
from harmonia.core.recipe import Recipe, validate
from harmonia.select.judge import JudgeChoice
from harmonia.stages import STAGES, find_stage
from harmonia.worlds.gather import gather
from harmonia.worlds.noise import find_quality
from harmonia.worlds.registry import find_tasks, find_world, parse

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
METHODS = sorted((DOCS / "methods").glob("*.md"))
READ = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
BOOKS = {stage: find_stage(stage).book for stage in STAGES}


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables = script("doc_tables")


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def commands() -> list[tuple[str, str]]:
    """Return (page, command line) of every harmonia command in the shell blocks."""
    found = []
    for page in READ:
        for body in [*blocks(page, "bash"), *blocks(page, "sh")]:
            lines = body.replace("\\\n", " ").splitlines()
            found += [(page.name, line.strip()) for line in lines if line.strip().startswith("harmonia ")]
    return found


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the table of contents makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", head).strip().lower()) for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_tables_are_those_of_the_code(page):
    text = page.read_text(encoding="utf-8")
    assert tables.filled(text) == text, "run scripts/doc_tables.py"


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: value[:60])
def test_commands_parse_and_name_what_exists(page, line):
    words = shlex.split(line, comments=True)[1:]
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    given = bound.arguments
    work = given.get("work")
    settings = (work.set if work else None) or ()
    match words:
        case ["select", *_]:
            recipe(given, "select", "disf-unit").with_settings(settings)
            assert "budget" in given or given.get("suggest_budget"), "a selection needs a budget"
        case ["decide", "play", *_]:
            assert given["run"]
        case ["decide", *_]:
            chosen = recipe(given, "decide", "harmodt").with_settings(settings)
            chosen.check(2, unseen="unseen" in given)
        case ["compare", "select", *_]:
            check_recipes(given, "select", ())
            judge = validate(JudgeChoice, {"judge": given.get("judge", "probe")}, page)
            judge.with_settings(settings)
        case ["compare", "decide", *_]:
            check_recipes(given, "decide", settings)
        case ["compress", *_]:
            recipe(given, "compress", "liar-wifv").with_settings(settings).check()
        case ["compare", "compress", *_]:
            check_recipes(given, "compress", settings)
        case ["trajectories", "gather", *_]:
            parse(given["env"])
            for name in given.get("quality", "expert").split(","):
                find_quality(name)
    if words[0] == "decide" or words[:2] == ["compare", "decide"]:
        for option in ("tasks", "stream", "unseen"):
            check_tasks(given.get(option, ""))


def recipe(given: dict[str, object], stage: str, default: str) -> Recipe:
    name = given.get("recipe", default)
    return BOOKS[stage].get(default if own_file(name) else name)


def check_recipes(given: dict[str, str], stage: str, settings: tuple[str, ...]) -> None:
    for name in given.get("recipes", "").split(","):
        if name and not own_file(name):
            BOOKS[stage].get(name).with_settings(settings)


def check_tasks(names: str) -> None:
    """Some world has all of them."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for world in map(find_world, ("points", "pendulum", "metaworld")):
        known = {*world.sets, *world.tasks()}
        if known.issuperset(wanted):
            find_tasks(world, wanted)
            return
    raise AssertionError(f"no world has {names}")


def own_file(recipe: str) -> bool:
    return recipe.endswith((".yaml", ".yml"))


def test_there_are_commands_to_check():
    assert len(commands()) > 90
    assert {line.split()[1] for _, line in commands()} >= {
        "select",
        "decide",
        "trajectories",
        "compare",
        "report",
        "diagnose",
        "explain",
        "cite",
        "data",
    }


@pytest.mark.parametrize("page", READ, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(re.sub(FENCE, "", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor and there.suffix == ".md":
            assert anchor in slugs(there), f"{page.name} links to {target}, which has {sorted(slugs(there))}"


@pytest.mark.parametrize(("stage", "name"), [(stage, name) for stage in BOOKS for name in BOOKS[stage].names()])
def test_every_recipe_has_a_page_and_a_row(stage, name):
    page = next(page for page, names in tables.METHOD_PAGES.items() if name in names)
    text = (DOCS / "methods" / f"{page}.md").read_text(encoding="utf-8")
    assert f"`{name}`" in text
    assert all(f"`{alias}`" in text for alias in BOOKS[stage].aliases(name))
    assert f"[`{name}`](methods/{page}.md)" in (DOCS / "recipes.md").read_text(encoding="utf-8")


def test_every_method_page_is_of_recipes_that_exist_and_stands_in_the_navigation():
    assert {page.stem for page in METHODS} == set(tables.METHOD_PAGES)
    named = [name for names in tables.METHOD_PAGES.values() for name in names]
    assert sorted(named) == sorted(name for book in BOOKS.values() for name in book.names())
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(str(page.relative_to(DOCS)) in navigation for page in PAGES)


@pytest.mark.parametrize("page", METHODS, ids=lambda p: p.name)
def test_every_method_page_says_what_it_must(page):
    text = page.read_text(encoding="utf-8")
    heads = " ".join(re.findall(r"^## (.+)$", text, re.MULTILINE))
    assert all(word in heads for word in ("Equation", "When to use", "Figures", "Pitfalls", "Cite"))
    assert blocks(page, "bash")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_recipes_in_yaml_are_valid(page):
    for body in blocks(page, "yaml"):
        record = yaml.safe_load(body)
        book = BOOKS[record["stage"]]
        made = validate(book.recipe, record, page.name)
        assert book.recipe.axes().keys() == made.choices().keys()


@pytest.fixture(scope="session")
def trajectories(tmp_path_factory):
    return gather("points:conflict4", tmp_path_factory.mktemp("points") / "data", episodes=10, workers=1)


@pytest.fixture
def folder(tmp_path, monkeypatch, trajectories):
    """A folder with the corpus and the trajectories that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records(200)))
    (tmp_path / "points").symlink_to(trajectories)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda p: p.name)
def test_code_runs(page, folder, capsys):
    run(page)


def run(page: Path) -> dict[str, object]:
    """Run the Python of a page and return what it defined."""
    code = "\n".join(blocks(page, "python")).replace('budget="3%")', 'budget="3%", workers=1)')
    defined: dict[str, object] = {"__name__": "__docs__"}
    exec(compile(code, page.name, "exec"), defined)
    return defined


class TestCompatibility:
    """The table of the stage page, asked of the solvers themselves."""

    @pytest.mark.parametrize(
        "objective",
        [o for o in tables._objectives() if o.kind_name() != "weighted"],
        ids=lambda o: f"{o.kind_name()}-{getattr(o, 'normalise', '')}".rstrip("-"),
    )
    def test_solvers_take_what_the_table_says(self, objective):
        from harmonia.core.errors import InputError
        from harmonia.select import FrankWolfe, Greedy, MaskPolicyGradient, TopN, pick

        modular, relaxed = tables.capabilities(objective)
        fits = {
            TopN(): modular,
            FrankWolfe(): relaxed,
            Greedy(): True,
            MaskPolicyGradient(steps=2, masks=2, batch_fraction=1): True,
        }
        for solver, takes in fits.items():
            if takes:
                assert len(set(pick(tables._pool(), objective, solver, budget=4).rows.tolist())) == 4
            else:
                with pytest.raises(InputError, match="solver"):
                    pick(tables._pool(), objective, solver, budget=4)


@pytest.mark.parametrize("kind", [part.kind_name() for part in BOOKS["decide"].recipe.axes()["sharing"]])
def test_sharing_table_is_what_recipes_are_refused_for(kind):
    """The table of the stage page, asked of the check that every run passes."""
    from harmonia.core.errors import InputError

    row = next(line for line in tables.sharing_table().splitlines() if line.startswith(f"| `{kind}`"))
    together, sequence, stays, _, unseen = (cell.strip() == "yes" for cell in row.split("|")[2:-1])
    sharing, pooled = f"sharing={kind}", "training.normalise=pooled"

    def fits(name: str, *settings: str, **asked: bool) -> bool:
        try:
            BOOKS["decide"].get(name).with_settings([sharing, pooled, *settings]).check(3, **asked)
        except InputError:
            return False
        return True

    assert fits("dt") == together
    assert fits("finetune") == sequence
    if sequence:
        assert fits("ewc") != stays
    if together:
        assert fits("dt", unseen=True) == unseen


def test_the_stream_rule_of_the_design_page_trains(folder, capsys, trajectories):
    """The example is a rule like any other: a stream trained with it equals one that was stopped and resumed."""
    import numpy as np

    from harmonia.core import files
    from harmonia.core.run import Run
    from harmonia.data.trajectories import Trajectories
    from harmonia.decide.lineup import Lineup
    from harmonia.decide.stage import DecideTrial
    from harmonia.decide.work import Work
    from harmonia.testing import Stopped

    halfway = run(DOCS / "design.md")["Halfway"]
    small = DecideTrial().tiny(BOOKS["decide"].get("finetune"))

    def trained(place: str, back: float | None, stop_after: int = 0) -> np.ndarray:
        recipe = small if back is None else small.model_copy(update={"stream": halfway(back=back)})
        order = ["north", "south"]
        lineup = Lineup.of(Trajectories.open(trajectories), order, recipe, seed=0)
        seen = []

        def stop(path: Path) -> None:
            seen.append(path)
            if len(seen) == stop_after:
                raise Stopped

        with Run.start(place, small, {"tasks": order}, resume=Path(place).exists()) as work_folder:
            work = Work(work_folder, recipe, lineup, None, 0, 0, "cpu")
            if stop_after:
                files.written.append(stop)
            try:
                work.train()
            finally:
                if stop_after:
                    files.written.remove(stop)
        return work.policy.learner.vector.numpy()

    plain, whole = trained("plain", None), trained("whole", 0.5)
    assert np.array_equal(plain, trained("none", 0.0))
    assert not np.allclose(plain, whole)
    with pytest.raises(Stopped):
        trained("stopped", 0.5, stop_after=6)
    assert np.array_equal(whole, trained("stopped", 0.5))
