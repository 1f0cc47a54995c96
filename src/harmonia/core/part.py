"""A part: one choice on one axis, with its hyper-parameters as validated fields.

A part carries settings and builds the thing that does the work; nothing learned lives in it. Parts of one axis
share a base class with one to three methods and are told apart by ``kind``, so that a recipe is plain YAML.
"""

from __future__ import annotations

import inspect
import types
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """Base of every part: frozen, unknown fields refused, ``kind`` first.

    A concrete part declares ``kind: Literal["top-n"] = "top-n"``, and names what it implements in
    ``references``: keys of the bibliography, printed by ``harmonia cite``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    references: ClassVar[tuple[str, ...]] = ()

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
