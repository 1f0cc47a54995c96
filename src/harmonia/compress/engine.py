"""The engine of stage ``compress``: draw text, see what layers read, score, allocate, repair, cut, write, judge."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from harmonia.compress.allocation import LatencySearch
from harmonia.compress.dense import Dense
from harmonia.compress.recipe import CompressRecipe
from harmonia.compress.recipes import BOOK
from harmonia.compress.result import CompressResult
from harmonia.compress.sequences import Sequences, Texts
from harmonia.compress.structure import Hidden
from harmonia.core.errors import InputError, require
from harmonia.core.measure import reset_peak_memory
from harmonia.core.run import Run
from harmonia.data.reading import Reading

RATIO = {"causal": 0.2, "classifier": 0.5, "encoder": 0.5}
"""What is removed where no ratio is named."""
JUDGED = 16_384
"""Tokens that models are judged by."""


def compress(
    model: str | Path | Dense,
    recipe: str | Path | CompressRecipe = "liar-wifv",
    *,
    ratio: float | Sequence[float] | None = None,
    calibration: Any = None,
    held_out: Any = None,
    label: str | None = None,
    judged: int = JUDGED,
    fold_bias: bool = True,
    timed: bool = True,
    tasks: Sequence[str] = (),
    limit: int | None = None,
    settings: Iterable[str] = (),
    seed: int = 0,
    device: str = "cpu",
    allow_pytorch_bin: bool = False,
    statistics: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    **reading: Unpack[Reading],
) -> CompressResult:
    """Make a model smaller without retraining it: RUN/result has a checkpoint per ratio.

    Args:
        model: folder, .gguf file, name of the catalogue (``smollm2``, ``minilm``), or Hub id.
        recipe: a name, a YAML file or a record.
        ratio: share of what the units cost that is removed, or several; 0.2 of a language model and 0.5 of an encoder
            when left out. All ratios come from one calibration, and one factorisation per layer.
        calibration: text; a file, folder, glob or name of the catalogue, a list of texts, or a table. A recipe that
            needs none does without, and then nothing is judged unless ``held_out`` is given.
        held_out: other text, to judge by; by default a part of the calibration text that is not calibrated on.
        label: column of labels, for a classifier: gradients are taken of its loss, and accuracy is measured.
        judged: tokens to judge by.
        fold_bias: let layers that have no bias gain one. Stock loaders read it where the architecture has biases for
            such layers and all are of one width; else the model needs ``harmonia.models.pruned.load``. Without,
            ``liar`` becomes ``ls`` where there is no bias.
        timed: measure seconds per token.
        tasks: of lm-evaluation-harness, by which a language model is judged as well: names, or YAML files of tasks.
        limit: examples of each task, at most.
        settings: changes to the recipe, ``axis.field=value``.
        seed: of the sequences that are drawn, and whatever else is.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.
        statistics: folder where statistics of layers are looked for and kept, for other runs to use; by default they
            are in the run's state and removed when it is finished.
        out: run folder.
        resume: go on with an interrupted run.
        reading: names of columns.

    Raises:
        InputError: unusable model, text, recipe or settings; parts that do not go together.
    """
    require("torch", "compress")
    require("transformers", "compress")
    record = BOOK.load(recipe).with_settings(settings)
    record.check()
    if judged < 2:
        raise InputError(f"--judged {judged}: at least 2 tokens are needed")
    _check_needs(record, calibration)
    given = None if ratio is None else ratios_of(ratio)
    dense = model if isinstance(model, Dense) else Dense.open(model, device, allow_pytorch_bin=allow_pytorch_bin)
    ratios = given or [RATIO[dense.task]]
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-compress-"))
    if folder.resolve() == dense.place.resolve():
        raise InputError(f"--out {folder} is the folder of the model; name another")
    if statistics is not None:
        near = next(path for path in (Path(statistics), *Path(statistics).absolute().parents) if path.exists())
        if not near.is_dir():
            raise InputError(f"--statistics {statistics}: {near} is a file; name a folder")
    from harmonia.compress.work import Work, widest

    length, tokens = record.calibration.wanted(dense.task, dense.positions, widest(dense, record))
    _check_stream(dense, record)
    _check_units(dense, record, ratios, fold_bias)
    texts = Texts(calibration, held_out, label, dict(reading))
    own, judge = _sequences(dense, texts, record, length, tokens, judged, seed)
    for sequences in (own, judge):
        if sequences is not None:
            dense.check_tokens(sequences.ids)
    _check_loss(dense, record, own)
    _check_tasks(dense, tasks)
    request = {
        "model": dense.name,
        "weights": dense.fingerprint,
        "ratios": ratios,
        "calibration": None if own is None else own.fingerprint(),
        "judged": None if judge is None else judge.fingerprint(),
        "label": label,
        "fold_bias": fold_bias,
        "timed": timed,
        "tasks": [str(task) for task in tasks],
        "limit": limit,
        "seed": seed,
    }
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            reset_peak_memory()
            for note in sorted(texts.notes):
                run.warn(note)
            work = Work(
                run,
                record,
                dense,
                ratios,
                own,
                judge,
                length=length,
                fold_bias=fold_bias,
                judging={"timed": timed, "tasks": tasks, "limit": limit},
                seed=seed,
                statistics=None if statistics is None else Path(statistics),
            )
            work.check_room()
            work.see()
            work.repair()
            work.write()
            run.finish()
            shutil.rmtree(run.state / "statistics", ignore_errors=True)
            shutil.rmtree(run.state / "repairs", ignore_errors=True)
    return CompressResult(folder)


def ratios_of(ratio: float | Sequence[float]) -> list[float]:
    """Return the ratios that are asked for, ascending.

    Raises:
        InputError: there is none, one twice, or one outside [0, 1).
    """
    found = sorted(float(each) for each in (ratio if isinstance(ratio, Sequence) else [ratio]))
    if not found:
        raise InputError("--ratios: name at least one")
    for each in found:
        if not 0 <= each < 1:
            raise InputError(f"a ratio of {each:g}: the share that is removed is at least 0 and below 1")
    names = [f"{each:g}" for each in found]
    if len(set(names)) < len(names):
        raise InputError(f"--ratios {','.join(names)}: one is named twice")
    return found


def _check_needs(record: CompressRecipe, calibration: Any) -> None:
    if calibration is None and record.reads():
        raise InputError(
            f"recipe {record.name} looks at what the layers of the model read, for which it needs text: give "
            "--calibration, or take a recipe without data, such as magnitude"
        )


def _check_stream(dense: Dense, record: CompressRecipe) -> None:
    """Refuse to repair hidden states that a layer's output reaches only through something else."""
    from harmonia.models.pruned import family_of

    slots = family_of(dense.model).slots(dense.model) if record.calibration.target == "dense-stream" else []
    if any(slot.stream is None for slot in slots):
        raise InputError(
            f"calibration.target=dense-stream: what layers of {dense.name} give goes through a norm or a factor before "
            "it is added to the hidden state; take dense-output"
        )


def _check_units(dense: Dense, record: CompressRecipe, ratios: Sequence[float], fold_bias: bool) -> None:
    """Refuse before anything is seen what no scores would allow: layers that may not be mended, too small a budget."""
    from harmonia.compress.surgery import naming, within

    sites = record.structure.sites(dense.model, 1)
    if isinstance(record.structure, Hidden):
        from harmonia.compress.work import widths
        from harmonia.models.pruned import check_narrow

        for ratio in ratios:
            check_narrow(dense.model, widths(dense, record.structure, ratio))
    for site in sites:
        with naming(site):
            within(record.reconstruction, site, fold_bias)
    search = record.allocation
    if sites and not (isinstance(search, LatencySearch) and search.lacks(sites)):  # which is measured in the run
        some = [np.arange(site.units, dtype=np.float64) for site in sites]
        for ratio in ratios:
            record.allocation.keep(sites, some, ratio)


def _check_tasks(dense: Dense, tasks: Sequence[str]) -> None:
    """Refuse tasks that are unknown, and those of a model that predicts no text."""
    if tasks:
        from harmonia.models.lm_eval import check_tasks

        if dense.task != "causal":
            raise InputError(f"--tasks are asked of language models, and {dense.name} is none; leave them out")
        check_tasks(tasks)


def _check_loss(dense: Dense, record: CompressRecipe, own: Sequences | None) -> None:
    """Refuse gradients of nothing.

    Raises:
        InputError: the recipe needs them, and the model has no loss on this text.
    """
    if own is None or not {"gradients", "slices"} & record.reads() or dense.loss(own.labels) is not None:
        return
    what = "a classifier, whose loss needs labels: name their column with --label"
    if dense.task == "encoder":
        what = "an encoder, which has none: take a recipe without gradients, such as liar-wifv"
    raise InputError(f"recipe {record.name} takes gradients of a loss, and {dense.name} is {what}")


def _sequences(
    dense: Dense, texts: Texts, record: CompressRecipe, length: int, tokens: int, judged: int, seed: int
) -> tuple[Sequences | None, Sequences | None]:
    """Return what is calibrated on and what is judged by; None where there is no text for it."""
    if texts.label is not None and dense.task != "classifier":
        raise InputError(f"--label {texts.label}: {dense.name} is no classifier; leave it out")
    classes = dense.classes() if texts.label is not None else None
    if texts.calibration is None and texts.held_out is None:
        return None, None
    if texts.calibration is None:
        return None, texts.judge(dense.tokenizer, classes, length=length, judged=judged)
    return texts.draw(
        dense.tokenizer,
        classes,
        length=length,
        sequences=record.calibration.sequences,
        tokens=tokens,
        judged=judged,
        seed=seed,
    )
