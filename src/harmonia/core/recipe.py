"""A recipe: one part per axis, as plain YAML; and the book of a stage's named recipes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from harmonia.core.errors import InputError, suggest
from harmonia.core.files import write_text
from harmonia.core.part import Part, parts_in, parts_of, shorthand


class Recipe(BaseModel):
    """One choice per axis. A stage subclasses this with one field per axis, each of a ``one_of(...)`` type."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    stage: ClassVar[str]

    name: str = "custom"
    """What the recipe is called in tables and reports."""

    @classmethod
    def axes(cls) -> dict[str, tuple[type[Part], ...]]:
        """Return each axis of the stage with the parts it offers."""
        return {name: found for name, field in cls.model_fields.items() if (found := parts_in(field.annotation))}

    def choices(self) -> dict[str, Part]:
        """Return the part chosen on each axis."""
        return {axis: getattr(self, axis) for axis in self.axes()}

    def references(self) -> list[str]:
        """Return the bibliography keys of every part in use, without repetition."""
        return list(dict.fromkeys(key for part in parts_of(self) for key in part.references))

    def to_yaml(self) -> str:
        """Return the recipe as YAML, every field written out."""
        return yaml.safe_dump({"stage": self.stage, **self.model_dump(mode="json")}, sort_keys=False)

    def save(self, path: str | Path) -> None:
        """Write the recipe as YAML, whole or not at all."""
        write_text(path, self.to_yaml())

    def with_settings(self, settings: Iterable[str]) -> Self:
        """Return the recipe with ``axis.field=value`` changes applied, validated again.

        ``axis=kind`` exchanges the part on an axis; ``axis.a.b=value`` reaches nested parts, and a number
        indexes a list (``objective.terms.0.weight=0.3``). Values are YAML.

        Raises:
            InputError: a setting is malformed, names an unknown axis or field, or has a wrong value.
        """
        record = self.model_dump(mode="json")
        for setting in settings:
            path, equals, value = setting.partition("=")
            if not equals or not path:
                raise InputError(f"--set {setting}: expected axis.field=value; axes are {', '.join(self.axes())}")
            _assign(record, type(self), path.split("."), _yaml_value(value, setting), setting)
        return validate(type(self), record, "--set")


def _yaml_value(text: str, setting: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {setting}: {text!r} is not a YAML value") from error


def _assign(record: dict[str, Any], recipe: type[Recipe], path: list[str], value: Any, setting: str) -> None:
    axis = path[0]
    axes = recipe.axes()
    if axis not in axes:
        raise InputError(f"--set {setting}: no axis {axis!r} in stage {recipe.stage}{suggest(axis, axes)}")
    if len(path) == 1 and isinstance(value, str):
        value = shorthand(value, axes[axis])
    target: Any = record
    for depth, key in enumerate(path[:-1]):
        index = _index(target, key, setting)
        if target[index] is None or not isinstance(target[index], dict | list):
            raise InputError(f"--set {setting}: {'.'.join(path[: depth + 1])} has no fields")
        target = target[index]
    last = path[-1]
    place: Any = _index(target, last, setting) if isinstance(target, list) else last
    held = target[place] if isinstance(target, list) else target.get(place)
    if isinstance(held, dict) and "kind" in held and isinstance(value, str):
        value = {"kind": value}
    target[place] = value


def _index(target: Any, key: str, setting: str) -> Any:
    if isinstance(target, list):
        if not key.isdigit() or int(key) >= len(target):
            raise InputError(f"--set {setting}: {key!r} is not an index below {len(target)}")
        return int(key)
    if key not in target:
        raise InputError(f"--set {setting}: no field {key!r}{suggest(key, target)}")
    return key


R = TypeVar("R", bound=Recipe)


def validate(recipe: type[R], record: Any, where: str) -> R:
    """Return the validated recipe.

    Raises:
        InputError: the record does not fit; the message names ``where``, the field and what was expected.
    """
    if not isinstance(record, dict):
        raise InputError(f"{where}: a recipe is a mapping of axis to part, not {type(record).__name__}")
    record = dict(record)
    stage = record.pop("stage", recipe.stage)
    if stage != recipe.stage:
        raise InputError(f"{where}: this recipe is for stage {stage!r}, not {recipe.stage!r}")
    for axis, parts in recipe.axes().items():
        if isinstance(record.get(axis), str):
            record[axis] = shorthand(record[axis], parts)
    try:
        return recipe.model_validate(record)
    except ValidationError as error:
        raise InputError(f"{where}: {explain_validation(error, recipe, record)}") from error


def explain_validation(error: ValidationError, model: type[BaseModel], record: Any) -> str:
    """Return the first validation failure as one line that names the field and the remedy."""
    first = error.errors(include_url=False)[0]
    path = _written_path(first["loc"], record, missing=first["type"] == "missing")
    where = ".".join(path) or "recipe"
    kind = first["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        context = first.get("ctx", {})
        expected = [word.strip(" '") for word in str(context.get("expected_tags", "")).split(",")]
        tag = context.get("tag")
        if tag is None:
            return f"{where}: add kind: one of {', '.join(expected) if expected != [''] else 'the parts of this axis'}"
        return f"{where}: no part {tag!r}{suggest(str(tag), expected)}"
    if kind == "model_attributes_type":
        return f"{where}: write the name of a part, or a mapping with its kind (given {first['input']!r})"
    if kind == "literal_error" and path and path[-1] == "kind":
        return f"{'.'.join(path[:-1])}: no part {first['input']!r}; {first['msg'].lower()}"
    if kind == "extra_forbidden":
        known = _fields_at(model, record, first["loc"][:-1])
        return f"{where}: unknown field{suggest(path[-1], known)}"
    if kind == "missing":
        return f"{where}: this field is required"
    return f"{where}: {first['msg'].lower()} (given {first['input']!r})"


def _written_path(location: tuple[Any, ...], record: Any, *, missing: bool) -> list[str]:
    """Return the steps of an error's location that the user wrote.

    pydantic adds the member of a union that it tried (a part's kind, ``constrained-int``); those are not in the record.
    """
    path, node = [], record
    for number, step in enumerate(location):
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            if not (missing and number == len(location) - 1):
                continue
        path.append(str(step))
    return path


def _fields_at(model: type[BaseModel], record: Any, location: tuple[Any, ...]) -> list[str]:
    """Return the fields known where an error lies: those of the part whose kind the record names there."""
    node = record
    for step in location:
        with contextlib.suppress(KeyError, IndexError, TypeError):
            node = node[step]
    if isinstance(node, dict) and "kind" in node:
        return [f for part in _reachable(model) if part.kind_name() == node["kind"] for f in part.model_fields]
    return list(model.model_fields)


def _reachable(model: type[BaseModel], seen: tuple[type[BaseModel], ...] = ()) -> list[type[Part]]:
    """Return every part class that a record of ``model`` may hold, at any depth."""
    found: list[type[Part]] = []
    for field in model.model_fields.values():
        for part in parts_in(field.annotation):
            if part not in (*seen, *found):
                found += [p for p in [part, *_reachable(part, (*seen, *found, part))] if p not in found]
    return [part for part in found if "kind" in part.model_fields]


class RecipeBook(Generic[R]):
    """The named recipes of one stage: plain functions that return the composed record.

    >>> book = RecipeBook(Recipe)
    >>> @book.add(aliases=("fast",))
    ... def top_n() -> Recipe:
    ...     "Take the best."
    ...     return Recipe()
    >>> book.names(), book.get("fast").name
    (['top-n'], 'top-n')
    """

    def __init__(self, recipe: type[R]) -> None:
        self.recipe = recipe
        self._functions: dict[str, Callable[[], R]] = {}
        self._aliases: dict[str, str] = {}

    def add(self, *, aliases: Iterable[str] = ()) -> Callable[[Callable[[], R]], Callable[[], R]]:
        """Register a function under its own name, underscores written as hyphens."""

        def register(function: Callable[[], R]) -> Callable[[], R]:
            name = function.__name__.strip("_").replace("_", "-")
            self._functions[name] = function
            self._aliases.update(dict.fromkeys(aliases, name))
            return function

        return register

    def names(self) -> list[str]:
        """Return the names in the order of the book."""
        return list(self._functions)

    def __iter__(self) -> Iterator[R]:
        return (self.get(name) for name in self._functions)

    def aliases(self, name: str) -> list[str]:
        """Return the other names of a recipe."""
        return [alias for alias, target in self._aliases.items() if target == name]

    def meaning(self, name: str) -> str:
        """Return the first paragraph of a recipe's docstring."""
        return " ".join((self._functions[name].__doc__ or "").split("\n\n")[0].split())

    def get(self, name: str) -> R:
        """Return a recipe by name or alias.

        Raises:
            InputError: there is none; the nearest name is suggested.
        """
        name = self._aliases.get(name, name)
        if name not in self._functions:
            stage = self.recipe.stage
            raise InputError(
                f"no recipe {name!r} in stage {stage}{suggest(name, [*self._functions, *self._aliases])}"
                f" (harmonia recipes {stage} lists them)"
            )
        return self._functions[name]().model_copy(update={"name": name})

    def load(self, name_or_file: str | Path | Recipe) -> R:
        """Return a recipe from its name, from a YAML file, or as it is.

        Raises:
            InputError: no such recipe or file, the file does not hold a valid recipe, or the recipe is of another kind.
        """
        if isinstance(name_or_file, self.recipe):
            return name_or_file
        if isinstance(name_or_file, Recipe):
            given, wanted = type(name_or_file).__name__, self.recipe.__name__
            raise InputError(f"recipe {name_or_file.name!r} is a {given}, not a {wanted}")
        text = str(name_or_file)
        if not text.endswith((".yaml", ".yml", ".json")):
            return self.get(text)
        path = Path(text)
        try:
            record = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(f"no recipe file {path}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {error}") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f" line {mark.line + 1}" if mark else ""
            raise InputError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from error
        recipe = validate(self.recipe, record, str(path))
        return recipe if recipe.name != "custom" else recipe.model_copy(update={"name": path.stem})
