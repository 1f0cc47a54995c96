"""Bad input: the message names file, row, field and remedy; skipping gives the same rows on every reading."""

import gzip
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from harmonia.core.errors import InputError, RunError
from harmonia.core.seeds import stable_hash
from harmonia.data.documents import Columns, Corpus, read_texts

GOOD = b'{"id": "x", "text": "good"}\n'
COLUMNS = Columns(text="text", id="id", source="source", quality=("score",), embedding="vector", tokens="tokens")
FULL = {"id": "x", "text": "good", "source": "s", "score": 1.0, "vector": [1.0, 2.0], "tokens": 3}


def lines(*records):
    return b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in records)


BAD_LINES = {
    "json": (b'{"text": "x"\n', "line is not valid JSON"),
    "object": (b"[1, 2]\n", "line should be a JSON object, not a list"),
    "scalar": (b"3\n", "line should be a JSON object, not a number"),
    "utf8": (b'{"id": "y", "text": "caf\xe9"}\n', r"line is not valid UTF-8 \(byte 24\)"),
    "surrogate": (b'{"id": "y", "text": "\\ud800"}\n', "text holds half a surrogate pair"),
    "missing": ({**FULL, "text": None}, "text is missing or null"),
    "absent": ({"id": "q"}, "text is missing or null"),
    "empty": ({**FULL, "text": " \n"}, "text is empty"),
    "type": ({**FULL, "text": 5}, "text should be text, not a number"),
    "id": ({**FULL, "id": None}, "id is missing or null"),
    "id empty": ({**FULL, "id": " "}, "id is empty"),
    "id type": ({**FULL, "id": 1.5}, "id should be text or an integer, not a number"),
    "source": ({**FULL, "source": ["s"]}, "source should be text or an integer, not a list"),
    "quality": ({**FULL, "score": "high"}, "score should be a number, not text"),
    "quality null": ({**FULL, "score": None}, "score is missing or null"),
    "quality nan": ({**FULL, "score": float("nan")}, "score is not finite"),
    "short": ({**FULL, "vector": [1.0]}, "vector has 1 numbers, expected 2"),
    "nan": ({**FULL, "vector": [1.0, float("nan")]}, r"vector is not finite \(NaN or infinity\)"),
    "inf": ({**FULL, "vector": [1.0, float("inf")]}, r"vector is not finite \(NaN or infinity\)"),
    "overflow": ({**FULL, "vector": [1.0, 1e300]}, r"vector holds a number beyond 1e\+15"),
    "hole": ({**FULL, "vector": [1.0, None]}, "vector should hold numbers only, not null|vector holds a null"),
    "words": ({**FULL, "vector": ["a", "b"]}, "vector should hold numbers only, not text"),
    "negative": ({**FULL, "tokens": -1}, "tokens is below 1"),
    "fraction": ({**FULL, "tokens": 1.5}, "tokens is not an integer"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_named(tmp_path, kind):
    line, message = BAD_LINES[kind]
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(FULL, b"\n", {**FULL, "id": "y"}, line, {**FULL, "id": "z"}))
    with pytest.raises(InputError, match=rf"a\.jsonl line 4: ({message}).*; mend it, .*--on-bad skip"):
        list(Corpus.open(path, COLUMNS).batches())
    corpus = Corpus.open(path, COLUMNS, on_bad="skip")
    for only in (None, ("id",), None, ("id", "quality")):
        assert [i for b in corpus.batches(2, only=only) for i in b.ids] == ["x", "y", "z"]
    [reject] = corpus.rejects().to_pylist()
    assert (reject["file"], reject["row"]) == ("a.jsonl", 4) and reject["reason"].split()[0] in message
    assert corpus.take([1, 2])["id"].to_pylist() == ["y", "z"]
    assert corpus.where(2).endswith("a.jsonl line 5") and corpus.count() == 3
    fresh = Corpus.open(path, COLUMNS, on_bad="skip")
    assert [i for b in fresh.batches(only=("id",)) for i in b.ids] == ["x", "y", "z"]
    assert fresh.rejects().equals(corpus.rejects())


def test_rows_of_a_take_do_not_depend_on_an_earlier_reading(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(b"oops\n", FULL, {**FULL, "score": None}, b"\n", {**FULL, "id": "last"}))
    assert Corpus.open(path, COLUMNS, "skip").take([1])["id"].to_pylist() == ["last"]


@pytest.mark.parametrize(
    "column, message",
    [
        (pa.array(["a", None, "c"]), "text is missing or null"),
        (pa.array(["a", "", "c"]), "text is empty"),
        (pa.array(["a", "\u2003\n", "c"]), "text is empty"),
        (
            pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", b"\xff", b"c"]).buffers()),
            r"text is not valid UTF-8 \(byte 0\)",
        ),
    ],
)
def test_a_bad_parquet_row_is_named(tmp_path, column, message):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": column}), path)
    with pytest.raises(InputError, match=rf"a\.parquet row 2: {message}"):
        list(Corpus.open(path).batches())
    corpus = Corpus.open(path, on_bad="skip")
    assert [t for b in corpus.batches() for t in b.texts] == ["a", "c"]
    assert corpus.take([1])["text"].to_pylist() == ["c"]


def test_bad_csv_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,text,score\n1,one,0.5\n2,"t\nwo",high\n3,three\n4,caf\xe9,1\n5,five, 2 \n6,six,\n')
    columns = Columns(quality=("score",))
    with pytest.raises(InputError, match=r"a\.csv row 2: score should be a number, not text"):
        list(Corpus.open(path, columns).batches())
    corpus = Corpus.open(path, columns, on_bad="skip")
    [batch] = corpus.batches()
    assert batch.ids == ["1", "5"] and batch.quality["score"].tolist() == [0.5, 2.0] and batch.places.tolist() == [0, 4]
    assert [(r["row"], r["field"], r["reason"]) for r in corpus.rejects().to_pylist()] == [
        (2, "score", "should be a number, not text"),
        (3, "row", "has 2 fields, the header has 3"),
        (4, "text", "is not valid UTF-8"),
        (6, "score", "should be a number, not text"),
    ]
    assert corpus.take([1]).to_pylist() == [{"id": "5", "text": "five", "score": " 2 "}]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.csv.gz", "a.csv.zst"])
def test_truncated_and_damaged_compression(tmp_path, name):
    rng = np.random.default_rng(0)
    words = ["".join(chr(97 + c) for c in rng.integers(0, 26, 12)) for _ in range(4000)]
    raw = lines(*({"text": w} for w in words)) if "json" in name else "\n".join(["text", *words, ""]).encode()
    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    half = raw.index(b"\n", len(raw) // 2) + 1
    packed = pack(raw[:half]) + pack(raw[half:])
    path = tmp_path / name
    path.write_bytes(packed[: len(packed) * 3 // 4])
    with pytest.raises(InputError, match=r"file ends early: the compressed data is truncated; .*--on-bad skip"):
        list(Corpus.open(path).batches())
    corpus = Corpus.open(path, on_bad="skip")
    texts = [t for b in corpus.batches() for t in b.texts]
    assert 2000 <= len(texts) < 4000 and texts == words[: len(texts)]
    [reject] = corpus.rejects().to_pylist()
    assert (reject["row"], reject["reason"].split(":")[0]) == (len(texts) + 1, "ends early")
    assert corpus.take([len(texts) - 1])["text"].to_pylist() == [texts[-1]]
    path.write_bytes(packed[:20] + b"\xff" * 200 + packed[220:])
    with pytest.raises(InputError, match="file is damaged inside the compressed data"):
        list(Corpus.open(path).batches())


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.jsonl: no such file or folder"):
        Corpus.open(tmp_path / "nothing.jsonl")
    (tmp_path / "corpus.jsonl").write_bytes(GOOD)
    with pytest.raises(InputError, match=r"corpsu\.jsonl: no such file or folder; did you mean 'corpus\.jsonl'\?"):
        Corpus.open(tmp_path / "corpsu.jsonl")
    with pytest.raises(InputError, match="no readable file matches"):
        Corpus.open(tmp_path / "*.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: the folder is empty; known extensions are \.parquet"):
        Corpus.open(tmp_path / "empty")
    (tmp_path / "empty" / "x.exe").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds no readable file \(x\.exe"):
        Corpus.open(tmp_path / "empty")
    with pytest.raises(InputError, match=r"x\.exe: unknown extension; known are \.parquet"):
        Corpus.open(tmp_path / "empty" / "x.exe")
    (tmp_path / "p.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(InputError, match=r"p\.parquet: not a readable Parquet file"):
        Corpus.open(tmp_path / "p.parquet")
    (tmp_path / "a.arrow").write_bytes(b"not arrow at all....")
    with pytest.raises(InputError, match=r"a\.arrow: not a readable Arrow file"):
        Corpus.open(tmp_path / "a.arrow")
    (tmp_path / "array.json").write_text('[{"text": "a"}]')
    with pytest.raises(InputError, match=r"array\.json: is a JSON array, not JSON lines; .* jq"):
        Corpus.open(tmp_path / "array.json")
    (tmp_path / "c.csv").write_text("")
    with pytest.raises(InputError, match=r"c\.csv: not a readable CSV file \(it is empty"):
        Corpus.open(tmp_path / "c.csv")
    (tmp_path / "t.csv").write_text("text,a,a\nx,1,2\n")
    with pytest.raises(InputError, match="column 'a' occurs twice in the header"):
        Corpus.open(tmp_path / "t.csv")
    with pytest.raises(InputError, match="cannot read documents from int"):
        Corpus.open(3)
    with pytest.raises(InputError, match="nosuch://x"):
        Corpus.open("nosuch://x/y.jsonl")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_permission(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    (tmp_path / "a.jsonl").chmod(0)
    with pytest.raises(InputError, match=r"a\.jsonl: cannot be read"):
        Corpus.open(tmp_path / "a.jsonl")


def test_nothing_to_read(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n\n")
    with pytest.raises(InputError, match=r"a\.jsonl: no documents"):
        list(Corpus.open(tmp_path / "a.jsonl").batches())
    (tmp_path / "a.jsonl").write_bytes(b"x\ny\n")
    with pytest.raises(InputError, match=r"a\.jsonl line 1: line is not valid JSON"):
        list(Corpus.open(tmp_path / "a.jsonl").batches())
    with pytest.raises(InputError, match=r"no usable document; 2 rows were left out, the first is a\.jsonl row 1"):
        list(Corpus.open(tmp_path / "a.jsonl", on_bad="skip").batches())
    with pytest.raises(InputError, match="text 1 of the list is empty"):
        read_texts(["a", " "])


def test_columns_that_do_not_exist(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    with pytest.raises(InputError, match=r"a\.jsonl: no quality column 'scor'; known: id, text; .*--quality-column"):
        Corpus.open(tmp_path / "a.jsonl", Columns(quality=("scor",)))
    with pytest.raises(InputError, match=r"no text column 'txt'; did you mean 'text'\?"):
        Corpus.open(tmp_path / "a.jsonl", Columns(text="txt"))
    pq.write_table(pa.table({"n": [1]}), tmp_path / "n.parquet")
    with pytest.raises(InputError, match=r"no text column recognised \(it has: n\); name it with --text-column"):
        Corpus.open(tmp_path / "n.parquet")


def test_files_that_do_not_fit_together(tmp_path):
    pq.write_table(pa.table({"text": ["a"], "n": [1], "e": [[1.0, 2.0]]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"body": ["b"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet: no text column 'text', which .*a\.parquet has"):
        Corpus.open(tmp_path)
    pq.write_table(pa.table({"text": ["b"], "n": ["many"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet: column 'n' is string, but int64 in .*a\.parquet"):
        Corpus.open(tmp_path)
    pq.write_table(pa.table({"text": [5]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet: text column 'text' holds int64, but should hold text"):
        Corpus.open(tmp_path)
    pq.write_table(pa.table({"text": ["b"], "e": [[1.0, 2.0, 3.0]]}), tmp_path / "b.parquet")
    for on_bad in ("stop", "skip"):
        with pytest.raises(InputError, match=r"b\.parquet: column 'e' holds vectors of 3 numbers, but of 2 in .*a\.p"):
            list(Corpus.open(tmp_path, Columns(embedding="e"), on_bad).batches())
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(3)), 3)
    with pytest.raises(InputError, match="vectors of 3 numbers, but of 2"):
        Corpus.open(
            [
                pa.table({"text": ["a"], "e": pa.FixedSizeListArray.from_arrays(pa.array(np.ones(2)), 2)}),
                pa.table({"text": ["a"], "e": fixed}),
            ],
            Columns(embedding="e"),
        )


def test_an_input_that_vanishes_or_changes_during_the_run(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD)
    corpus = Corpus.open(path)
    list(corpus.batches())
    path.write_bytes(GOOD + b'{"text": "more"}\n')
    with pytest.raises(RunError, match=r"a\.jsonl has changed since the run started \(28 bytes then, 45 now\)"):
        list(corpus.batches())
    with pytest.raises(RunError, match="has changed"):
        corpus.take([0])
    path.unlink()
    with pytest.raises(RunError, match=r"a\.jsonl has vanished since the run started; put it back and .*--resume"):
        list(corpus.batches())


def test_rows_to_take_are_checked(tmp_path):
    corpus = Corpus.open([{"text": "a"}, {"text": "b"}])
    with pytest.raises(InputError, match="row 2 is out of range: the corpus has 2 documents"):
        corpus.take([0, 2])
    for rows in ([1, 0], [0, 0], [-1]):
        with pytest.raises(InputError, match="must be increasing"):
            corpus.take(rows)
    assert corpus.take([]).to_pylist() == []


def test_duplicate_ids_name_both_places(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines({"id": "p", "text": "1"}, {"id": "q", "text": "2"}))
    (tmp_path / "b.jsonl").write_bytes(
        lines({"id": "r", "text": "3"}, b"\n", {"id": "q", "text": "4"}, {"id": "p", "text": "5"})
    )
    corpus = Corpus.open(tmp_path)
    ids = [i for b in corpus.batches() for i in b.ids]
    with pytest.raises(InputError, match=r"id 'q' occurs twice: .*a\.jsonl line 2 and .*b\.jsonl line 3 \(2 rep"):
        corpus.check_unique_ids(stable_hash(ids))
    clash = Corpus.open([{"id": "a", "text": "1"}, {"id": "b", "text": "2"}])
    clash.check_unique_ids(np.zeros(2, np.uint64))  # hashes meet, ids differ


def test_memory_stays_bounded(tmp_path):
    """A file of 300 MB of text is read with far less than that held at once."""
    path = tmp_path / "a.jsonl.zst"
    line = (json.dumps({"text": "lorem ipsum " * 1000}) + "\n").encode()
    path.write_bytes(zstandard.ZstdCompressor().compress(line * 25_000))
    pool = pa.default_memory_pool()
    before, most, count = pool.bytes_allocated(), 0, 0
    for batch in Corpus.open(path).batches(512):
        most = max(most, pool.bytes_allocated() - before)
        count += len(batch)
    assert count == 25_000 and most < 160 << 20


@pytest.mark.parametrize(
    ("vector", "message"),
    [("1,2", "should be a list of numbers, not text"), ([], "is an empty list"), (3.5, "not a number")],
)
def test_a_file_without_a_single_good_vector(tmp_path, vector, message):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*({**FULL, "id": f"d{i}", "vector": vector} for i in range(3))))
    with pytest.raises(InputError, match=rf"a\.jsonl line 1: vector .*{message}"):
        list(Corpus.open(path, COLUMNS).batches())
    with pytest.raises(InputError, match=r"no usable document; 3 rows were left out"):
        list(Corpus.open(path, COLUMNS, on_bad="skip").batches())


def test_an_empty_source_is_no_source(tmp_path):
    path = tmp_path / "shelf.csv"
    path.write_text("id,text,source\na,one,law\nb,two,\nc,three, \n")
    assert [s for batch in Corpus.open(path).batches() for s in batch.sources] == ["law", "shelf", "shelf"]


def test_a_folder_inside_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    scandir = os.scandir

    def guarded(path="."):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(InputError, match="closed: cannot be read: permission denied"):
        Corpus.open(tmp_path)


def test_folders_of_runs_hold_no_documents(tmp_path):
    run = tmp_path / "runs" / "select-1"
    (run / "result").mkdir(parents=True)
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    (run / "result" / "more.jsonl").write_bytes(GOOD)
    assert Corpus.open(tmp_path).count() == 2
    for name in ("run.json", "environment.json", "recipe.yaml"):
        (run / name).write_text("{}")
    assert Corpus.open(tmp_path).count() == 1
    with pytest.raises(InputError, match=r"select-1: the folder of a run; its picks are .*picks\.parquet"):
        Corpus.open(run)


def test_a_link_that_leads_back_is_not_followed(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    (tmp_path / "again").symlink_to(tmp_path)
    assert Corpus.open(tmp_path).count() == 1
