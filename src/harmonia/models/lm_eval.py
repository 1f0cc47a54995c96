"""Scores of a language model on the tasks of lm-evaluation-harness.

The data of its own tasks come from the Hub; a task described in a YAML file may have its data beside it, and needs no
network. Neither code of tasks nor of models is run beyond what is installed.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harmonia.core.errors import InputError, require, suggest


@dataclass(frozen=True)
class Scores:
    """What a model reached.

    Attributes:
        values: ``task/metric`` -> value; a group of tasks stands beside its tasks.
        errors: standard errors, by the same names, where there are any.
        better: ``higher`` or ``lower``, by the same names; a metric without a direction is left out.
        examples: task -> how many examples were asked.
    """

    values: dict[str, float]
    errors: dict[str, float]
    better: dict[str, str]
    examples: dict[str, int]


def scores(
    model: Any,
    tasks: Sequence[str | Path],
    limit: int | None = None,
    *,
    tokenizer: Any = None,
    shots: int | None = None,
    batch: int = 8,
    device: str = "cpu",
) -> Scores:
    """Return the scores of a causal language model.

    The same model, tasks and limit give the same scores: examples are the first of each task, and those that are shown
    as shots are drawn with a fixed seed.

    Args:
        model: folder of a model, pruned by harmonia or not; or a model of transformers, with its tokenizer.
        tasks: names that lm-eval knows, or YAML files that describe a task.
        limit: examples of each task, at most; all when left out.
        tokenizer: of a model that is given as such.
        shots: examples that precede each question; as the task says when left out.
        batch: sequences of a pass.
        device: where a model is loaded to.

    Raises:
        InputError: no tasks, one that is unknown or whose data cannot be had, or not a causal language model.
        MissingExtraError: lm-eval is not installed.
    """
    asked = check_tasks(tasks)
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit}: at least 1 example of each task is needed")
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    if isinstance(model, str | Path):
        from harmonia.models.pretrained import load_tokenizer
        from harmonia.models.pruned import load

        model, tokenizer = load(model, device=device), load_tokenizer(str(model))
    if not type(model).__name__.endswith(("ForCausalLM", "LMHeadModel")):
        raise InputError(f"a {type(model).__name__} predicts no text, which the tasks of lm-eval ask for")
    with _quiet():
        found = _evaluated(
            simple_evaluate,
            asked,
            model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch),
            num_fewshot=shots,
            limit=limit,
            bootstrap_iters=0,
            log_samples=False,
        )
    return _read(found)


def check_tasks(tasks: Sequence[str | Path]) -> list[str | dict[str, Any]]:
    """Return tasks as lm-eval takes them, before any model is loaded.

    Args:
        tasks: names, or YAML files.

    Raises:
        InputError: none, or one that is unknown.
        MissingExtraError: lm-eval is not installed.
    """
    require("lm_eval", "eval")
    require("accelerate", "eval")
    if not tasks:
        raise InputError("no tasks: name at least one of lm-eval's, as lambada_openai, or a YAML file")
    found = [_described(Path(task)) if Path(task).suffix in (".yaml", ".yml") else str(task) for task in tasks]
    names = [task for task in found if isinstance(task, str)]
    if names:
        known = _manager(True).all_tasks
        for name in names:
            if name not in known:
                near = suggest(name, known)
                raise InputError(
                    f"no task {name!r} in lm-eval{near if near.startswith('; did') else '; lm-eval ls tasks shows all'}"
                )
    return found


def _described(path: Path) -> dict[str, Any]:
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: the task cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(record, dict) or not isinstance(record.get("task"), str):
        raise InputError(f"{path} describes no task of lm-eval: it has no name, task: ...")
    return record


def _manager(whole: bool) -> Any:
    from lm_eval.tasks import TaskManager

    with _quiet():
        return TaskManager(include_defaults=whole)


def _evaluated(evaluate: Any, tasks: list[str | dict[str, Any]], **options: Any) -> Any:
    names = [task if isinstance(task, str) else str(task["task"]) for task in tasks]
    try:
        # looking through the thousands of tasks takes seconds, which described ones do not need
        return evaluate(tasks=tasks, task_manager=_manager(any(isinstance(t, str) for t in tasks)), **options)
    except Exception as error:  # no network, no such data set, a field that is missing: lm-eval lets anything through
        line = " ".join(str(error).split())[:200]
        raise InputError(f"tasks {', '.join(names)} cannot be asked ({type(error).__name__}): {line}") from error


def _read(found: Any) -> Scores:
    """Return what lm-eval says, with ``metric,filter`` shortened to ``metric`` where nothing is filtered."""
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    better: dict[str, str] = {}
    for task, record in found["results"].items():
        directions = found.get("higher_is_better", {}).get(task) or {}
        for key, value in record.items():
            metric, _, way = key.partition(",")
            if isinstance(value, bool) or not isinstance(value, int | float) or not way:
                continue
            name = f"{task}/{metric.removesuffix('_stderr')}" + (f",{way}" if way != "none" else "")
            if metric.endswith("_stderr"):
                errors[name] = float(value)
                continue
            values[name] = float(value)
            if directions.get(metric) is not None:
                better[name] = "higher" if directions[metric] else "lower"
    asked = {task: int(count["effective"]) for task, count in found.get("n-samples", {}).items()}
    return Scores(values, errors, better, asked)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep notes and bars of lm-eval off the terminal; what it raises is told."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
