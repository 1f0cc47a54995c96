"""The work of one run, in pieces that are kept: see, repair, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.compress.allocation import LatencySearch
from harmonia.compress.card import card
from harmonia.compress.criterion import Principal
from harmonia.compress.dense import Dense
from harmonia.compress.judge import BETTER, Judge
from harmonia.compress.recipe import CompressRecipe
from harmonia.compress.reconstruction.levels import Levels
from harmonia.compress.reconstruction.ls import LeastSquares, too_few, untested
from harmonia.compress.references import REFERENCES
from harmonia.compress.repairs import Repairs
from harmonia.compress.sequences import Sequences
from harmonia.compress.site import Site
from harmonia.compress.statistics import Statistics
from harmonia.compress.structure import Depth, Hidden
from harmonia.compress.surgery import allocated, naming, repair, scored
from harmonia.compress.timing import measured
from harmonia.core.citation import entries
from harmonia.core.errors import InputError
from harmonia.core.files import read_json, write_json, write_text
from harmonia.core.measure import peak_memory_bytes
from harmonia.core.progress import track
from harmonia.core.run import Run
from harmonia.data.checkpoints import check_disk

LEAST = 2
"""Fewer tokens than so many per input of the widest layer tell too little of it to be used at all."""


def widest(dense: Dense, recipe: CompressRecipe) -> int:
    """Return the inputs of the widest layer whose units may go; of the model's blocks where whole layers go."""
    sites = recipe.structure.sites(dense.model, 1)
    return max((site.units * site.run for site in sites), default=int(dense.model.config.hidden_size))


def widths(dense: Dense, structure: Hidden, ratio: float) -> list[int | None]:
    """Return how many channels each hidden state of a model keeps."""
    from harmonia.models.pruned import family_of

    layers = len(family_of(dense.model).blocks(dense.model))
    return structure.widths(int(dense.model.config.hidden_size), layers, ratio)


class Work:
    """One run.

    Args:
        run: open.
        recipe: what to do.
        dense: the model.
        ratios: ascending.
        own: sequences to calibrate on, or None.
        judge: sequences to judge by, or None.
        length: tokens of a sequence.
        fold_bias: whether layers may gain a bias.
        judging: what else models are judged by, as of ``Judge``.
        seed: of whatever is drawn.
        statistics: folder that outlives the run, or None.
    """

    def __init__(
        self,
        run: Run,
        recipe: CompressRecipe,
        dense: Dense,
        ratios: Sequence[float],
        own: Sequences | None,
        judge: Sequences | None,
        *,
        length: int,
        fold_bias: bool,
        judging: Mapping[str, Any],
        seed: int,
        statistics: Path | None,
    ) -> None:
        self.run, self.recipe, self.dense, self.ratios = run, recipe, dense, list(ratios)
        self.own, self.fold_bias, self.seed, self.length = own, fold_bias, seed, length
        self.sites: list[Site] = recipe.structure.sites(dense.model, length)
        self.judge = Judge(dense.task, dense.model, judge, length, tokenizer=dense.tokenizer, **judging)
        self.judged = judge
        self.needs = sorted(recipe.reads() - {"states"})
        self.repairs = Repairs(run.state / "repairs")
        self.statistics = None
        if own is not None and self.needs:
            key = {
                "weights": dense.fingerprint,
                "sequences": own.fingerprint(),
                "tokens": own.tokens,
                "seed": seed,
                "held": recipe.calibration.held,
            }
            self.statistics = Statistics(statistics or run.state / "statistics", key)

    @cached_property
    def batches(self) -> list[Any]:
        """What is calibrated on."""
        assert self.own is not None
        device = next(self.dense.model.parameters()).device
        return self.own.batches(self.recipe.calibration.batch, device)

    def check_room(self) -> None:
        """Refuse before anything is seen what the disk has no room for: statistics, repaired layers, models.

        Raises:
            InputError: there is less room than is still to be written.
        """
        whole = sum(tensor.numel() for tensor in self.dense.model.parameters())
        needed = 0.0
        for ratio in self.ratios:
            if isinstance(self.recipe.structure, Hidden):
                from harmonia.models.pruned import narrow_outline, parameters

                stays = widths(self.dense, self.recipe.structure, ratio)
                needed += self.dense.dtype.itemsize * parameters(narrow_outline(self.dense.model, stays))
                needed += 4 * int(self.dense.model.config.hidden_size) * sum(width or 0 for width in stays)
                continue
            left = 1 - ratio
            gone = sum(int(ratio * site.units) * site.parameters for site in self.sites) if self.sites else 0
            needed += self.dense.dtype.itemsize * (whole - gone) + sum(4 * left * s.weight.numel() for s in self.sites)
        if self.statistics is not None and self.statistics.within(self.run.folder) and "moments" in self.needs:
            needed += Statistics.bytes(self.sites, self.recipe.calibration.held > 0)
        written = sum(path.stat().st_size for path in self.run.folder.rglob("*") if path.is_file())
        check_disk(self.run.folder, max(0, int(needed) - written))

    def see(self) -> None:
        """Gather statistics, and score."""
        structure = self.recipe.structure
        if isinstance(structure, Depth):
            from harmonia.compress.structure.depth import block_influence

            with self.run.phase("calibrate"):
                self.run.keep("influence", lambda: {"influence": block_influence(self.dense.model, self.batches)})
            return
        if isinstance(structure, Hidden):
            with self.run.phase("calibrate"):
                for ratio in self.ratios:
                    self._bases(ratio)
            return
        self._warn()
        if (self.run.state / "scores.safetensors").exists() and self._repaired():
            return
        if self.statistics is not None:
            assert self.own is not None
            labels = self.own.labels
            with self.run.phase("calibrate"):
                self.statistics.gather(
                    self.dense.model,
                    self.sites,
                    self.batches,
                    self.needs,
                    seed=self.seed,
                    held=self.recipe.calibration.held,
                    loss=self.dense.loss(labels),
                )
        with self.run.phase("score"):
            self.run.keep(
                "scores",
                lambda: scored(self.recipe.criterion, self.dense.model, self.sites, self.statistics, self.seed),
            )

    def repair(self) -> None:
        """Repair every layer at every ratio."""
        if not self.sites or self._repaired():
            return
        with self.run.phase("allocate"):
            scores = self.run.keep("scores", dict)
            kept = allocated(self._timed(), self.sites, scores, self.ratios, self.statistics)
        with self.run.phase("repair"):
            if self.recipe.calibration.in_sequence:
                self._in_sequence(kept)
            else:
                seen = self.statistics if "moments" in self.needs else None
                repair(
                    self.recipe.reconstruction,
                    self.sites,
                    self.ratios,
                    kept,
                    seen,
                    self.repairs,
                    fold_bias=self.fold_bias,
                )

    def _timed(self) -> CompressRecipe:
        """Return the recipe with what a budget of time is counted in, measured once for a run."""
        search = self.recipe.allocation
        if not isinstance(search, LatencySearch) or not search.lacks(self.sites):
            return self.recipe
        length = min(self.length, 128)
        found = self._kept("latency", lambda: measured(search, self.dense.model, self.sites, length).model_dump())
        return self.recipe.model_copy(update={"allocation": LatencySearch(**found)})

    def write(self) -> None:
        """Write the model of every ratio and what it is worth, and the summary."""
        with self.run.phase("judge"):
            dense = self._kept("dense", self.judge.of_dense)
        points = []
        for ratio in track(self.ratios, "writing"):
            name = "model" if len(self.ratios) == 1 else f"model-{ratio:g}"
            folder = self.run.result / name
            with self.run.phase("write"):
                self._model(ratio, folder)
            with self.run.phase("judge"):
                point = self._kept(f"point-{ratio:g}", lambda ratio=ratio, folder=folder: self._point(ratio, folder))
            points.append({"folder": name, **point})
        summary = self._summary(dense, points)
        for point in points:
            write_text(self.run.result / point["folder"] / "README.md", card(summary, point))
        write_json(self.run.result / "summary.json", summary)

    def _in_sequence(self, kept: list[list[np.ndarray]]) -> None:
        from harmonia.compress.sequential import repair_in_sequence

        for ratio, own in zip(self.ratios, kept, strict=True):
            if all(self.repairs.has(site, ratio) for site in self.sites):
                continue
            found = repair_in_sequence(
                self.recipe.reconstruction,
                self.dense.model,
                self.sites,
                own,
                self.batches,
                held=self.recipe.calibration.held,
                seed=self.seed,
                fold_bias=self.fold_bias,
                stream=self.recipe.calibration.target == "dense-stream",
            )
            for (site, seen, repaired), units in zip(
                track(found, f"repairing {ratio:g}", len(self.sites)), own, strict=True
            ):
                bias = None if site.bias is None else site.bias.cpu().double().numpy()
                with naming(site):
                    levels = Levels.of(site.matrix, bias, seen, site.columns(units), untested(seen.fit))
                self.repairs.write(site, ratio, units, repaired, levels)

    def _repaired(self) -> bool:
        return all(self.repairs.has(site, ratio) for site in self.sites for ratio in self.ratios)

    def _model(self, ratio: float, folder: Path) -> None:
        from harmonia.models.pruned import narrowed, save, shallower, sliced

        if (folder / "config.json").exists():
            return
        structure = self.recipe.structure
        if isinstance(structure, Depth):
            smaller = shallower(self.dense.model, structure.staying(self._influence(), ratio).tolist())
        elif isinstance(structure, Hidden):
            bases = self._bases(ratio)
            places = range(len(bases["energy"]))
            smaller = narrowed(self.dense.model, [bases.get(f"basis.{place}") for place in places])
        else:
            smaller = sliced(self.dense.model, self.repairs.cuts(self.sites, ratio), fold_bias=self.fold_bias)
        save(_as_stored(smaller, self.dense.dtype), folder, self.dense.place)

    def _point(self, ratio: float, folder: Path) -> dict[str, Any]:
        """Judge what was written, not what was in memory."""
        import torch

        from harmonia.models.pruned import is_stock, load

        device = str(next(self.dense.model.parameters()).device)
        smaller = load(folder, dtype=torch.float32, device=device)
        blocks = None
        if isinstance(self.recipe.structure, Depth):
            blocks = self.recipe.structure.staying(self._influence(), ratio).tolist()
        return {
            "ratio": ratio,
            "stock": is_stock(smaller.config),
            **self.judge.of(smaller),
            "layers": self.repairs.rows(self.sites, ratio),
            "blocks": blocks,
            "hidden": self._hidden(ratio),
        }

    def _bases(self, ratio: float) -> dict[str, np.ndarray]:
        """Return the bases of hidden states at a ratio."""
        from harmonia.compress.hidden_bases import hidden_bases

        criterion = self.recipe.criterion
        assert isinstance(criterion, Principal)
        return self.run.keep(
            f"repairs/{ratio:g}/bases",
            lambda: hidden_bases(
                self.dense.model,
                self.batches,
                widths(self.dense, self.recipe.structure, ratio),
                normalised=criterion.signal == "normalised",
            ),
        )

    def _hidden(self, ratio: float) -> dict[str, Any] | None:
        """Return how many channels hidden states keep, and of their squares which share; None where they keep all."""
        if not isinstance(self.recipe.structure, Hidden):
            return None
        stays = widths(self.dense, self.recipe.structure, ratio)
        return {
            "channels": int(self.dense.model.config.hidden_size),
            "kept": next((width for width in stays if width is not None), None),
            "energy": self._bases(ratio)["energy"].tolist(),
        }

    def _influence(self) -> np.ndarray:
        return self.run.keep("influence", dict)["influence"]

    def _kept(self, name: str, make: Any) -> dict[str, Any]:
        path = self.run.state / f"{name}.json"
        if not path.exists():
            write_json(path, make())
        found: dict[str, Any] = read_json(path)
        return found

    def _warn(self) -> None:
        """Tell of too little text, and refuse far too little."""
        if self.own is None or "moments" not in self.needs:
            return
        site = max(self.sites, key=lambda site: site.units * site.run)
        inputs = site.units * site.run
        tokens = self.own.tokens - int(self.own.tokens * self.recipe.calibration.held)
        if not isinstance(self.recipe.reconstruction, LeastSquares):
            return
        if tokens < LEAST * inputs and self.recipe.reconstruction.ridge == 0:
            raise InputError(
                f"{tokens} calibration tokens for the {inputs} inputs of {site.name}, and without a ridge at least "
                f"{LEAST * inputs} are needed: give more text, or raise reconstruction.ridge"
            )
        kept = inputs - int(self.ratios[0] * inputs)
        if warning := too_few(site.name, tokens, kept):
            self.run.warn(warning)

    def _summary(self, dense: dict[str, Any], points: list[dict[str, Any]]) -> dict[str, Any]:
        seconds = dict(self.run.seconds)
        if self.statistics is not None:
            # whoever gathered them; a run that found them there took no time for it
            seconds["calibrate"] = self.statistics.seconds(self.needs)
        score = self.judge.score_name
        recipe = self.recipe
        influence = self._influence().tolist() if isinstance(recipe.structure, Depth) else None
        return {
            "stage": "compress",
            "recipe": recipe.name,
            "axes": {axis: part.kind_name() for axis, part in recipe.choices().items() if axis != "calibration"},
            "model": self.dense.name,
            "architecture": type(self.dense.model).__name__,
            "task": self.dense.task,
            "seed": self.seed,
            "fold_bias": self.fold_bias,
            "calibration": None
            if self.own is None or not recipe.reads()
            else {
                "sequences": len(self.own),
                "tokens": self.own.tokens,
                "length": self.length,
                "held": recipe.calibration.held,
                "target": recipe.calibration.target,
            },
            "judged": None if self.judged is None else {"sequences": len(self.judged), "tokens": self.judged.tokens},
            "score": {"name": score, "better": None if score is None else BETTER[score]},
            "length": self.length,
            "dense": dense,
            "points": points,
            "influence": influence,
            "warnings": self.run.warnings,
            "seconds": seconds,
            "peak_memory_bytes": peak_memory_bytes(),
            "cite": entries(recipe.references(), REFERENCES),
        }


def _as_stored(model: Any, dtype: Any) -> Any:
    """Return a model in the type of the weights on disk; the given one shares tensors with the dense model."""
    import copy

    import torch

    return model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
