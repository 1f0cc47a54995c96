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
from harmonia.core.recipe import validate
from harmonia.select.judge import JudgeChoice
from harmonia.select.recipe import SelectRecipe
from harmonia.select.recipes import BOOK

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
METHODS = sorted((DOCS / "methods").glob("*.md"))
READ = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


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
    if words[0] == "select":
        recipe = BOOK.load("disf-unit" if own_file(given.get("recipe", "")) else given.get("recipe", "disf-unit"))
        recipe.with_settings((work.set if work else None) or ())
        assert "budget" in given or given.get("suggest_budget"), "a selection needs a budget"
    elif words[:2] == ["compare", "select"]:
        for name in given.get("recipes", "").split(","):
            if name and not own_file(name):
                BOOK.get(name)
        judge = validate(JudgeChoice, {"judge": given.get("judge", "probe")}, page)
        judge.with_settings((work.set if work else None) or ())


def own_file(recipe: str) -> bool:
    return recipe.endswith((".yaml", ".yml"))


def test_there_are_commands_to_check():
    assert len(commands()) > 40
    assert {line.split()[1] for _, line in commands()} >= {
        "select",
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


@pytest.mark.parametrize("name", BOOK.names())
def test_every_recipe_has_a_page_and_a_row(name):
    page = next(page for page, names in tables.METHOD_PAGES.items() if name in names)
    text = (DOCS / "methods" / f"{page}.md").read_text(encoding="utf-8")
    assert f"`{name}`" in text
    assert all(f"`{alias}`" in text for alias in BOOK.aliases(name))
    assert f"[`{name}`](methods/{page}.md)" in (DOCS / "recipes.md").read_text(encoding="utf-8")


def test_every_method_page_is_of_recipes_that_exist_and_stands_in_the_navigation():
    assert {page.stem for page in METHODS} == set(tables.METHOD_PAGES)
    named = [name for names in tables.METHOD_PAGES.values() for name in names]
    assert sorted(named) == sorted(BOOK.names())
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(str(page.relative_to(DOCS)) in navigation for page in PAGES)


@pytest.mark.parametrize("page", METHODS, ids=lambda p: p.name)
def test_every_method_page_says_what_it_must(page):
    text = page.read_text(encoding="utf-8")
    heads = " ".join(re.findall(r"^## (.+)$", text, re.MULTILINE))
    assert all(word in heads for word in ("Equation", "When to use", "Figures", "Pitfalls", "Cite"))
    assert blocks(page, "bash")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_recipes_in_yaml_are_valid(page, tmp_path):
    for body in blocks(page, "yaml"):
        recipe = validate(SelectRecipe, yaml.safe_load(body), page.name)
        assert SelectRecipe.axes().keys() == recipe.choices().keys()


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A folder with the corpus that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records(200)))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda p: p.name)
def test_code_runs(page, corpus, capsys):
    code = "\n".join(blocks(page, "python")).replace('budget="3%")', 'budget="3%", workers=1)')
    exec(compile(code, page.name, "exec"), {"__name__": "__docs__"})


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
