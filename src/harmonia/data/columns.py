"""Which column plays which role in a document, and how the usual names are recognised."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from harmonia.core.errors import InputError, suggest

TEXT_NAMES = (
    "text",
    "content",
    "document",
    "body",
    "raw_content",
    "page_content",
    "markdown",
    "code",
    "sentence",
    "story",
)
ID_NAMES = ("id", "doc_id", "document_id", "docid", "_id", "uid", "uuid", "warc_record_id")
SOURCE_NAMES = (
    "source",
    "domain",
    "subset",
    "dataset",
    "category",
    "pile_set_name",
    "meta.source",
    "meta.pile_set_name",
    "metadata.source",
    "metadata.domain",
    "metadata.category",
)

QUALITY_NAMES = ("quality", "quality_score")
TOKENS_NAMES = ("tokens", "n_tokens", "num_tokens", "token_count")

ROLES = ("text", "id", "source", "quality", "embedding", "tokens")
"""The roles that a column can play, in the order in which a row is checked."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that play a role; ``None`` (for quality: nothing) lets harmonia look for a usual name.

    Vectors are never guessed: they are used only when their column is named.

    A dot reaches into a nested record: ``source="metadata.source"``.

    Attributes:
        text: the document itself (text).
        id: unique name of the document (text or integer); without one it is made of file name and row.
        source: where the document comes from (text, integer or boolean); without one, the top folder or the file's
            stem.
        quality: numeric columns, higher is better.
        embedding: vectors of one length.
        tokens: cost of the document in tokens, an integer of at least 1; without one, a quarter of its UTF-8 bytes.
    """

    text: str | None = None
    id: str | None = None
    source: str | None = None
    quality: tuple[str, ...] = ()
    embedding: str | None = None
    tokens: str | None = None

    def record(self) -> dict[str, Any]:
        """Return the JSON record, which ``from_record`` reads."""
        return {**vars(self), "quality": list(self.quality)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Columns:
        """Return the columns of a JSON record."""
        return cls(**{**record, "quality": tuple(record["quality"])})

    def names(self, roles: Collection[str] = ROLES) -> list[str]:
        """Return the columns that play one of ``roles``, without repetition."""
        named = [
            (role, name) for role in ROLES for name in (self.quality if role == "quality" else (getattr(self, role),))
        ]
        return list(dict.fromkeys(name for role, name in named if role in roles and name is not None))


def leaf_type(schema: pa.Schema, name: str) -> pa.DataType | None:
    """Return the type of a column, or of a field inside a nested column (``a.b``); None when there is none."""
    if name in schema.names:
        return schema.field(name).type
    node: pa.DataType | None = None
    first, *rest = name.split(".")
    if first in schema.names:
        node = schema.field(first).type
    for step in rest:
        if node is None or not pa.types.is_struct(node) or node.get_field_index(step) < 0:
            return None
        node = node.field(step).type
    return node if rest else None


def root_of(name: str, schema: pa.Schema) -> str:
    """Return the top-level column in which ``name`` lies."""
    return name if name in schema.names else name.split(".", maxsplit=1)[0]


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type holds text, plain or dictionary-encoded."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_label(kind: pa.DataType) -> bool:
    """Tell whether a type can name something: text, integer or boolean."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def resolve(columns: Columns, schemas: list[tuple[str, pa.Schema]]) -> Columns:
    """Return the columns with every role settled against the files' schemas.

    Args:
        columns: what the user named.
        schemas: (file, schema) of every file that has columns of its own; none for plain text.

    Raises:
        InputError: a named column is missing in a file, or no text column is recognised.
    """
    if not schemas:
        return replace(columns, text=columns.text or "text")
    for role, name in [(r, n) for r in ROLES for n in columns.names((r,))]:
        for file, schema in schemas:
            if not _may_hold(schema, name):
                raise InputError(
                    f"{file}: no {role} column {name!r}{_known(name, schema)}; name the right one with --{role}-column"
                )
    text = columns.text or _first(TEXT_NAMES, schemas[:1], is_text)
    if text is None:
        file, schema = schemas[0]
        raise InputError(
            f"{file}: no text column recognised (it has: {', '.join(schema.names) or 'no columns'}); "
            "name it with --text-column"
        )
    for file, schema in schemas:
        if not _may_hold(schema, text):
            raise InputError(
                f"{file}: no text column {text!r}, which {schemas[0][0]} has{_known(text, schema)}; "
                "read such files apart, or name a column that all have with --text-column"
            )
    quality = _first(QUALITY_NAMES, schemas, _is_number)
    return replace(
        columns,
        text=text,
        id=columns.id or _first(ID_NAMES, schemas, is_label),
        source=columns.source or _first(SOURCE_NAMES, schemas, is_label),
        quality=columns.quality or ((quality,) if quality else ()),
        tokens=columns.tokens or _first(TOKENS_NAMES, schemas, pa.types.is_integer),
    )


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _first(
    names: tuple[str, ...], schemas: list[tuple[str, pa.Schema]], fits: Callable[[pa.DataType], bool]
) -> str | None:
    for name in names:
        kinds = [leaf_type(schema, name) for _, schema in schemas]
        if all(kind is not None and fits(kind) for kind in kinds):
            return name
    return None


def _may_hold(schema: pa.Schema, name: str) -> bool:
    """Tell whether a column is there; a record that some rows replace by a mere value is text in a schema."""
    root = root_of(name, schema)
    return leaf_type(schema, name) is not None or (
        root != name and root in schema.names and is_text(schema.field(root).type)
    )


def _known(name: str, schema: pa.Schema) -> str:
    return suggest(name, schema.names) or " (it has no columns)"
