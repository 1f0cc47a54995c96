"""Whatever the file holds: readings agree with each other, with ``take`` and with a plain reading line by line."""

import gzip
import json

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harmonia.data.documents import Columns, Corpus
from harmonia.data.formats import jsonl

VALUES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(max_size=8) | VALUES,
        "id": VALUES,
        "q": st.floats() | VALUES,
        "meta": VALUES
        | st.fixed_dictionaries({}, optional={"source": st.sampled_from(["a", "b"]) | VALUES, "x": VALUES}),
        "extra": VALUES | st.lists(VALUES, max_size=2) | st.just({"at": "2024-01-01"}),
    },
)
LINES = st.lists(
    RECORDS.map(lambda r: json.dumps(r).encode()) | st.binary(max_size=6).filter(lambda b: b"\n" not in b), max_size=12
)
GOOD = b'{"text": "good", "id": "first", "meta": {"source": "a"}, "q": 1.5}'


def usable(line):
    """Return whether a line is a document, by the rules as they are documented."""
    try:
        record = json.loads(line.decode())
    except (ValueError, UnicodeDecodeError):
        return False
    if not isinstance(record, dict):
        return False
    text, name, q = (record.get(key) for key in ("text", "id", "q"))
    source = source_of(record)
    try:
        for value in (text, name, source):
            str(value).encode()
    except UnicodeEncodeError:
        return False
    return (
        isinstance(text, str)
        and bool(text)
        and not text.isspace()
        and isinstance(name, str | int)
        and (source is None or isinstance(source, str | int))
        and isinstance(q, bool | int | float)
        and bool(np.isfinite(float(q)))
        and isinstance(record.get("meta"), dict | None)
    )


def source_of(record):
    """Return the nested source of a record, or None."""
    meta = record.get("meta")
    return meta.get("source") if isinstance(meta, dict) else None


def as_text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, rows=st.integers(1, 5), packed=st.booleans(), block=st.sampled_from([30, 200, 1 << 24]))
def test_a_messy_file_is_read_as_its_good_lines(tmp_path, monkeypatch, lines, rows, packed, block):
    monkeypatch.setattr(jsonl, "_BLOCK", block)
    every = [GOOD, *lines]
    path = tmp_path / ("a.jsonl.gz" if packed else "a.jsonl")
    raw = b"\n".join(every)
    path.write_bytes(gzip.compress(raw) if packed else raw)
    expected = [place for place, line in enumerate(every) if usable(line)]
    columns = Columns("text", "id", "meta.source", ("q",))
    corpus = Corpus.open(path, columns, "skip")
    batches = list(corpus.batches(rows))
    assert np.concatenate([b.places for b in batches]).tolist() == expected
    records = [json.loads(every[place]) for place in expected]
    assert [t for b in batches for t in b.texts] == [record["text"] for record in records]
    assert [i for b in batches for i in b.ids] == [as_text(record["id"]) for record in records]
    assert np.concatenate([b.quality["q"] for b in batches]).tolist() == [float(record["q"]) for record in records]
    sources = [source_of(record) for record in records]
    assert [s for b in batches for s in b.sources] == ["a" if s is None else as_text(s) for s in sources]
    rejected = {r - 1 for r in corpus.rejects()["row"].to_pylist()}
    assert rejected | set(expected) | {p for p, line in enumerate(every) if not line.strip()} == set(range(len(every)))
    again = Corpus.open(path, columns, "skip")
    assert [i for b in again.batches(3, only=("id",)) for i in b.ids] == [i for b in batches for i in b.ids]
    some = np.arange(0, len(expected), 2)
    assert again.take(some)["text"].to_pylist() == [records[row]["text"] for row in some]
