"""``harmonia compare merge``: several rules on the same experts, judged by perplexity on text of each domain."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from harmonia.cli.common import Work, numbers, seeds_from, words
from harmonia.cli.merge import pairs
from harmonia.core.errors import InputError

USUAL = "linear,task-arithmetic,ties,dare-ties"
"""What is compared when nothing else is asked: the plain average first."""


def merge(
    *experts: str,
    base: str | None = None,
    recipes: str = USUAL,
    data: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    weights: str | None = None,
    seeds: int = 3,
    baseline: str | None = None,
    windows: int = 32,
    length: int = 512,
    prompt: int | None = None,
    prompts: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    tasks: str | None = None,
    limit: int | None = None,
    unmatched: Literal["refuse", "reference"] = "refuse",
    allow_pytorch_bin: Annotated[bool, Parameter(negative="")] = False,
    threads: int | None = None,
    text_column: str | None = None,
    work: Annotated[Work | None, Parameter(name="*")] = None,
) -> None:
    """Merge the same experts with several recipes, and judge each by perplexity on held-out text of every domain.

    The base and every expert stand beside the recipes. A seed has windows of text of its own, and draws of its own for
    rules that draw. A merged model is kept only while it is judged.

        harmonia compare merge law code --base smollm --recipes linear,ties --data law=law.jsonl code=code.jsonl

    Mixtures of experts stand beside dense merges:

        harmonia compare merge law code --base smollm --recipes ties,mergeme-free --data law=law.jsonl code=code.jsonl

    Parameters
    ----------
    experts
        Causal language models or adapters, as of `harmonia merge`.
    base
        What they were trained from.
    recipes
        Comma-separated names or YAML files; the first is the baseline.
    data
        DOMAIN=FILE, held-out text of a domain; repeatable.
    weights
        How much each expert counts, comma-separated.
    seeds
        How many seeds; at least 2 for intervals.
    baseline
        Row to compare with: a recipe, base, or "expert NAME".
    windows
        Windows of each domain for each seed, at most.
    length
        Tokens of a window.
    prompt
        Tokens at the beginning of a window that all models read and none is judged by, from which mixtures choose
        experts; a quarter of a window by default, at most 64.
    prompts
        EXPERT=FILE, text of an expert's domain for routers that are fitted to it; other text than is judged.
    tasks
        Tasks of lm-evaluation-harness that dense models are judged by as well, comma-separated; needs harmonia[eval].
    limit
        Examples of each task, at most.
    unmatched
        Tensors that not all models have alike: refuse, or take the base's with reference.
    allow_pytorch_bin
        Read pytorch_model.bin where there are no safetensors: of the pickle only tensors, and no code is run.
    threads
        Tensors that are merged at a time (--workers means the same).
    text_column
        Column of the text.
    """
    work = work or Work()
    work.begin()
    if not experts:
        raise InputError("name the experts: harmonia compare merge EXPERT EXPERT --base BASE --data law=law.jsonl")
    from harmonia.merge.comparison import compare
    from harmonia.merge.prompts import Prompts
    from harmonia.report.pages import report as write
    from harmonia.report.terminal import comparison

    chosen = seeds_from(work.seed, seeds)
    folder = work.folder("compare-merge")
    record = compare(
        experts,
        words(recipes),
        base=base,
        data=pairs(data or [], "--data", "DOMAIN"),
        weights=None if weights is None else numbers(weights, "--weights"),
        settings=work.set or (),
        seeds=chosen,
        baseline=baseline,
        windows=windows,
        length=length,
        prompt=prompt,
        prompts=Prompts(pairs(prompts or [], "--prompts", "EXPERT"), text_column=text_column),
        tasks=words(tasks) if tasks else (),
        limit=limit,
        unmatched=unmatched,
        allow_pytorch_bin=allow_pytorch_bin,
        threads=threads or work.workers,
        text_column=text_column,
        out=folder,
        resume=work.resume,
    )
    if work.report:
        write(folder)
    work.say({"run": str(folder), **record}, lambda: comparison(record))
