"""``harmonia diagnose --experts``: how experts disagree, before they are merged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError, require
from harmonia.core.files import read_json, write_json
from harmonia.core.run import Run
from harmonia.merge.advice import advice
from harmonia.merge.disagreement import disagreement, summary
from harmonia.merge.inputs import open_inputs
from harmonia.merge.recipes import BOOK
from harmonia.merge.streaming import fingerprint


def diagnose(
    data: str | Path | Sequence[str | Path],
    *,
    base: str | Path | None = None,
    threads: int | None = None,
    allow_pytorch_bin: bool = False,
    settings: Iterable[str] = (),
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Measure where the task vectors of experts, expert - base, agree and where they pull apart.

    Args:
        data: the experts: folders, names of the catalogue or Hub ids of models or adapters.
        base: what they were trained from.
        threads: tensors that are read at a time; None for one per core.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.
        settings: none are known.
        seed: kept with the run; nothing is drawn.
        out: run folder; a fresh temporary folder when left out.
        resume: go on with an interrupted run.

    Returns:
        The record: norms, cosines and sign conflict of the model, of every layer and of every tensor; advice.

    Raises:
        InputError: fewer than two experts, no base, or models that do not match.
    """
    require("torch", "merge")
    experts: Sequence[str | Path] = [data] if isinstance(data, str | Path) else data
    if len(experts) < 2:
        raise InputError("name at least two experts: a diagnosis says how they disagree")
    if base is None:
        raise InputError("experts disagree about where to move from a base: name it with --base")
    if list(settings):
        raise InputError("a diagnosis of experts has no settings: leave --set out")
    inputs = open_inputs(experts, base, unmatched="reference", allow_pytorch_bin=allow_pytorch_bin)
    record = BOOK.get("linear")
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-diagnose-"))
    request = {
        "base": inputs.base,
        "experts": inputs.experts,
        "inputs": fingerprint(inputs.plan, record.weights),
        "seed": seed,
        "diagnosis": True,
        "references": list(inputs.references),
    }
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            told = summary(disagreement(inputs.plan, threads=threads), inputs.experts)
            for line in told["warnings"]:
                run.warn(line)
            if inputs.plan.copied:
                run.warn(f"not all models have {inputs.plan.copied[0]} alike ({len(inputs.plan.copied)} such tensors)")
            found = {
                "stage": "merge",
                "kind": "experts",
                "base": inputs.base,
                **told,
                "parameters": sum(tensor.slot.size for tensor in inputs.plan.merged),
                "warnings": run.warnings,
            }
            write_json(run.result / "diagnosis.json", {**found, "advice": advice(found)})
            run.finish()
    told_again: dict[str, Any] = read_json(folder / "result" / "diagnosis.json")
    return told_again
