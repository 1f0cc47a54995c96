"""A part: one choice on one axis, with its hyper-parameters as validated fields.

A part carries settings and builds the thing that does the work; nothing learned lives in it. Parts of one axis
share a base class with one to three methods and are told apart by ``kind``, so that a recipe is plain YAML.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field

from harmonia.core.errors import InputError


class Part(BaseModel):
    """Base of every part: frozen, unknown fields refused, ``kind`` first.

    A concrete part declares ``kind: Literal["top-n"] = "top-n"``, and names what it implements in
    ``references``: keys of the bibliography, printed by ``harmonia cite``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    references: ClassVar[tuple[str, ...]] = ()
    main: ClassVar[str] = ""
    """The field that the shorthand ``kind:value`` sets, as in ``skip:5``; empty where no field stands out."""

    @classmethod
    def kind_name(cls) -> str:
        """Return the word that names this part in a recipe."""
        return str(cls.model_fields["kind"].default)

    @classmethod
    def meaning(cls) -> str:
        """Return the first paragraph of the docstring."""
        return inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def one_of(*parts: type[Part]) -> Any:
    """Return the type "one of these parts", discriminated by ``kind``: the whole of an axis in one line."""
    if len(parts) == 1:
        return parts[0]
    return Annotated[Union[parts], Field(discriminator="kind")]  # noqa: UP007 - built from a tuple at run time


def shorthand(text: str, parts: Iterable[type[Part]]) -> dict[str, Any]:
    """Return the record that ``kind``, ``kind:value`` or ``kind:value,field=value`` stands for.

    Args:
        text: what was written; a value without a field belongs to the part's main one.
        parts: those of the axis; a kind that is not among them is left to validation.

    Raises:
        InputError: a value that belongs to no field, or is not YAML.

    >>> class Skip(Part):
    ...     kind: Literal["skip"] = "skip"
    ...     period: int = 3
    ...     main: ClassVar[str] = "period"
    >>> shorthand("skip:5", [Skip]), shorthand("skip:period=4", [Skip]), shorthand("skip", [Skip])
    ({'kind': 'skip', 'period': 5}, {'kind': 'skip', 'period': 4}, {'kind': 'skip'})
    """
    kind, colon, rest = text.partition(":")
    part = next((part for part in parts if part.kind_name() == kind), None)
    if not colon or part is None:
        return {"kind": text}
    record: dict[str, Any] = {"kind": kind}
    for place, setting in enumerate(rest.split(",")):
        name, equals, value = setting.partition("=")
        if not equals:
            if place or not part.main:
                fields = [field for field in part.model_fields if field != "kind"]
                wanted = f"write field=value with {', '.join(fields)}" if fields else "it has no settings"
                raise InputError(f"{text!r}: {setting!r} belongs to no field of {kind}; {wanted}")
            name, value = part.main, setting
        known = part.model_fields.get(name.strip())
        try:
            # a name that looks like a number stays a name
            record[name.strip()] = value if known is not None and known.annotation is str else yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"{text!r}: {value!r} is not a YAML value") from error
    return record


def parts_in(annotation: Any) -> tuple[type[Part], ...]:
    """Return the part classes that a field annotation admits, through unions, tuples and optionals."""
    if inspect.isclass(annotation) and issubclass(annotation, Part):
        return (annotation,)
    if get_origin(annotation) in (Literal, None) and not isinstance(annotation, types.UnionType):
        return ()
    return tuple(dict.fromkeys(p for a in get_args(annotation) for p in parts_in(a)))


def parts_of(record: BaseModel) -> list[Part]:
    """Return every part that a record holds, at any depth, in the order of its fields."""
    found: list[Part] = [record] if isinstance(record, Part) else []
    for name in type(record).model_fields:
        value = getattr(record, name)
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, BaseModel):
                found += parts_of(item)
    return found
