"""What the experts disagree on, tensor by tensor: measured on the way of a merge, or alone for a diagnosis."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from harmonia.core.errors import InputError, require
from harmonia.maths.task_vectors import Disagreement
from harmonia.merge.checkpoint_sources import CheckpointSources
from harmonia.merge.layers import by_layer
from harmonia.merge.plan import Plan, Planned
from harmonia.merge.sources import PIECE
from harmonia.merge.workers import in_threads

UNRELATED = 1.0
"""||tau|| / ||theta_0|| beyond which an expert can hardly be a fine-tune: fine-tunes move by percents, and a model of
equal norm that has nothing to do with the base is sqrt(2) away."""


def disagreement(
    plan: Plan, *, tensors: Sequence[Planned] | None = None, threads: int | None = None, piece: int = PIECE
) -> dict[str, Disagreement]:
    """Return how the experts disagree in every tensor, in the order of the files, without merging them.

    Args:
        plan: which checkpoints.
        tensors: some of the plan's; None for all that would be merged.
        threads: workers; None for one per core.
        piece: elements of a piece.

    Raises:
        InputError: there is no base; NaN or infinite numbers.
    """
    require("torch", "merge")
    if plan.base is None:
        raise InputError("experts disagree about where to move from a base: name the base that they were trained from")
    return dict(
        in_threads(plan.merged if tensors is None else tensors, _measuring(plan, piece), threads, "measuring, MB")
    )


def _measuring(plan: Plan, piece: int) -> Callable[[Planned, Callable[[int], None]], tuple[str, Disagreement]]:
    def work(tensor: Planned, advance: Callable[[int], None]) -> tuple[str, Disagreement]:
        source = CheckpointSources(plan, tensor, piece=piece, measured=True)
        if source.untouched():
            for _, values in source.base_pieces():
                advance(len(values))
        else:
            for part in source.pieces():
                advance(part.experts.shape[1])
        assert source.disagreement is not None
        return tensor.slot.name, source.disagreement

    return work


def summary(found: Mapping[str, Disagreement], experts: Sequence[str]) -> dict[str, Any]:
    """Return what was measured as a JSON record: of the whole model, of every layer, and of every tensor.

    Args:
        found: name of a tensor -> what was measured.
        experts: their names.
    """
    whole = Disagreement(len(experts))
    for tensor in found.values():
        whole = whole + tensor
    return {
        "experts": list(experts),
        "model": _record(whole),
        "layers": {layer: _record(all_of_it) for layer, all_of_it in by_layer(found).items()},
        "tensors": {name: _record(tensor) for name, tensor in found.items()},
        "warnings": [
            f"{expert} is as far from the base as a model that has nothing to do with it (||tau|| / ||theta_0|| = "
            f"{far:.2f}): was it trained from this base?"
            for expert, far in zip(experts, whole.relative_norms, strict=True)
            if far > UNRELATED
        ],
    }


def _record(of: Disagreement) -> dict[str, Any]:
    return {
        "size": of.size,
        "norms": [_short(x) for x in of.norms],
        "relative_norms": [_short(x) for x in of.relative_norms],
        "cosines": [[_short(x) for x in row] for row in of.cosines],
        "sign_conflict": _short(of.sign_conflict),
    }


def _short(number: float) -> float:
    """Return six digits: sums of other pieces differ in the sixteenth."""
    return float(f"{number:.6g}")


class Notes:
    """What was measured, a line for each tensor, so that a process that goes on need not measure again."""

    def __init__(self, path: Path) -> None:
        self.held: dict[str, Disagreement] = {}
        self._path = path
        self._one = threading.Lock()
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # cut off by a kill
                    record = json.loads(line)
                    name, gram = record.pop("name"), np.array(record.pop("gram"))
                    self.held[name] = Disagreement(gram=gram, **record)

    def keep(self, name: str, found: Disagreement) -> None:
        """Keep what was measured of a tensor."""
        record: dict[str, Any] = {**vars(found), "gram": found.gram.tolist(), "name": name}
        with self._one:
            self.held[name] = found
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()

    def __enter__(self) -> Self:
        self._file = open(self._path, "a", encoding="utf-8")
        self._file.write("\n")  # ends what a kill has cut off
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
