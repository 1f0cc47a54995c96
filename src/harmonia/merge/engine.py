"""The engine of stage ``merge``: open the models, see what is asked for, and make one model or a mixture of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from harmonia.core.errors import InputError, require
from harmonia.core.run import Run
from harmonia.data.checkpoints import SHARD, refuse_input
from harmonia.merge.adamerging import check_fit
from harmonia.merge.dense_work import merge_dense
from harmonia.merge.inputs import Inputs, open_inputs
from harmonia.merge.mixture_work import make_mixture, refuse_dense_options, tokenizer_of
from harmonia.merge.prompts import Prompts
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.recipes import BOOK
from harmonia.merge.result import MergeResult
from harmonia.merge.streaming import fingerprint
from harmonia.merge.tensor_weights import Patterns, counts_of, read_patterns
from harmonia.merge.wanted import Wanted
from harmonia.merge.weights.scaled import Scaled


def merge(
    experts: Sequence[str | Path],
    recipe: str | Path | MergeRecipe = "linear",
    *,
    base: str | Path | None = None,
    weights: Sequence[float] | None = None,
    weights_of: Patterns | str | Path | None = None,
    settings: Iterable[str] = (),
    scalings: Sequence[float] | None = None,
    prompts: Prompts | Mapping[str, Any] | None = None,
    dtype: str | None = None,
    unmatched: Literal["refuse", "reference"] = "refuse",
    allow_pytorch_bin: bool = False,
    shard: int = SHARD,
    threads: int | None = None,
    disagreement: bool = True,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
) -> MergeResult:
    """Merge trained models into one, in memory that does not grow with the model; or make them a mixture of experts.

    A mixture is written in the memory of a few pieces, too; but a router that is fitted needs all of it in memory.

    Args:
        experts: folders, names of the catalogue or Hub ids of models or LoRA adapters; fine-tunes of one base.
        recipe: a name, a YAML file or a record.
        base: what the experts were trained from; rules on task vectors need it.
        weights: w_i, how much each expert counts, in their order; 1 each when left out.
        weights_of: other weights for some tensors: regular expressions of names with weights of all experts, or the
            YAML file of such a mapping; the first that matches decides.
        settings: changes to the recipe, ``axis.field=value``.
        scalings: write a model for each of these lambdas, theta_0 + lambda tau, with one reading.
        prompts: name of an expert -> text of its domain, for routers that are fitted to it; experts are called by the
            last part of their path.
        dtype: float32, bfloat16, float16 or float64; the base's types when left out.
        unmatched: refuse tensors that not all models have alike, or take the base's.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.
        shard: most bytes of a file.
        threads: tensors that are worked on at a time; None for one per core.
        disagreement: also measure how the experts disagree in every tensor, where there is a base.
        seed: of whatever a rule draws.
        out: run folder.
        resume: go on with an interrupted run; finished files are kept.

    Raises:
        InputError: models that cannot be merged, an unusable recipe, or an output folder or disk that does not suit.
        RunError: the disk is full; what was finished is kept.
    """
    require("torch", "merge")
    record = BOOK.load(recipe).with_settings(settings)
    record.check()
    mixture = record.routing.is_mixture
    if mixture:
        refuse_dense_options(record, weights_of=weights_of, scalings=scalings, unmatched=unmatched)
    inputs = open_inputs(
        experts,
        base,
        dtype=dtype,
        unmatched=unmatched,
        matched=not record.bridging.bridges,
        allow_pytorch_bin=allow_pytorch_bin,
    )
    counts = [1.0] * len(experts) if weights is None else [float(weight) for weight in weights]
    if not mixture:
        record.weights.check(len(experts), base is not None, counts)
    texts = prompts if isinstance(prompts, Prompts) else Prompts(prompts or {})
    texts.check(inputs.experts)
    windows = texts.windows(inputs.experts, tokenizer_of(inputs), seed) if texts else None
    if not mixture:
        check_fit(record.weights, inputs.plan, None if windows is None else windows.positive)
    own = tensor_counts(inputs, weights_of)
    lambdas = lambdas_of(record, scalings)
    wanted = Wanted(inputs, counts, own, lambdas, windows, dtype, shard, threads, disagreement=disagreement, seed=seed)
    if mixture:
        wanted.mixture(record)  # says what does not suit before a folder is made
    if out is not None:
        refuse_input(Path(out), inputs.plan.inputs)
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-merge-"))
    request = {
        "base": inputs.base,
        "experts": inputs.experts,
        "inputs": fingerprint(inputs.plan, record.weights),
        "weights": counts,
        "weights_of": own,
        "scalings": lambdas,
        "prompts": None if windows is None else windows.fingerprint(),
        "dtype": dtype,
        "unmatched": unmatched,
        "shard": shard,
        "disagreement": disagreement,
        "seed": seed,
        "references": list(dict.fromkeys([*record.references(), *inputs.references])),
    }
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            (make_mixture if mixture else merge_dense)(run, record, wanted)
            run.finish()
    return MergeResult(folder)


def tensor_counts(inputs: Inputs, weights_of: Patterns | str | Path | None) -> dict[str, list[float]]:
    """Return the weights of tensors for which they were given apart.

    Raises:
        InputError: a file or a pattern that cannot be used.
    """
    if weights_of is None:
        return {}
    patterns = weights_of if isinstance(weights_of, Mapping) else read_patterns(weights_of)
    names = [tensor.slot.name for tensor in inputs.plan.merged]
    return counts_of(patterns, names, len(inputs.experts))


def lambdas_of(record: MergeRecipe, scalings: Sequence[float] | None) -> list[float]:
    """Return the lambdas of a sweep, none without one.

    Raises:
        InputError: a rule that has no lambda, none that is wanted, or one that is wanted twice.
    """
    if scalings is None:
        return []
    if not isinstance(record.weights, Scaled):
        raise InputError(
            f"weights={record.weights.kind_name()} has no scaling to sweep over: take a rule on task vectors, as ties"
        )
    if not scalings or len(set(scalings)) < len(scalings):
        raise InputError(f"scalings {list(scalings)}: give at least one, each once")
    return [float(scaling) for scaling in scalings]
