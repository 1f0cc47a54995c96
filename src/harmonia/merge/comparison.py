"""``harmonia compare merge``: several rules on the same experts, judged by perplexity on held-out text of each domain.

The base and every expert stand beside the rules. Every seed has windows of text of its own, and draws of its own for
rules that draw; so intervals over seeds tell how far both matter. A merged model is kept only while it is judged.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from harmonia.core.citation import entries
from harmonia.core.compare import Cell, check_table
from harmonia.core.compare import compare as table
from harmonia.core.errors import InputError, require
from harmonia.core.files import read_json, write_json
from harmonia.core.measure import Meter
from harmonia.core.recipe import Recipe
from harmonia.core.run import Run
from harmonia.data.checkpoints import AdaptedCheckpoint, Checkpoint
from harmonia.merge.adamerging import check_fit, fitted
from harmonia.merge.inputs import open_inputs
from harmonia.merge.mixture_work import tokenizer_of
from harmonia.merge.plan import plan
from harmonia.merge.prompts import Prompts
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.recipes import BOOK
from harmonia.merge.references import REFERENCES
from harmonia.merge.streaming import fingerprint, merge
from harmonia.merge.texts import texts_of
from harmonia.merge.wanted import Wanted
from harmonia.merge.weights import Linear
from harmonia.merge.weights.base import Weights

_TOKENS = 2048
"""Of a batch that is judged."""


class _Table(Recipe):
    """The record of a comparison in its run folder: the recipes lie in the request."""

    stage: ClassVar[str] = "merge"


def compare(
    experts: Sequence[str | Path],
    recipes: Sequence[str | Path | MergeRecipe],
    *,
    base: str | Path | None = None,
    data: Mapping[str, Any],
    weights: Sequence[float] | None = None,
    settings: Iterable[str] = (),
    seeds: Iterable[int] = range(3),
    baseline: str | None = None,
    prompts: Prompts | Mapping[str, Any] | None = None,
    windows: int = 32,
    length: int = 512,
    prompt: int | None = None,
    tasks: Sequence[str] = (),
    limit: int | None = None,
    unmatched: Literal["refuse", "reference"] = "refuse",
    allow_pytorch_bin: bool = False,
    threads: int | None = None,
    text_column: str | None = None,
    out: str | Path,
    resume: bool = False,
) -> dict[str, Any]:
    """Compare rules by the perplexity of what they make of the same experts.

    Args:
        experts: causal language models or adapters, fine-tunes of one base.
        recipes: names, YAML files or records; the first is the baseline.
        base: what the experts were trained from.
        data: name of a domain -> held-out text of it: files, a data set of the catalogue, or a list of texts.
        weights: w_i of the experts.
        settings: changes to every recipe.
        seeds: of draws, and of the windows of text that are judged.
        baseline: row to compare with: a recipe, ``base``, or ``expert NAME``.
        prompts: name of an expert -> text of its domain, for routers that are fitted to it; other text than is judged.
        windows: of each domain for each seed, at most.
        length: tokens of a window.
        prompt: tokens at the beginning of a window, which all models read and none is judged by: mixtures that choose
            experts for a whole text choose by them. A quarter of a window when left out, at most 64.
        tasks: of lm-evaluation-harness, by which dense models are judged as well: names, or YAML files of tasks.
        limit: examples of each task, at most.
        unmatched: refuse tensors that not all models have alike, or take the base's.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.
        threads: tensors that are merged at a time.
        text_column: column of the text.
        out: run folder.
        resume: go on with an interrupted comparison.

    Returns:
        The record of ``harmonia.core.compare.Comparison``; its rows are the recipes, the base and the experts, and
        ``perplexity/mean`` is exp of the mean over domains of the nats per token.

    Raises:
        InputError: models, recipes or texts that cannot be used.
    """
    require("torch", "merge")
    require("transformers", "merge")
    seeds = list(seeds)
    if not data:
        raise InputError("name held-out text of at least one domain: --data law=law.jsonl")
    loaded = [BOOK.load(recipe).with_settings(settings) for recipe in recipes]
    for record in loaded:
        record.check()
    if tasks:
        _check_tasks(tasks, loaded)
    inputs = open_inputs(
        experts,
        base,
        unmatched=unmatched,
        matched=not all(r.bridging.bridges for r in loaded),
        allow_pytorch_bin=allow_pytorch_bin,
    )
    counts = [1.0] * len(experts) if weights is None else [float(weight) for weight in weights]
    check_table([record.name for record in loaded], seeds, None)
    given = prompts if isinstance(prompts, Prompts) else Prompts(prompts or {})
    given.check(inputs.experts)
    shown = min(64, length // 4) if prompt is None else prompt
    if not 2 <= shown <= length // 2 - 1:
        raise InputError(f"--prompt {shown}: 2 to {length // 2 - 1} tokens of windows of {length}; raise --length")
    fitting = {seed: given.windows(inputs.experts, tokenizer_of(inputs), seed) for seed in (seeds if given else ())}
    wanted = {seed: Wanted(inputs, counts, windows=fitting.get(seed), threads=threads, seed=seed) for seed in seeds}
    for record in loaded:
        if record.routing.is_mixture:
            wanted[seeds[0]].mixture(record)
        else:
            record.weights.check(len(experts), base is not None, counts)
            held = wanted[seeds[0]].windows
            check_fit(record.weights, inputs.plan, None if held is None else held.positive)
        fingerprint(inputs.plan, record.weights)  # whatever it reads beside the weights is there
    whole = {} if inputs.plan.base is None else {"base": inputs.plan.base}
    whole |= {f"expert {name}": model for name, model in zip(inputs.experts, inputs.plan.experts, strict=True)}
    rows = [*(record.name for record in loaded), *whole]
    baseline = check_table(rows, seeds, baseline)
    references = list(dict.fromkeys([*(k for record in loaded for k in record.references()), *inputs.references]))
    texts = _Texts(inputs.plan.reference.folder, data, seeds, windows, length, text_column)
    request = {
        "base": inputs.base,
        "experts": inputs.experts,
        "inputs": fingerprint(inputs.plan, Linear()),
        "recipes": {record.name: record.to_yaml() for record in loaded},
        "weights": counts,
        "unmatched": unmatched,
        "seeds": seeds,
        "baseline": baseline,
        "windows": {domain: len(held[0]) for domain, held in texts.held.items()},
        "text": texts.fingerprint(),
        "length": length,
        "prompt": shown,
        "tasks": [str(task) for task in tasks],
        "limit": limit,
        "prompts": {str(seed): held.fingerprint() for seed, held in fitting.items()},
        "references": references,
    }
    with Run.start(out, _Table(name="comparison"), request, resume=resume) as run:
        if not run.finished:
            judged = _Judged(run, {r.name: r for r in loaded}, whole, wanted, texts, shown, tasks, limit)
            measured = table(judged.cell, rows, seeds, baseline=baseline, run=run)
            write_json(
                run.result / "comparison.json",
                {
                    "stage": "merge",
                    "judge": f"perplexity on held-out windows of {length} tokens, behind the first {shown}",
                    "better": {"perplexity": "lower", **judged.better},
                    "base": inputs.base,
                    "experts": list(inputs.experts),
                    "windows": request["windows"],
                    "warnings": run.warnings,
                    "cite": entries(references, REFERENCES),
                    **measured.record(),
                },
            )
            run.finish()
    found: dict[str, Any] = read_json(Path(out) / "result" / "comparison.json")
    return found


def _check_tasks(tasks: Sequence[str], recipes: Sequence[MergeRecipe]) -> None:
    """Refuse tasks that are unknown, and recipes whose models lm-eval does not load."""
    from harmonia.models.lm_eval import check_tasks

    mixture = next((record.name for record in recipes if record.routing.is_mixture), None)
    if mixture is not None:
        raise InputError(
            f"--tasks are asked of dense models, and recipe {mixture} makes a mixture: leave one of them out"
        )
    check_tasks(tasks)


class _Texts:
    """Windows of held-out text: of each domain, some for each seed.

    Attributes:
        held: domain -> for each seed, token ids.
    """

    def __init__(
        self,
        folder: Path,
        data: Mapping[str, Any],
        seeds: Sequence[int],
        most: int,
        length: int,
        text_column: str | None,
    ) -> None:
        from harmonia.models.pretrained import load_tokenizer
        from harmonia.models.windows import windows

        if most < 1 or length < 2:
            raise InputError(f"--windows {most} --length {length}: at least 1 window of 2 tokens is needed")
        tokenizer = load_tokenizer(str(folder))
        self.held: dict[str, list[list[list[int]]]] = {}
        for domain, place in data.items():
            named = f"{domain}={place}" if isinstance(place, str | Path) else f"the text of {domain}"
            texts = texts_of(place, text_column)
            found = windows(texts, tokenizer, length, most * len(seeds), 0, "held out", named=named)
            if len(found) < len(seeds):
                raise InputError(
                    f"{named} gives {len(found)} windows of {length} tokens, and {len(seeds)} seeds want one each: "
                    "give more text, or lower --length or --seeds"
                )
            self.held[domain] = [found[place :: len(seeds)] for place in range(len(seeds))]
        self.seeds = list(seeds)

    def fingerprint(self) -> str:
        """Return what tells whether the same windows are judged."""
        return hashlib.blake2b(json.dumps(self.held).encode(), digest_size=16).hexdigest()


class _Judged:
    """The nats per token of every model on every domain, kept as they come."""

    def __init__(
        self,
        run: Run,
        recipes: Mapping[str, MergeRecipe],
        whole: Mapping[str, Checkpoint],
        wanted: Mapping[int, Wanted],
        texts: _Texts,
        prompt: int,
        tasks: Sequence[str],
        limit: int | None,
    ) -> None:
        self.run, self.recipes, self.whole = run, recipes, whole
        self.wanted, self.texts, self.prompt = wanted, texts, prompt
        self.tasks, self.limit = tasks, limit
        self.better: dict[str, str] = {}

    def cell(self, row: str, seed: int) -> Cell:
        """Return the metrics of a recipe, the base or an expert, with what merging cost."""
        found = self._record(row, seed)
        nats = {domain: found["nats"][domain][str(seed)] for domain in self.texts.held}
        metrics = {"perplexity/mean": float(np.exp(np.mean(list(nats.values()))))}
        metrics |= {f"perplexity/{domain}": float(np.exp(each)) for domain, each in nats.items()}
        self.better |= found["better"]
        return Cell({**metrics, **found["tasks"]}, found["seconds"], found["peak_memory_bytes"])

    def _record(self, row: str, seed: int) -> dict[str, Any]:
        """Return what was measured of a model; of one that no seed changes, for all seeds at once."""
        recipe = self.recipes.get(row)
        drawn = recipe is not None and recipe.draws
        place = list(self.recipes).index(row) if recipe is not None else f"whole-{list(self.whole).index(row)}"
        path = self.run.state / "models" / f"{place}{f'-{seed}' if drawn else ''}.json"
        if not path.exists():
            write_json(path, self._judge(row, recipe, seed, [seed] if drawn else self.texts.seeds))
        found: dict[str, Any] = read_json(path)
        return found

    def _judge(self, row: str, recipe: MergeRecipe | None, seed: int, seeds: Sequence[int]) -> dict[str, Any]:
        scratch = self.run.state / "merging"
        shutil.rmtree(scratch, ignore_errors=True)
        wanted, single = self.wanted[seed], self.whole.get(row)
        made = partial(merge, folder=scratch, threads=wanted.threads)
        with Meter() as meter:
            if recipe is not None and recipe.routing.is_mixture:
                self._mixture(recipe, wanted, scratch)
            elif recipe is not None:
                rule = self._rule(recipe, wanted)
                made(wanted.inputs.plan, rule, counts=wanted.counts, seed=seed)
            elif isinstance(single, AdaptedCheckpoint):
                made(plan([single]), Linear())
        folder = single.folder if single is not None and not scratch.exists() else scratch
        nats = self._nats(folder, seeds, recipe is not None and recipe.routing.is_mixture)
        answers = self._answers(folder)
        shutil.rmtree(scratch, ignore_errors=True)
        return {"nats": nats, **answers, "seconds": meter.seconds, "peak_memory_bytes": meter.peak_memory_bytes}

    def _answers(self, folder: Path) -> dict[str, Any]:
        if not self.tasks:
            return {"tasks": {}, "better": {}}
        from harmonia.models.lm_eval import scores

        found = scores(folder, self.tasks, self.limit)
        return {"tasks": found.values, "better": found.better}

    def _rule(self, recipe: MergeRecipe, wanted: Wanted) -> Weights:
        """Return the rule, fitted to the experts' own text if it is one that is."""
        texts = None if wanted.windows is None else wanted.windows.positive
        plan = wanted.inputs.plan
        rule, _ = fitted(recipe.weights, plan, texts, lambda _, fit: fit(), counts=wanted.counts, seed=wanted.seed)
        return rule

    def _mixture(self, recipe: MergeRecipe, wanted: Wanted, folder: Path) -> None:
        from harmonia.merge.mixture.building import write_mixture

        examples = None if wanted.windows is None else wanted.windows.examples()
        write_mixture(wanted.mixture(recipe), folder, examples=examples, threads=wanted.threads, diagnose=False)

    def _nats(self, folder: Path, seeds: Sequence[int], mixture: bool) -> dict[str, dict[str, float]]:
        from harmonia.models.mixture.folder import load
        from harmonia.models.mixture.prompted import prompted
        from harmonia.models.perplexity import perplexity
        from harmonia.models.pretrained import batches_by_length, load_model, padded

        loaded = load(folder) if mixture else load_model(str(folder), causal=True)
        model: Any = prompted(loaded, self.prompt) if mixture else loaded
        device = next(loaded.parameters()).device
        found: dict[str, dict[str, float]] = {}
        for domain, held in self.texts.held.items():
            for seed in seeds:
                ids = held[self.texts.seeds.index(seed)]
                rows = batches_by_length(np.array([len(own) for own in ids]), _TOKENS)
                value = perplexity(model, (padded(some, ids, device) for some in rows), self.prompt)
                found.setdefault(domain, {})[str(seed)] = float(np.log(value))
        return found
