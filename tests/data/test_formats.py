"""Every format gives back the documents that were written, in one order, whatever the batch size."""

import gzip
import json

import numpy as np
import polars
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
import zstandard

from harmonia.data.documents import Columns, Corpus, read_texts, write_parquet

ROWS = [
    {
        "id": f"d{i}",
        "text": f'Text {i}, "quoted"\nnext line é 中',
        "source": "ab"[i % 2],
        "score": i / 4,
        "length": i + 1,
        "vector": [float(i), 0.5, -1.0],
    }
    for i in range(11)
]
FLAT = [{k: v for k, v in row.items() if k != "vector"} for row in ROWS]
COLUMNS = Columns(quality=("score",), tokens="length")


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=row["id"] == "d3") + "\n" for row in rows).encode()


def write(path, rows=FLAT):
    name = path.name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=4)
    elif name.endswith((".arrow", ".feather")):
        table = pa.Table.from_pylist(rows)
        new = pa.ipc.new_stream if name.endswith(".arrow") else pa.ipc.new_file
        with new(str(path), table.schema) as sink:
            sink.write_table(table, max_chunksize=3)
    else:
        raw = jsonl(rows)
        if ".csv" in name or ".tsv" in name:
            sink = pa.BufferOutputStream()
            options = pcsv.WriteOptions(delimiter="\t" if ".tsv" in name else ",")
            pcsv.write_csv(pa.Table.from_pylist(rows), sink, options)
            raw = sink.getvalue().to_pybytes()
        packing = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
        half = len(raw) // 2
        path.write_bytes(packing(raw) if packing is bytes else packing(raw[:half]) + packing(raw[half:]))
    return path


NAMES = [
    "a.parquet",
    "a.arrow",
    "a.feather",
    "a.jsonl",
    "a.ndjson",
    "a.json",
    "a.jsonl.gz",
    "a.jsonl.zst",
    "a.csv",
    "a.csv.gz",
    "a.tsv",
    "a.tsv.zst",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows_per_batch", [1, 4, 4096])
def test_round_trip(tmp_path, name, rows_per_batch):
    corpus = Corpus.open(write(tmp_path / name), COLUMNS)
    batches = list(corpus.batches(rows_per_batch))
    assert [i for b in batches for i in b.ids] == [row["id"] for row in ROWS]
    assert [t for b in batches for t in b.texts] == [row["text"] for row in ROWS]
    assert [s for b in batches for s in b.sources] == [row["source"] for row in ROWS]
    assert np.concatenate([b.quality["score"] for b in batches]).tolist() == [row["score"] for row in ROWS]
    assert np.concatenate([b.tokens for b in batches]).tolist() == [row["length"] for row in ROWS]
    assert np.concatenate([b.lengths for b in batches]).tolist() == [len(row["text"].encode()) for row in ROWS]
    assert all(len(b) <= rows_per_batch for b in batches)
    assert [b.first_row for b in batches] == np.cumsum([0, *(len(b) for b in batches)])[:-1].tolist()
    assert {b.file for b in batches} == {name}
    tables = pa.concat_tables([b.table for b in batches]).to_pylist()
    words = [{k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in row.items()} for row in FLAT]
    exact = words if "sv" in name else FLAT
    assert tables == exact
    assert corpus.take([0, 3, 4, 10]).to_pylist() == [exact[i] for i in (0, 3, 4, 10)]
    assert corpus.rejects().num_rows == 0


@pytest.mark.parametrize(
    "library",
    [
        pa.Table.from_pylist,
        pa.RecordBatch.from_pylist,
        polars.DataFrame,
        list,
        lambda rows: polars.DataFrame(rows).to_pandas(),
    ],
    ids=["arrow", "batch", "polars", "records", "pandas"],
)
def test_tables_in_memory(library):
    corpus = Corpus.open(library(FLAT), COLUMNS)
    assert [i for b in corpus.batches(4) for i in b.ids] == [row["id"] for row in ROWS]
    assert corpus.take([2, 9]).to_pylist() == [FLAT[2], FLAT[9]]


def test_records_with_different_keys():
    corpus = Corpus.open([{"text": "one"}, {"text": "two", "extra": 3}])
    assert corpus.take([0, 1]).to_pylist() == [{"text": "one", "extra": None}, {"text": "two", "extra": 3}]


def test_plain_text_one_document_per_file(tmp_path):
    (tmp_path / "law").mkdir()
    (tmp_path / "law" / "b.txt").write_bytes(b"\xef\xbb\xbfsecond")
    (tmp_path / "law" / "a.md").write_text("first\n")
    (tmp_path / "c.txt").write_text("third")
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"fourth"))
    corpus = Corpus.open(tmp_path)
    [batch] = corpus.batches()
    assert batch.ids == ["c.txt", "d.txt.gz", "law/a.md", "law/b.txt"]
    assert batch.texts == ["third", "fourth", "first\n", "second"]
    assert batch.sources == ["c", "d", "law", "law"]
    assert corpus.take([1, 3]).to_pylist() == [
        {"id": "d.txt.gz", "text": "fourth", "source": "d"},
        {"id": "law/b.txt", "text": "second", "source": "law"},
    ]
    assert corpus.count() == 4 and corpus.where(2).endswith("law/a.md row 1")


def test_text_beside_tables_is_not_a_document(tmp_path, capsys):
    write(tmp_path / "a.parquet")
    (tmp_path / "notes.txt").write_text("about the data")
    corpus = Corpus.open(tmp_path)
    assert [f.name for f in corpus.files] == ["a.parquet"]
    assert "passed over 1 files" in capsys.readouterr().err


def test_hugging_face_folders(tmp_path):
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_list(FLAT)
    parts = {"train": whole.select(range(8)), "test": whole.select(range(8, 11))}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    corpus = Corpus.open(tmp_path / "saved", COLUMNS)
    assert [f.name.split("/")[0] for f in corpus.files] == ["test", "train"]
    assert [i for b in corpus.batches() for i in b.ids] == [row["id"] for row in ROWS[8:] + ROWS[:8]]
    hub = tmp_path / "hub" / "data"
    hub.mkdir(parents=True)
    (tmp_path / "hub" / "README.md").write_text("# card")
    for k in range(2):
        whole.shard(2, k, contiguous=True).to_parquet(hub / f"train-0000{k}-of-00002.parquet")
    assert [t for b in Corpus.open(tmp_path / "hub").batches() for t in b.texts] == [row["text"] for row in ROWS]
    assert Corpus.open(whole).take([4]).to_pylist() == [FLAT[4]]


def test_globs_folders_and_lists_have_one_order(tmp_path):
    for name in ("b/x.jsonl", "a/y.jsonl", "a/x.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": name}) + "\n")
    every = ["a/x.jsonl", "a/y.jsonl", "b/x.jsonl"]
    assert read_texts(tmp_path) == every
    assert read_texts(tmp_path / "*" / "*.jsonl") == every
    assert read_texts(tmp_path / "**" / "*.jsonl") == every
    assert read_texts([tmp_path / "b", tmp_path / "a", tmp_path / "a" / "x.jsonl"]) == [every[2], *every[:2]]
    [*batches] = Corpus.open([str(tmp_path / "b"), str(tmp_path / "a")]).batches()
    assert [b.sources[0] for b in batches] == ["b", "a", "a"]
    assert [b.ids[0] for b in batches] == ["b/x.jsonl:1", "a/x.jsonl:1", "a/y.jsonl:1"]


def test_made_up_ids_do_not_depend_on_where_the_corpus_lies(tmp_path):
    ids = []
    for place in ("here", "there/deep"):
        folder = tmp_path / place / "corpus" / "en"
        folder.mkdir(parents=True)
        (folder / "web-00000-of-00002.jsonl").write_text('{"text": "a"}\n\n{"text": "b"}\n')
        [batch] = Corpus.open(folder.parent).batches()
        ids.append(batch.ids)
        assert batch.sources == ["en", "en"]
    assert ids[0] == ids[1] == ["en/web-00000-of-00002.jsonl:1", "en/web-00000-of-00002.jsonl:3"]


def test_remote_files_through_fsspec():
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/c/a.jsonl", jsonl(FLAT[:5]))
    memory.pipe("/bucket/c/sub/b.jsonl.gz", gzip.compress(jsonl(FLAT[5:])))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(FLAT), sink)
    memory.pipe("/bucket/p.parquet", sink.getvalue().to_pybytes())
    try:
        for given in ("memory://bucket/c", "memory://bucket/c/**/*.jsonl*", "memory://bucket/p.parquet"):
            corpus = Corpus.open(given, COLUMNS)
            assert [i for b in corpus.batches(3) for i in b.ids] == [row["id"] for row in ROWS]
            assert corpus.take([4, 5]).to_pylist() == [FLAT[4], FLAT[5]]
            assert corpus.files[0].path.startswith("memory://")
    finally:
        memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64(), pa.int8()])
@pytest.mark.parametrize("fixed", [True, False])
def test_embeddings_keep_their_precision(tmp_path, kind, fixed):
    given = np.arange(12).reshape(4, 3).astype(kind.to_pandas_dtype())
    flat = pa.array(given.ravel(), kind)
    column = (
        pa.FixedSizeListArray.from_arrays(flat, 3)
        if fixed
        else pa.ListArray.from_arrays(pa.array([0, 3, 6, 9, 12], pa.int32()), flat)
    )
    pq.write_table(pa.table({"text": list("abcd"), "e": column}), tmp_path / "a.parquet")
    found = [b.embedding for b in Corpus.open(tmp_path / "a.parquet", Columns(embedding="e")).batches(3)]
    assert np.concatenate(found).dtype == given.dtype and (np.concatenate(found) == given).all()


def test_embeddings_of_all_files_have_one_precision(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "e": [1, 0]}\n')
    table = pa.table({"text": ["b"], "e": pa.array([[0.1, 0.2]], pa.list_(pa.float16()))})
    pq.write_table(table, tmp_path / "b.parquet")
    pq.write_table(table.set_column(1, "e", table["e"].cast(pa.list_(pa.float32()))), tmp_path / "c.parquet")
    for names, kind in (("abc", np.float64), ("a", np.float64), ("bc", np.float32), ("b", np.float16)):
        files = [next(tmp_path.glob(f"{name}.*")) for name in names]
        assert {b.embedding.dtype for b in Corpus.open(files, Columns(embedding="e")).batches()} == {np.dtype(kind)}


def test_text_files_beside_tables_keep_their_own_ids_and_sources(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"content": "one"}\n')
    for name in ("x.txt", "y.txt"):
        (tmp_path / name).write_text(name)
    [first, second] = Corpus.open([tmp_path / name for name in ("a.jsonl", "x.txt", "y.txt")]).batches()
    assert (first.ids, first.sources) == (["a.jsonl:1"], ["a"])
    assert (second.ids, second.sources, second.texts) == (["x.txt", "y.txt"], ["x", "y"], ["x.txt", "y.txt"])


def test_nested_columns_and_usual_names(tmp_path):
    rows = [{"raw_content": f"t{i}", "doc_id": i, "meta": {"source": "web", "q": i * 0.5}} for i in range(3)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        corpus = Corpus.open(tmp_path / name, Columns(quality=("meta.q",)))
        assert corpus.columns == Columns("raw_content", "doc_id", "meta.source", ("meta.q",))
        for only in (None, ("id", "source", "quality")):
            [batch] = corpus.batches(only=only)
            assert (batch.ids, batch.sources) == (["0", "1", "2"], ["web"] * 3)
            assert batch.quality["meta.q"].tolist() == [0, 0.5, 1]


def test_a_null_source_falls_back_to_the_file(tmp_path):
    (tmp_path / "wiki.jsonl").write_text('{"text": "a", "source": "x"}\n{"text": "b", "source": null}\n{"text": "c"}\n')
    [batch] = Corpus.open(tmp_path / "wiki.jsonl").batches()
    assert batch.sources == ["x", "wiki", "wiki"]


def test_tokens_are_a_quarter_of_the_bytes():
    [batch] = Corpus.open([{"text": "é"}, {"text": "x" * 10}]).batches()
    assert batch.tokens.tolist() == [1, 2] and batch.lengths.tolist() == [2, 10]


def test_json_values_stay_what_they_are(tmp_path):
    """Strings that look like dates, whole numbers beyond 64 bits, repeated keys and mixed types survive."""
    lines = [
        '{"id": 18446744073709551615, "text": "a", "when": "2024-01-01", "deep": {"at": "2024-01-01 00:00:00"}, '
        '"mixed": 1}',
        '{"id": 18446744073709551614, "text": "b", "when": "2024-01-02", "deep": {"at": null}, "mixed": "two"}',
        '{"id": 7, "id": 8, "text": "c", "mixed": [3]}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    corpus = Corpus.open(tmp_path / "a.jsonl")
    [batch] = corpus.batches()
    assert batch.ids == ["18446744073709551615", "18446744073709551614", "8"]
    rows = corpus.take([0, 1, 2]).to_pylist()
    assert [r["when"] for r in rows] == ["2024-01-01", "2024-01-02", None]
    assert rows[0]["deep"] == {"at": "2024-01-01 00:00:00"}
    assert [r["mixed"] for r in rows] == ["1", "two", "[3]"]


def test_extra_columns_missing_in_some_files_are_null(tmp_path):
    pq.write_table(pa.table({"text": ["a"], "n": pa.array([1], pa.int32())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["b"], "n": pa.array([2.5]), "extra": ["x"]}), tmp_path / "b.parquet")
    (tmp_path / "c.jsonl").write_text('{"text": "c", "n": "many"}\n')
    assert Corpus.open(tmp_path).take([0, 1, 2]).to_pylist() == [
        {"text": "a", "n": "1", "extra": None},
        {"text": "b", "n": "2.5", "extra": "x"},
        {"text": "c", "n": "many", "extra": None},
    ]


def test_take_reads_only_the_row_groups_it_needs(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet")
    read = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda file, g: read.append(g) or original(file, g))
    Corpus.open(path).take([9])
    assert read == [2]


def test_fingerprint_tells_what_changed(tmp_path):
    path = write(tmp_path / "a.jsonl")
    before = Corpus.open(tmp_path).fingerprint()
    assert Corpus.open(tmp_path).difference(json.loads(json.dumps(before))) is None
    write(tmp_path / "b.jsonl")
    assert Corpus.open(tmp_path).difference(before) == "b.jsonl is new among the inputs"
    (tmp_path / "b.jsonl").unlink()
    path.write_bytes(path.read_bytes() + jsonl([{"id": "n", "text": "new"}]))
    assert "a.jsonl has changed" in Corpus.open(tmp_path).difference(before)
    path.rename(tmp_path / "c.jsonl")
    assert Corpus.open(tmp_path).difference(before) == "a.jsonl is no longer among the inputs"
    table = Corpus.open(FLAT).fingerprint()
    assert Corpus.open(FLAT).difference(table) is None
    assert "has changed" in Corpus.open([*FLAT[:-1], {**FLAT[-1], "text": FLAT[-1]["text"].upper()}]).difference(table)


def test_read_texts_of_a_list_is_the_list():
    assert read_texts(["a.jsonl", "not a file"]) == ["a.jsonl", "not a file"]


def test_parquet_bytes_depend_on_the_rows_only(tmp_path):
    table = pa.table({"id": [str(i) for i in range(20_000)], "text": ["word " * (i % 50 + 1) for i in range(20_000)]})
    assert write_parquet(tmp_path / "a.parquet", table) == 20_000
    assert write_parquet(tmp_path / "b.parquet", iter(table.to_batches(max_chunksize=777))) == 20_000
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pq.read_table(tmp_path / "b.parquet").equals(table)
    assert write_parquet(tmp_path / "c.parquet", iter([]), table.schema) == 0
    assert pq.read_table(tmp_path / "c.parquet").num_rows == 0


def test_a_failed_write_leaves_nothing(tmp_path):
    def pieces():
        yield pa.table({"text": ["a"]})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_parquet(tmp_path / "a.parquet", pieces())
    assert list(tmp_path.iterdir()) == []
