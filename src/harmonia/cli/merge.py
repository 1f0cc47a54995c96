"""``harmonia merge``: several models in one, dense or a mixture of experts; and ``harmonia merge measure``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from harmonia.cli.common import Speech, Work, numbers, recipe_name
from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from rich.console import Group

    from harmonia.merge.prompts import Prompts
    from harmonia.merge.result import MergeResult

app = App(name="merge")

SHARD = "5GB"
"""Most bytes of a file, as the Hub likes them."""


@app.default
def merge(
    *experts: str,
    base: str | None = None,
    recipe: str | None = None,
    moe: Annotated[bool, Parameter(negative="")] = False,
    prompts: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    negative_prompts: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    prompt_windows: int = 256,
    prompt_length: int = 256,
    text_column: str | None = None,
    weights: str | None = None,
    weights_of: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    sweep: str | None = None,
    dtype: str | None = None,
    unmatched: Literal["refuse", "reference"] = "refuse",
    allow_pytorch_bin: Annotated[bool, Parameter(negative="")] = False,
    adapters: Literal["fold", "keep"] = "fold",
    rank: int | None = None,
    shard_size: str = SHARD,
    threads: int | None = None,
    disagreement: bool = True,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    work: Annotated[Work | None, Parameter(name="*")] = None,
) -> None:
    """Merge fine-tunes of one model into one model, in memory that does not grow with its size.

    Writes RUN/result/model, which transformers loads by itself (tokenizer and settings are the base's),
    disagreement.json and summary.json. An interrupted run goes on with --resume; finished files are kept.

        harmonia merge law code mail --base smollm --recipe ties --set weights.density=0.2 --out run

    How much each expert counts, for all tensors and for some:

        harmonia merge law code --base smollm --recipe task-arithmetic --weights 1,0.5 --weights-of "layers.[0-9].=1,0"

    Several models from one reading, theta_0 + lambda tau:

        harmonia merge law code mail --base smollm --recipe ties --sweep scaling=0.3,0.5,1.0 --out run

    Or a mixture of experts, which all stay; a router chooses among them, found here from text of each one's domain:

        harmonia merge law code mail --moe --base smollm --out run

        harmonia merge law code --moe --recipe ridge-router --prompts law=law.jsonl code=code.jsonl --out run

    Several LoRA adapters in one adapter, without reading the base:

        harmonia merge lora-law lora-code --adapters keep --recipe task-arithmetic --rank 32 --out run

    Before that: `harmonia diagnose --experts law code mail --base smollm` says where they pull apart and which recipes
    address it, --dry-run what it takes. After it: `harmonia compare merge` says whether it helps.

    Parameters
    ----------
    experts
        Folders, names of the catalogue or Hub ids of models or LoRA adapters, fine-tunes of one base.
    base
        What they were trained from; rules on task vectors need it, and adapters are folded into it.
    recipe
        A recipe's name (`harmonia recipes merge`) or a YAML file; linear by default, mergeme-free with --moe.
    moe
        Make a mixture of experts: llama-like decoders of one tokenizer. RUN/result/model is a stock Mixtral or
        Qwen3-MoE checkpoint where that layout can hold it, else `harmonia.models.mixture.folder.load` reads it.
    prompts
        EXPERT=FILE, text of an expert's own domain, for routers that are fitted to it; experts are called by the last
        part of their path.
    negative_prompts
        EXPERT=FILE, text that an expert should not take.
    prompt_windows
        Windows of each text, at most.
    prompt_length
        Tokens of a window.
    text_column
        Column of the text.
    weights
        How much each expert counts, comma-separated in their order; 1 each by default.
    weights_of
        Other weights for some tensors: PATTERN=1,0.5,0, a regular expression found in their names, or the YAML file of
        a mapping of patterns to weights; repeatable, the first that matches decides.
    sweep
        scaling=0.3,0.5,1.0: a model for each, from one reading of the weights.
    dtype
        float32, bfloat16, float16 or float64; by default the base's types.
    unmatched
        Tensors that not all models have alike: refuse, or take the base's with reference.
    allow_pytorch_bin
        Read pytorch_model.bin where there are no safetensors: of the pickle only tensors, and no code is run.
    adapters
        fold LoRA adapters into the base, or keep them: several become one adapter, and no base is read.
    rank
        Of the adapter that --adapters keep writes; by default the sum of the experts' ranks, with which sums are exact.
    shard_size
        Most bytes of a file: 5GB, 500MB.
    threads
        Tensors that are worked on at a time; one per core by default (--workers means the same).
    disagreement
        Also measure how the experts disagree in every tensor, where there is a base.
    dry_run
        Say bytes, memory, disk and time, and write nothing.
    """
    work = work or Work()
    work.begin()
    if not experts:
        raise InputError("name the experts: harmonia merge EXPERT EXPERT --base BASE --recipe ties")
    recipe = recipe or ("mergeme-free" if moe else "linear")
    if moe:
        _check_mixture(recipe, work.set or ())
    if adapters == "keep":
        _refuse_with_adapters(weights_of=weights_of, sweep=sweep, dry_run=dry_run, prompts=prompts)
        from harmonia.merge.adapter_work import merge_kept

        kept = merge_kept(
            experts,
            recipe,
            base=base,
            weights=None if weights is None else numbers(weights, "--weights"),
            settings=work.set or (),
            rank=rank,
            dtype=dtype,
            seed=work.seed,
            out=work.folder(f"merge-{recipe_name(recipe)}"),
            resume=work.resume,
        )
        _tell(kept, work)
        return
    if rank is not None:
        raise InputError("--rank is of the adapter that --adapters keep writes: leave it out")
    options: dict[str, Any] = {
        "base": base,
        "weights": None if weights is None else numbers(weights, "--weights"),
        "weights_of": patterns(weights_of or []),
        "settings": work.set or (),
        "scalings": scalings(sweep),
        "prompts": _prompts(prompts, negative_prompts, prompt_windows, prompt_length, text_column),
        "dtype": dtype,
        "unmatched": unmatched,
        "allow_pytorch_bin": allow_pytorch_bin,
        "shard": size_of(shard_size),
        "threads": threads or work.workers,
        "seed": work.seed,
    }
    if dry_run:
        from harmonia.merge.preview import dry_run as preview

        record = preview(experts, recipe, out=work.out, **options)
        work.say(record, lambda: _previewed(record))
        return
    from harmonia.merge.engine import merge as run

    result = run(
        experts,
        recipe,
        **options,
        disagreement=disagreement,
        out=work.folder(f"merge-{recipe_name(recipe)}"),
        resume=work.resume,
    )
    _tell(result, work)


def _tell(result: MergeResult, work: Work) -> None:
    """Say what was made, for people or for machines."""
    summary = result.summary
    models = [str(path) for path in result.models.values()]
    told = ("recipe", "base", "experts", "parameters", "disagreement", "warnings", "seconds", "peak_memory_bytes")
    record = {
        "run": str(result.folder),
        **({"model": models[0]} if len(models) == 1 else {}),
        "models": [{**each, "folder": path} for each, path in zip(summary["models"], models, strict=True)],
        **{key: summary[key] for key in told},
        **{key: summary[key] for key in ("mixture", "adapter", "fit") if summary.get(key)},
    }
    if work.report:
        record["report"] = str(result.report())

    def shown() -> Group:
        from rich.console import Group

        from harmonia.report.terminal import merged

        where = [*(f"model: {model}" for model in models), *(f"report: {record['report']}" for _ in [0] if work.report)]
        return Group(merged(summary), *where)

    work.say(record, shown)


@app.command
def measure(
    expert: str,
    *,
    statistic: str,
    text: str,
    windows: int = 256,
    length: int = 512,
    memory: str = "2GB",
    text_column: str | None = None,
    allow_pytorch_bin: Annotated[bool, Parameter(negative="")] = False,
    seed: int = 0,
    speech: Annotated[Speech | None, Parameter(name="*")] = None,
) -> None:
    """Measure what fisher and regmean read of an expert beside its weights, on text of its own domain.

    Writes EXPERT/fisher.safetensors or EXPERT/gram.safetensors, for every later merge with this expert.

        harmonia merge measure law --statistic fisher --text law.jsonl

    Parameters
    ----------
    expert
        Folder of a model.
    statistic
        fisher, the mean squared gradient of every weight (causal language models); or gram, the mean product of the
        inputs of every linear layer.
    text
        Documents of the expert's domain.
    windows
        Windows of text, at most.
    length
        Tokens of a window.
    memory
        Bytes that statistics may take at once; less means more passes over the text.
    text_column
        Column of the text.
    allow_pytorch_bin
        Read pytorch_model.bin where there are no safetensors: of the pickle only tensors, and no code is run.
    seed
        Draws the windows.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.merge.measuring import measure as run

    record = run(
        expert,
        statistic,
        text,
        windows=windows,
        length=length,
        memory=size_of(memory, "--memory"),
        seed=seed,
        text_column=text_column,
        allow_pytorch_bin=allow_pytorch_bin,
    )
    passes = f"{record['passes']} pass{'es' if record['passes'] > 1 else ''}"
    speech.say(
        record,
        lambda: (
            f"{record['file']}: {statistic} of {record['tensors']} tensors from {record['windows']} windows "
            f"({record['tokens']} tokens), {passes}, {record['seconds']:.1f} s"
        ),
    )


def _refuse_with_adapters(**given: Any) -> None:
    for name, value in given.items():
        if value:
            raise InputError(
                f"--{name.replace('_', '-')} goes with whole models: leave it out, or take --adapters fold"
            )


def _check_mixture(recipe: str, settings: Iterable[str]) -> None:
    from harmonia.merge.recipes import BOOK

    record = BOOK.load(recipe).with_settings(settings)
    if not record.routing.is_mixture:
        mixtures = [name for name in BOOK.names() if BOOK.get(name).routing.is_mixture]
        raise InputError(f"--moe: recipe {record.name} makes one dense model; take {', '.join(mixtures)}")


def _prompts(
    positive: list[str] | None, negative: list[str] | None, most: int, length: int, text_column: str | None
) -> Prompts:
    from harmonia.merge.prompts import Prompts

    own = pairs(positive or [], "--prompts", "EXPERT")
    return Prompts(own, pairs(negative or [], "--negative-prompts", "EXPERT"), most, length, text_column)


def pairs(given: list[str], option: str, of: str) -> dict[str, str]:
    """Read ``NAME=FILE`` pairs.

    >>> pairs(["law=law.jsonl", "code=code/"], "--data", "DOMAIN")
    {'law': 'law.jsonl', 'code': 'code/'}
    """
    found: dict[str, str] = {}
    for pair in given:
        name, equals, place = pair.partition("=")
        if not equals or not name or not place:
            raise InputError(f"{option} {pair}: expected {of}=FILE, for instance law=law.jsonl")
        if name in found:
            raise InputError(f"{option} {pair}: {name} has text already; give each one text")
        found[name] = place
    return found


def _previewed(record: dict[str, Any]) -> Group:
    from harmonia.report.terminal import merge_preview

    return merge_preview(record)


def patterns(given: list[str]) -> dict[str, list[float]] | None:
    """Read ``PATTERN=1,0.5,0``, or YAML files of such, in their order.

    >>> patterns(["layers.0=1,0", "embed=0.5,0.5"])
    {'layers.0': [1.0, 0.0], 'embed': [0.5, 0.5]}
    """
    from harmonia.merge.tensor_weights import read_patterns

    found: dict[str, list[float]] = {}
    for word in given:
        if Path(word).suffix in (".yaml", ".yml", ".json"):
            found |= read_patterns(word)
            continue
        pattern, equals, counts = word.rpartition("=")
        if not equals or not pattern:
            raise InputError(f"--weights-of {word}: expected PATTERN=1,0.5,0 or a YAML file")
        found[pattern] = numbers(counts, f"--weights-of {word}")
    return found or None


def scalings(sweep: str | None) -> list[float] | None:
    """Read ``scaling=0.3,0.5``.

    >>> scalings("scaling=0.3,1")
    [0.3, 1.0]
    """
    if sweep is None:
        return None
    name, _, values = sweep.partition("=")
    if name != "scaling":
        raise InputError(f"--sweep {sweep}: only scaling can be swept, as in --sweep scaling=0.3,0.5,1.0")
    return numbers(values, f"--sweep {sweep}")


def size_of(text: str, option: str = "--shard-size") -> int:
    """Read a size.

    >>> size_of("5GB"), size_of("0.5 MB"), size_of("1000")
    (5000000000, 500000, 1000)
    """
    words = text.strip().upper().removesuffix("B").strip()
    factor = {"K": 1e3, "M": 1e6, "G": 1e9}.get(words[-1:], 1)
    try:
        found = int(float(words.rstrip("KMG")) * factor)
    except ValueError:
        found = 0
    if found < 1:
        raise InputError(f"{option} {text}: a size is needed, for instance 5GB or 500MB")
    return found
