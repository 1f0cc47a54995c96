"""Documents inside Python packages: docstrings, definitions, translated messages, licence texts.

Source is parsed, never run; indentation is removed by own rules, so that every Python version gives the same text.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

_SHORTEST_DOCSTRING = 120
_SHORTEST_CODE = 200
_ENTRY = re.compile(r'^msgstr(?:\[\d\])? ((?:"(?:[^"\\]|\\.)*"\s*)+)', re.MULTILINE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def docstrings(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, docstring) of a module and of everything defined in it; short ones are left out."""

    def visit(node: ast.Module | Definition, name: str) -> Iterator[tuple[str, str]]:
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            text = dedent(first.value.value)
            if len(text) >= _SHORTEST_DOCSTRING:
                yield name, text
        for child in node.body:
            if isinstance(child, Definition):
                yield from visit(child, f"{name}.{child.name}".lstrip("."))

    yield from visit(_parsed(raw), "")


def definitions(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield (name, source) of each top-level function and class; short ones are left out."""
    lines = raw.decode().splitlines()
    for node in _parsed(raw).body:
        if isinstance(node, Definition):
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno]).strip()
            if len(text) >= _SHORTEST_CODE:
                yield node.name, text


def messages(raw: bytes) -> str:
    r"""Return the translated messages of a gettext catalogue, one per line.

    >>> messages(b'msgid "Yes"\nmsgstr "Ja"\n\nmsgid "No"\nmsgstr ""\n"Ne"\n"in"\n')
    'Ja\nNein'
    """
    body = raw.decode().partition("\n\n")[2] if raw.startswith((b"#", b'msgid ""')) else raw.decode()
    found = ("".join(_QUOTED.findall(entry)) for entry in _ENTRY.findall(body))
    return "\n".join(text for quoted in found if (text := _unescaped(quoted).strip()))


def dedent(text: str) -> str:
    """Return a docstring without the indentation of its lines after the first, and without blank ends."""
    first, *rest = text.expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip(" ")) for line in rest if line.strip(" ")), default=0)
    return "\n".join([first.strip(" "), *(line[margin:].rstrip(" ") for line in rest)]).strip("\n ")


def _parsed(raw: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(raw)


def _unescaped(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), quoted)
