"""The common battery: what every recipe of every stage must pass.

    from harmonia.testing import check_recipe
    check_recipe(my_recipe, tiny_data)

The same seed gives the same result; a run that is stopped after any file it writes, and then resumed, gives the result
of an uninterrupted one; the recipe survives YAML; the order of the input does not matter; at its limits the recipe
equals the baseline that it must reduce to; unusable input raises one HarmoniaError that says what and where. The
stage's own ``Trial`` says how to run, reorder and spoil its data.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core import files
from harmonia.core.errors import HarmoniaError
from harmonia.core.recipe import Recipe, validate
from harmonia.stages import find_stage


class Stopped(BaseException):
    """Stands for a kill; not an Exception, so that nothing on the way can catch it and go on."""


def check_recipe(recipe: Recipe, tiny_data: Any, *, interruptions: int = 4) -> None:
    """Run the whole battery on one recipe.

    Args:
        recipe: what to check.
        tiny_data: data of its stage, small enough to run about ten times.
        interruptions: at how many points, spread over the run, it is stopped and resumed.

    Raises:
        AssertionError: a check failed; the message names the recipe and the check.
    """
    stage = find_stage(recipe.stage)
    trial = stage.trial
    stage.cite(recipe.references())
    _check_yaml(recipe)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, writes = _count_writes(lambda: trial.run(recipe, tiny_data, seed=0, out=folder / "whole"))
        _same(
            whole,
            trial.run(recipe, tiny_data, seed=0, out=folder / "again"),
            recipe,
            "the same seed gives the same result",
        )
        _same(
            whole,
            trial.run(recipe, trial.reordered(tiny_data, folder / "other-order"), seed=0, out=folder / "reordered"),
            recipe,
            "the order of the input does not matter",
            tolerance=1e-5,
        )
        for point in sorted({1 + round(i * (writes - 1) / max(interruptions, 1)) for i in range(interruptions)}):
            out = folder / f"stopped-{point}"
            with _stop_after(point):
                try:
                    trial.run(recipe, tiny_data, seed=0, out=out)
                except Stopped:
                    pass
                else:
                    raise AssertionError(f"{recipe.name}: was not stopped after file {point} of {writes}")
            _same(
                whole,
                trial.run(recipe, tiny_data, seed=0, out=out, resume=True),
                recipe,
                f"stopped after file {point} of {writes} and resumed equals uninterrupted",
            )
        for what, limit, baseline in trial.limits(recipe):
            _same(
                trial.run(baseline, tiny_data, seed=0, out=folder / f"baseline-{what}"),
                trial.run(limit, tiny_data, seed=0, out=folder / f"limit-{what}"),
                recipe,
                f"at the limit {what}, equals {baseline.name}",
                only=trial.identity,
            )
        for what, data, word in trial.spoiled(tiny_data, folder / "spoiled"):
            refused = partial(trial.run, recipe, data, seed=0, out=folder / f"bad-{what}")
            _check_refused(refused, recipe, what, word)


def _check_yaml(recipe: Recipe) -> None:
    import yaml

    again = validate(type(recipe), yaml.safe_load(recipe.to_yaml()), recipe.name)
    assert again == recipe, f"{recipe.name}: changes when it is written to YAML and read back"


def _count_writes(work: Callable[[], dict[str, np.ndarray]]) -> tuple[dict[str, np.ndarray], int]:
    count = 0

    def observe(path: Path) -> None:
        nonlocal count
        count += 1

    files.written.append(observe)
    try:
        return work(), count
    finally:
        files.written.remove(observe)


@contextmanager
def _stop_after(writes: int) -> Iterator[None]:
    """Stop the block right after its n-th file is in place: the worst moment, as later files do not know of it yet."""
    left = writes

    def observe(path: Path) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped

    files.written.append(observe)
    try:
        yield
    finally:
        files.written.remove(observe)


def _same(
    one: dict[str, np.ndarray],
    other: dict[str, np.ndarray],
    recipe: Recipe,
    what: str,
    tolerance: float = 0.0,
    only: str | None = None,
) -> None:
    """Compare two results; ``tolerance`` is for numbers that are sums in another order.

    With ``only`` the results agree when that field holds the same values, in any order.
    """
    if only is not None:
        assert sorted(one[only]) == sorted(other[only]), f"{recipe.name}: {what}: {only} differs"
        return
    assert one.keys() == other.keys(), f"{recipe.name}: {what}: other fields"
    for name, expected in one.items():
        if expected.dtype.kind == "f":
            same = (
                np.allclose(expected, other[name], rtol=tolerance, atol=tolerance, equal_nan=True)
                if expected.shape == other[name].shape
                else False
            )
        else:
            same = np.array_equal(expected, other[name])
        assert same, f"{recipe.name}: {what}: {name} differs"


def _check_refused(work: Callable[[], Any], recipe: Recipe, what: str, word: str) -> None:
    try:
        work()
    except HarmoniaError as error:
        assert word in str(error), f"{recipe.name}: {what}: the message {str(error)!r} does not say {word!r}"
        assert "\n" not in str(error), f"{recipe.name}: {what}: the message has several lines"
    else:
        raise AssertionError(f"{recipe.name}: {what} was accepted")
