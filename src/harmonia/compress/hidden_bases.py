"""Bases of all hidden states of a model, each fitted to what reaches it when those before it have been cut.

A state that was turned, cut and turned back is its projection on the directions that stay. So the dense model is walked
through once, half a block at a time, and every hidden state is projected before it is passed on: what is seen is what
the cut model computes, in the channels of the dense one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harmonia.core.errors import InputError
from harmonia.core.progress import track
from harmonia.maths.principal_directions import principal_directions
from harmonia.maths.streaming_moments import StreamingMoments
from harmonia.models.pretrained import TokenBatch
from harmonia.models.pruned import check_loaded, check_narrow, family_of, walk


def hidden_bases(
    model: Any, batches: Sequence[TokenBatch], widths: Sequence[int | None], *, normalised: bool
) -> dict[str, np.ndarray]:
    """Return a basis for each hidden state that is to be cut.

    Args:
        model: a transformer of pre-norm blocks, in evaluation mode.
        batches: of tokens; padding does not count.
        widths: how many channels stay of each of the 2 L + 1 hidden states; None for all.
        normalised: whether states are divided by their length.

    Returns:
        ``basis.P`` (D, k) float32 of orthonormal columns, and ``energy`` (2 L + 1,), the share of the squares that the
        directions that stay hold; 1 where a state is whole.

    Raises:
        InputError: no tokens, hidden states that are not finite, or a model whose channels cannot go.
    """
    check_loaded(model)
    check_narrow(model, widths)
    if not any(bool(batch.mask.any()) for batch in batches):
        raise InputError("no tokens to calibrate on: every token is masked as padding")
    family = family_of(model)
    fitting = _Fitting(widths, normalised, isinstance(model.base_model.get_submodule(family.last_norm), nn.LayerNorm))
    for step in track(walk(model, batches), "turning", len(family.blocks(model))):
        with torch.no_grad():
            if not step.layer:
                for batch, states, _, _ in step.inputs():
                    fitting.see(states, batch)
                fitting.fit()
            between = []
            for batch, states, args, options in step.inputs():
                cut = fitting.cut(states)
                between.append(cut + family.attend(step.block, cut, args, options))
                fitting.see(between[-1], batch)
            fitting.fit()
            for place, (batch, _, _, _) in enumerate(step.inputs()):
                cut = fitting.cut(between[place])
                behind = cut + family.feed(step.block, cut)
                fitting.see(behind, batch)
                step.put(place, behind)
                between[place] = behind[:0]
            fitting.fit()
    return fitting.found | {"energy": np.array(fitting.energy)}


class _Fitting:
    """Fits the basis of one hidden state after another."""

    def __init__(self, widths: Sequence[int | None], normalised: bool, centred: bool) -> None:
        self.found: dict[str, np.ndarray] = {}
        self.energy: list[float] = []
        self._widths, self._normalised, self._centred = widths, normalised, centred
        self._seen = StreamingMoments()
        self._basis: Tensor | None = None

    def see(self, states: Tensor, batch: TokenBatch) -> None:
        """Take in the present hidden state of a batch, (b, t, D)."""
        rows = self._centre(states[batch.mask.bool()].double())
        if not torch.isfinite(rows).all():
            raise InputError(f"hidden state {len(self.energy)} is not finite; load the model in float32")
        if self._widths[len(self.energy)] is not None:
            self._seen.add(nn.functional.normalize(rows, dim=-1) if self._normalised else rows)

    def fit(self) -> None:
        """Fit the basis of what was seen, and go on to the next hidden state."""
        place = len(self.energy)
        width, self._basis = self._widths[place], None
        self.energy.append(1.0)
        if width is not None:
            gram = self._seen.gram()
            values, directions = principal_directions(gram)
            self.found[f"basis.{place}"] = directions[:, :width].astype(np.float32)
            self._basis = torch.from_numpy(self.found[f"basis.{place}"])
            whole = float(np.trace(gram))
            self.energy[-1] = float(values[:width].sum() / whole) if whole > 0 else 1.0
        self._seen = StreamingMoments()

    def cut(self, states: Tensor) -> Tensor:
        """Return the projection of states on what stays of the state that was fitted last."""
        if self._basis is None:
            return states
        basis = self._basis.to(states)
        found: Tensor = self._centre(states) @ basis @ basis.T
        return found

    def _centre(self, states: Tensor) -> Tensor:
        return states - states.mean(dim=-1, keepdim=True) if self._centred else states
