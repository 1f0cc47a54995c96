"""From files to a pool, in two streaming passes: index every document, then embed it.

The first pass checks every row before anything is computed and keeps about 40 bytes a document (hashes, source, cost,
length); ids go to a memory-mapped file. The second writes feature shards named by a hash of the texts and of the
encoder, so that a resumed run, or a run that adds files, embeds only what is new.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harmonia.core.errors import InputError, RunError
from harmonia.core.executor import Executor
from harmonia.core.files import atomic, read_json, write_json
from harmonia.core.progress import bar
from harmonia.core.run import Run
from harmonia.core.seeds import mix, stable_hash
from harmonia.data.documents import Batch, Corpus
from harmonia.data.shards import Shard
from harmonia.maths.rows import Rows
from harmonia.select.features.base import Encoder, Features
from harmonia.select.pool import Pool


def index(corpus: Corpus, run: Run, sample_size: int) -> Pool:
    """Read the whole corpus once and return the pool without features.

    Args:
        corpus: the documents.
        run: where the index is kept.
        sample_size: how many texts to set aside for encoders that learn from a sample: those of smallest hash, so
            that the sample does not depend on the order of the files.

    Raises:
        InputError: a bad row, duplicate ids, or no document at all.
    """
    with run.phase("reading"):
        arrays = run.keep("index", lambda: _scan(corpus, run, sample_size))
    return load_index(run, lambda: texts_of(corpus), arrays)


def load_index(
    run: Run, texts: Callable[[], Iterator[tuple[slice, list[str]]]] | None, arrays: dict[str, np.ndarray] | None = None
) -> Pool:
    """Return the pool, without features, of a run whose index is complete."""
    if arrays is None:
        arrays = run.keep("index", partial(_missing, run))
    names = read_json(run.state / "index.json")
    ids = _Ids(run.state / "ids.arrow")
    return Pool(
        keys=arrays["keys"],
        sources=arrays["sources"],
        source_names=names["sources"],
        tokens=arrays["tokens"],
        lengths=arrays["lengths"],
        quality={name: arrays[f"quality.{i}"] for i, name in enumerate(names["quality"])},
        texts=texts,
        name_of=ids.__getitem__,
    )


def _missing(run: Run) -> dict[str, np.ndarray]:
    raise RunError(f"{run.folder} has no index of its documents; go on with --resume first")


class _Ids:
    """Row -> id, from a memory-mapped Arrow file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._column: pa.ChunkedArray | None = None

    def __getitem__(self, row: int) -> str:
        if self._column is None:
            self._column = pa.ipc.open_file(pa.memory_map(str(self._path))).read_all().column("id")
        return str(self._column[row].as_py())


def _scan(corpus: Corpus, run: Run, sample_size: int) -> dict[str, np.ndarray]:
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("keys", "sources", "tokens", "lengths")}
    quality: dict[str, list[np.ndarray]] = {}
    codes: dict[str, int] = {}
    sample: list[tuple[int, int, str]] = []  # heap of (-hash, row, text): the largest hash on top
    rows = 0
    schema = pa.schema([("id", pa.string())])
    with (
        atomic(run.state / "ids.arrow") as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema) as ids,
        bar("reading") as advance,
    ):
        for batch in corpus.batches():
            ids.write_batch(pa.record_batch([pa.array(batch.ids, pa.string())], schema=schema))
            keys = stable_hash(batch.ids)
            columns["keys"].append(keys)
            columns["sources"].append(np.array([codes.setdefault(s, len(codes)) for s in batch.sources], np.int32))
            columns["tokens"].append(batch.tokens)
            columns["lengths"].append(batch.lengths)
            for name, values in batch.quality.items():
                quality.setdefault(name, []).append(values)
            if sample_size:
                _sample(sample, sample_size, mix(keys, 0, "sample"), rows, batch.texts)
            rows += len(keys)
            advance(len(keys))
    arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
    corpus.check_unique_ids(arrays["keys"])
    # source numbers follow the alphabet, not the order of reading
    names = sorted(codes)
    arrays["sources"] = np.argsort(np.argsort(list(codes))).astype(np.int32)[arrays["sources"]]
    write_json(run.state / "index.json", {"sources": names, "quality": sorted(quality)})
    write_json(run.state / "sample.json", [text for _, _, text in sorted(sample, reverse=True)])
    return arrays | {f"quality.{i}": np.concatenate(quality[name]) for i, name in enumerate(sorted(quality))}


def _sample(heap: list[tuple[int, int, str]], size: int, hashes: np.ndarray, first: int, texts: Sequence[str]) -> None:
    bound = -heap[0][0] if len(heap) == size else None
    for i in np.argsort(hashes, kind="stable") if bound is None else np.flatnonzero(hashes < np.uint64(bound)):
        entry = (-int(hashes[i]), -(first + int(i)), texts[i])
        if len(heap) < size:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)


def texts_of(corpus: Corpus) -> Iterator[tuple[slice, list[str]]]:
    """Read the texts once, in row order: yields (rows, texts)."""
    for batch in corpus.batches(only=("text",)):
        yield slice(batch.first_row, batch.first_row + len(batch)), batch.texts


def embed(corpus: Corpus, features: Features, run: Run, executor: Executor) -> Rows:
    """Embed the corpus and return the memory-mapped feature matrix; one run may hold several features.

    Raises:
        InputError: a vector is not finite (the document is named), or the model cannot be loaded.
        RunError: the disk is full; the finished shards are kept.
    """
    sample = read_json(run.state / "sample.json")[: features.sample_size]
    settings = json.dumps([features.identity(), sample])
    salt = hashlib.blake2b(settings.encode(), digest_size=16).digest()

    def missing(names: list[str]) -> Iterator[tuple[Path, Batch]]:
        for batch in corpus.batches(only=("id", "text")):
            path = run.state / "features" / f"{_content(salt, batch)}.npy"
            names.append(path.name)
            if not path.exists():
                yield path, batch

    def make() -> list[str]:
        names: list[str] = []
        waiting: deque[tuple[Path, Batch]] = deque()

        def texts() -> Iterator[list[str]]:
            for item in missing(names):
                waiting.append(item)
                yield item[1].texts

        with bar("embedding") as advance:
            for vectors in executor.map(partial(build, features, sample), texts()):
                path, batch = waiting.popleft()
                _write_shard(path, vectors, batch)
                advance(len(batch))
        return names

    return _listed(run, features, make)


def keep_given(corpus: Corpus, features: Features, run: Run) -> Rows:
    """Store the corpus's own embedding column, in its own precision, and return it as a memory-mapped matrix."""

    def make() -> list[str]:
        names: list[str] = []
        for batch in corpus.batches(only=("id", "embedding")):
            if batch.embedding is None:
                raise InputError("features 'given' needs a column of vectors; name it with --embedding-column")
            names.append(f"given-{len(names):06d}.npy")
            _write_shard(run.state / "features" / names[-1], batch.embedding, batch)
        return names

    return _listed(run, features, make)


def _listed(run: Run, features: Features, make: Callable[[], list[str]]) -> Rows:
    """Open the shards of these features, made first if their list is not there yet."""
    digest = hashlib.blake2b(json.dumps(features.identity()).encode(), digest_size=6).hexdigest()
    listing = run.state / f"features-{digest}.json"
    if not listing.exists():
        write_json(listing, make())
    try:
        return Rows([Shard(run.state / "features" / name) for name in read_json(listing)])
    except (OSError, ValueError) as error:
        raise RunError(
            f"a feature shard of {run.folder} is missing or damaged ({error}); delete {listing} and go on with --resume"
        ) from error


def open_features(features: Features, run: Run) -> Rows:
    """Return the feature matrix of a run whose documents are embedded.

    Raises:
        RunError: they are not.
    """

    def refuse() -> list[str]:
        raise RunError(f"{run.folder} holds no features; go on with --resume first")

    return _listed(run, features, refuse)


def encoder_of(features: Features, run: Run) -> Callable[[], Encoder]:
    """Return what builds the encoder of a run's vectors anew, for objectives that encode other texts too."""
    return cache(lambda: build(features, read_json(run.state / "sample.json")[: features.sample_size]))


def build(features: Features, sample: Sequence[str]) -> Encoder:
    """Build the encoder in the worker that will use it."""
    return features.encoder(sample)


def _content(salt: bytes, batch: Batch) -> str:
    digest = hashlib.blake2b(salt, digest_size=16)
    for text in batch.texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()


def _write_shard(path: Path, vectors: Any, batch: Batch) -> None:
    vectors = np.asarray(vectors)
    stored = vectors if path.name.startswith("given-") else vectors.astype(np.float16)
    finite = np.isfinite(stored).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise InputError(f"the feature vector of document {batch.ids[row]!r} is not finite (or too large for float16)")
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, stored, allow_pickle=False)
