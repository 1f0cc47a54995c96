"""Recipes: YAML, --set, and errors that name the field."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.part import Part, one_of, parts_in
from harmonia.core.recipe import Recipe, RecipeBook


class Slow(Part):
    """Takes its time."""

    kind: Literal["slow"] = "slow"
    references: ClassVar[tuple[str, ...]] = ("slow2020",)
    step: float = Field(default=0.1, gt=0, le=1)
    """Step length."""


class Fast(Part):
    """Hurries."""

    kind: Literal["fast"] = "fast"
    batch: int | Literal["all"] = 8
    """Rows at once."""
    inner: Slow | None = None
    """A part inside a part."""


class Toy(Recipe):
    stage: ClassVar[str] = "toy"
    motor: one_of(Slow, Fast)  # type: ignore[valid-type]
    brake: Slow = Slow()


def book() -> RecipeBook[Toy]:
    book = RecipeBook(Toy)

    @book.add(aliases=("crawler",))
    def snail_pace() -> Toy:
        """Goes slowly.

        More words.
        """
        return Toy(motor=Slow())

    @book.add()
    def rocket() -> Toy:
        """Goes fast."""
        return Toy(motor=Fast(inner=Slow(step=0.5)))

    return book


def test_axes_and_choices():
    assert Toy.axes() == {"motor": (Slow, Fast), "brake": (Slow,)}
    assert parts_in(int | None) == ()
    assert book().get("rocket").choices()["motor"].kind_name() == "fast"


def test_names_aliases_and_meaning():
    assert book().names() == ["snail-pace", "rocket"]
    assert book().get("crawler").name == "snail-pace"
    assert book().aliases("snail-pace") == ["crawler"]
    assert book().meaning("snail-pace") == "Goes slowly."


def test_references_reach_nested_parts_once():
    assert book().get("rocket").references() == ["slow2020"]


@pytest.mark.parametrize("name", ["snail-pace", "rocket"])
def test_yaml_round_trip(tmp_path, name):
    recipe = book().get(name)
    recipe.save(tmp_path / "r.yaml")
    assert book().load(tmp_path / "r.yaml") == recipe


@pytest.mark.parametrize(
    ("settings", "check"),
    [
        (["motor.step=0.25"], lambda r: r.motor.step == 0.25),
        (["motor=fast"], lambda r: isinstance(r.motor, Fast)),
        (["motor=fast", "motor.batch=all"], lambda r: r.motor.batch == "all"),
        (["brake.step=1e-3"], lambda r: r.brake.step == 1e-3),
    ],
)
def test_settings(settings, check):
    assert check(book().get("snail-pace").with_settings(settings))


def test_an_error_in_a_union_names_only_what_was_written():
    with pytest.raises(InputError, match=r"^--set: motor\.batch: "):
        book().get("rocket").with_settings(["motor.batch=1.5"])


def test_a_nested_part_is_exchanged_by_its_name():
    assert book().get("rocket").with_settings(["motor.inner=slow"]).motor.inner == Slow()


def test_settings_reach_nested_parts():
    assert book().get("rocket").with_settings(["motor.inner.step=0.75"]).motor.inner.step == 0.75


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("motor", ["expected axis.field=value"]),
        ("motr.step=1", ["no axis 'motr'", "did you mean 'motor'"]),
        ("motor.stp=1", ["motor.stp", "unknown field", "did you mean 'step'"]),
        ("motor.inner.stp=1", ["no field 'inner'"]),
        ("motor.step=2", ["motor.step", "less than or equal to 1"]),
        ("motor.step=fast", ["motor.step", "number"]),
        ("motor=fsat", ["no part 'fsat'", "did you mean 'fast'"]),
        ("motor.step.more=1", ["motor.step has no fields"]),
        ("motor.step={", ["not a YAML value"]),
        ("brake=fast", ["brake", "fast"]),
        ("motor={kind: fast, batch: 0.5}", ["motor.batch"]),
    ],
)
def test_bad_settings_say_what_and_where(setting, words):
    with pytest.raises(InputError) as caught:
        book().get("snail-pace").with_settings([setting])
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stage: other\nmotor: slow\n", ["stage 'other'"]),
        ("stage: toy\nmotor: {kind: slow, stepp: 1}\n", ["motor", "stepp", "did you mean 'step'"]),
        ("stage: toy\nmotor: {kind: slow, step: quick}\n", ["motor.step", "number"]),
        ("stage: toy\nmotor: {kind: slwo}\n", ["no part 'slwo'", "did you mean 'slow'"]),
        ("stage: toy\nmotor: {step: 1}\n", ["motor", "kind"]),
        ("stage: toy\nmoter: slow\n", ["motor", "required"]),
        ("stage: toy\nmotor: slow\nwheel: 3\n", ["wheel", "unknown field"]),
        ("- a\n- b\n", ["mapping"]),
        ("stage: [\n", ["line", "not valid YAML"]),
        ("!!python/object/apply:os.system ['true']\n", ["not valid YAML"]),
    ],
)
def test_bad_files_say_file_field_and_remedy(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        book().load(path)
    assert all(word in str(caught.value) for word in ["bad.yaml", *words]), str(caught.value)


def test_unknown_recipe_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'rocket'"):
        book().get("rokcet")
    with pytest.raises(InputError, match="no recipe file"):
        book().load("missing.yaml")


def test_a_book_takes_recipes_of_its_own_kind_only():
    toy = book().get("rocket")
    assert book().load(toy) is toy
    with pytest.raises(InputError, match="recipe 'other' is a Recipe, not a Toy"):
        book().load(Recipe(name="other"))
