import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.data.labelled import open_labelled
from harmonia.data.labelled.texts import ngram_ids, read_texts
from harmonia.maths.sketch import ngram_counts

ROWS = [
    {"text": f"{word} number {i}", "label": word, "site": f"s{i % 3}"} for i in range(20) for word in ("good", "bad")
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@given(st.lists(st.text(alphabet="ab é.", max_size=30), max_size=8))
@settings(max_examples=60, deadline=None)
def test_ids_are_the_different_ngrams_of_a_text(texts):
    ids = ngram_ids(texts, length=200, buckets=1 << 16, words=2, characters=3)
    for text, row in zip(texts, ids, strict=True):
        both = [ngram_counts([text], 2, 0).ngram, ngram_counts([text], 0, 3).ngram]
        expected = [1 + int(h) % (1 << 16) for hashes in both for h in hashes]
        assert row[row > 0].tolist() == expected and not row[len(expected) :].any()


def test_what_does_not_fit_is_left_out_alike_in_every_text():
    """Words first; of n-grams, those with the smallest hashes."""
    text = " ".join(f"w{i}" for i in range(100))
    whole, short = ngram_ids([text], 500, words=1, characters=4)[0], ngram_ids([text], 20, words=1, characters=4)[0]
    assert np.array_equal(short, whole[:20])
    hashes = ngram_counts([text], 1, 0).ngram
    assert short.tolist() == [1 + int(h) % (1 << 16) for h in np.sort(hashes)[:20]]
    same = set(ngram_ids([text + " more words"], 40, words=1, characters=0)[0]) - set(short)
    assert len(same) < 40 - 15


def test_a_smaller_table_takes_the_remainder():
    ids = ngram_ids([" ".join(f"w{i}" for i in range(3000))], 9000)
    assert ids.min() >= 0 and ids.max() <= 1 << 16
    assert np.array_equal(
        ids % 4096, np.where(ids > 0, ngram_ids([" ".join(f"w{i}" for i in range(3000))], 9000, 4096), 0) % 4096
    )
    counts = np.bincount(ids[ids > 0] % 16, minlength=16)
    assert counts.std() < 4 * np.sqrt(counts.mean())


def test_batches_do_not_matter():
    texts = [f"text number {i}" for i in range(5000)]
    assert np.array_equal(ngram_ids(texts, 20)[4090:4110], ngram_ids(texts[4090:4110], 20))


def test_bad_settings():
    with pytest.raises(InputError, match="buckets=1000: give a power of two"):
        ngram_ids(["a"], buckets=1000)
    with pytest.raises(InputError, match="length=0: give room"):
        ngram_ids(["a"], length=0)


def test_json_lines_and_parquet_give_the_same_data_in_any_order(tmp_path):
    one = open_labelled(write(tmp_path / "a.jsonl", ROWS))
    assert one.kind == "text" and one.classes == ("bad", "good") and one.train.inputs.shape == (32, 256)
    assert np.bincount(one.test.labels).tolist() == [4, 4] and list(one.train.columns) == ["site"]
    pq.write_table(pa.Table.from_pylist(ROWS[::-1]), tmp_path / "b.parquet")
    assert open_labelled(tmp_path / "b.parquet").fingerprint() == one.fingerprint()
    assert open_labelled(tmp_path / "b.parquet", seed=1).fingerprint() != one.fingerprint()


def test_columns_may_have_gaps_and_long_texts_are_no_columns(tmp_path):
    rows = [
        {**row, "site": None if i < 3 else row["site"], "notes": "x" * (300 if i == 7 else 9)}
        for i, row in enumerate(ROWS)
    ]
    data = open_labelled(write(tmp_path / "a.jsonl", rows), test_share=0)
    assert list(data.train.columns) == ["site"] and (data.train.columns["site"] == "").sum() == 3
    rows = [{**row, "notes": "x" * 200} for row in ROWS]
    assert list(open_labelled(write(tmp_path / "b.jsonl", rows)).train.columns) == ["site", "notes"]


def test_other_names_csv_and_parts_by_file(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for part, rows in (("train", ROWS[:30]), ("test", ROWS[30:])):
        text = "".join(f"{row['text']},{row['label']}\n" for row in rows)
        (folder / f"{part}-00000-of-00001.csv").write_text("sentence,mood\n" + text)
    data = open_labelled(folder, label="mood")
    assert len(data.train) == 30 and len(data.test) == 10 and data.classes == ("bad", "good")


def test_a_column_tells_the_parts(tmp_path):
    rows = [{**row, "split": "test" if i < 6 else "train"} for i, row in enumerate(ROWS)]
    data = open_labelled(write(tmp_path / "a.jsonl", rows))
    assert len(data.test) == 6 and "split" not in data.train.columns
    words = [{**row, "split": "left" if i < 6 else "right"} for i, row in enumerate(ROWS)]
    assert set(open_labelled(write(tmp_path / "b.jsonl", words)).train.columns["split"]) == {"left", "right"}


def test_what_is_wrong_is_named(tmp_path):
    bad = tmp_path / "bad.jsonl"
    for row, message in (
        ({"text": "fine"}, r"bad\.jsonl line 41: 'label' is missing; fill it or leave the row out"),
        ({"text": " ", "label": "good"}, r"bad\.jsonl line 41: 'text' holds no word"),
        ({"label": "good"}, r"bad\.jsonl line 41: 'text' is missing"),
    ):
        full = [{key: row[key] for key in ("text", "label")} for row in ROWS]
        with pytest.raises(InputError, match=message):
            open_labelled(write(bad, [*full, row]))
    bad.write_text(json.dumps(ROWS[0]) + "\n{broken\n")
    with pytest.raises(InputError, match=r"bad\.jsonl line 2: .*; mend it"):
        open_labelled(bad)
    with pytest.raises(
        InputError, match=r"bad\.jsonl: no label column recognised \(it has: text, x\); name it with --l"
    ):
        open_labelled(write(bad, [{"text": "a", "x": 1.5}]))
    with pytest.raises(InputError, match=r"bad\.jsonl: no column 'lable'; did you mean 'label'\?"):
        open_labelled(write(bad, ROWS), label="lable")
    with pytest.raises(InputError, match=r"column 'score' is double; a label is text, an integer or a boolean"):
        open_labelled(write(bad, [{"text": "a", "score": 1.5}]), label="score")
    with pytest.raises(InputError, match=r"bad\.jsonl: no text column recognised \(it has: utterance, label\)"):
        read_texts(write(bad, [{"utterance": "a", "label": 1}]))
    with pytest.raises(InputError, match="holds no images; leave out --size"):
        open_labelled(write(bad, ROWS), size=28)
    (tmp_path / "plain.txt").write_text("hello")
    with pytest.raises(InputError, match=r"plain\.txt: plain text has no labels; give JSON lines or Parquet"):
        open_labelled(tmp_path / "plain.txt")


def test_files_that_differ_are_named(tmp_path):
    write(tmp_path / "a.jsonl", ROWS)
    write(tmp_path / "b.jsonl", [{"text": "x", "labels": "good", "site": "s"}])
    with pytest.raises(InputError, match=r"b\.jsonl: no column 'label', which .*a\.jsonl has; did you mean 'labels'\?"):
        open_labelled(tmp_path)
