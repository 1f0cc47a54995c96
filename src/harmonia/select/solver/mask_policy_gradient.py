"""DATAMASK: learn one logit per document so that subsets drawn from them score high (arXiv 2512.24265).

    M_j ~ k largest of L + Gumbel noise,  A_j = (f(M_j) - mean f) / std f,  L <- L + eta mean_j A_j d log P(M_j)/dL
f is only ever evaluated, so any objective will do. Each step draws inside a random part of a block and touches only its
logits. eta makes the largest change of a step ``step`` nats, with cosine decay; this and the evaluation of f on the
active part alone are choices made here, where the paper is silent.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator, gumbels, mix
from harmonia.maths.policy_gradient import (
    group_advantages,
    gumbel_top_k,
    independent_gradient,
    plackett_luce_gradient,
)
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.marginals import marginals
from harmonia.select.solver.shares import Chosen, Share, spend, split


class MaskPolicyGradient(Solver):
    """One logit per document, learned by group-normalised policy gradient on sampled subsets.

    Bounds per source bind the final choice; the sampled subsets are free of them. Reports ``steps`` and ``reward``, the
    mean f of the last subsets drawn, each as its mean over the blocks.
    """

    kind: Literal["mask-policy-gradient"] = "mask-policy-gradient"

    masks: int = Field(128, ge=2)
    """G, subsets per step."""
    steps: int = Field(600, ge=1)
    """E, most steps per block."""
    batch_fraction: float = Field(0.1, gt=0, le=1)
    """Part of a block that is active in a step."""
    block: int = Field(1_000_000, ge=1)
    """Documents per block; blocks are drawn by id and solved on their own."""
    keep: float = Field(1.0, gt=0, le=1)
    """Part of the pool kept after dropping the lowest quality; the paper keeps 0.5 to 0.6."""
    init: Literal["quality", "zero"] = "zero"
    """First logits: log quality, so that p is proportional to quality, or 0."""
    column: str | None = None
    """Quality column for ``keep`` and ``init``; the only one when left out."""
    log_prob: Literal["independent", "plackett_luce"] = "independent"
    """Probability of a subset: product of softmax probabilities, or the exact one of ordered draws."""
    step: float = Field(0.3, gt=0)
    """Largest change of a logit in the first step, in nats."""
    clip: float = Field(20.0, gt=0)
    """Logits stay within +- this of 0 (their mean at the start)."""
    tolerance: float = Field(0.0, ge=0)
    """Stop when the mean reward of a window improves by less than this over the window before."""
    window: int = Field(100, ge=1)
    """Steps per window."""
    final: Literal["top", "sample"] = "top"
    """The documents of largest logit, or one more sample."""

    references: ClassVar[tuple[str, ...]] = ("fan2026datamask", "kool2019stochastic")

    def solve(self, problem: Problem) -> Picks:
        if len(problem.chosen):
            raise InputError("mask-policy-gradient cannot build on a selection; use solver greedy or frank-wolfe")
        quality = (
            problem.pool.need_quality(self.column, "solver mask-policy-gradient")
            if self.keep < 1 or self.init == "quality"
            else None
        )
        if quality is not None and self.init == "quality" and quality.min() <= 0:
            name = problem.pool.name_of(int(np.argmin(quality)))
            raise InputError(
                f"solver.init=quality takes logarithms, but document {name!r} has quality "
                f"{quality.min():g}; shift the scores above 0, use their ranks, or set solver.init=zero"
            )
        logits = np.zeros(len(problem.pool)) if quality is None or self.init == "zero" else np.log(quality)
        shares = split(
            problem,
            np.where(problem.forbidden, -1, self._blocks(problem, quality)),
            candidates="documents left after pruning by quality" if self.keep < 1 else "documents",
        )
        return spend(problem, shares, lambda share: self._take(problem, share, logits))

    def _blocks(self, problem: Problem, quality: np.ndarray | None) -> np.ndarray:
        """Return the block of each document, -1 for those of lowest quality."""
        n = len(problem.pool)
        kept = np.arange(n)
        if quality is not None and self.keep < 1:
            kept = np.sort(np.lexsort((problem.pool.keys, -quality))[: math.ceil(self.keep * n)])
        groups = np.full(n, -1)
        order = np.argsort(mix(problem.pool.keys[kept], problem.context.seed, "blocks"), kind="stable")
        groups[kept[order]] = np.arange(len(kept)) // self.block
        return groups

    def _take(self, problem: Problem, share: Share, logits: np.ndarray) -> Chosen:
        keys = problem.pool.keys[share.rows]
        # in an order of the ids' own, so that sums, and with them rounding, do not depend on the order of the pool
        order = np.argsort(keys, kind="stable")
        learned = np.empty(len(order))
        learned[order], rewards = self._learn(problem, share.rows[order], logits[share.rows[order]], share.size)
        if self.final == "sample":
            learned = learned + gumbels(keys, problem.context.seed, "final")
        rows = share.rows[share.top(learned)]
        return Chosen(
            rows, *marginals(problem.function, rows, problem.chosen), {"steps": len(rewards), "reward": rewards[-1]}
        )

    def _learn(
        self, problem: Problem, rows: np.ndarray, logits: np.ndarray, size: int
    ) -> tuple[np.ndarray, list[float]]:
        """Return the learned logits of one block, (m,) float64, and the mean reward of each step."""
        active = max(1, round(self.batch_fraction * len(rows)))
        drawn = math.floor(size * active / len(rows) + 0.5)
        if drawn < 1:
            raise InputError(
                f"a step with {active} of {len(rows)} documents draws {size * active / len(rows):.2f} "
                f"of the {size} picks; raise solver.batch_fraction to {min(1, 1 / size):.3g} or more"
            )
        keys, seed = problem.pool.keys[rows], problem.context.seed
        logits = np.clip(logits - logits.mean(), -self.clip, self.clip)
        rewards: list[float] = []
        for turn in range(self.steps):
            batch = (
                np.arange(len(rows))
                if active == len(rows)
                else np.sort(np.argpartition(mix(keys, seed, "active", turn), active - 1)[:active])
            )
            salts = generator(seed, "masks", turn).integers(0, 2**64, self.masks, dtype=np.uint64)
            noise = gumbels(keys[batch][None, :] ^ salts[:, None], seed, "mask")
            sets = gumbel_top_k(logits[batch], noise, drawn)
            values = problem.function.evaluate(sets, rows[batch])
            if not np.isfinite(values).all():
                bad = int(np.flatnonzero(~np.isfinite(values))[0])
                raise InputError(
                    f"the objective is {values[bad]} for mask {bad} of step {turn + 1}; "
                    "look for unusable features or scores"
                )
            rewards.append(float(values.mean()))
            advantages = group_advantages(values)
            gradient = (
                independent_gradient(sets, advantages, len(batch))
                if self.log_prob == "independent"
                else plackett_luce_gradient(logits[batch], sets, advantages)
            )
            largest = np.abs(gradient).max()
            if largest > 0:
                decay = 0.5 * (1 + math.cos(math.pi * turn / self.steps))
                moved = logits[batch] + self.step * decay / largest * gradient
                logits[batch] = np.clip(moved, -self.clip, self.clip)
            if self._settled(rewards):
                break
        return logits, rewards

    def _settled(self, rewards: list[float]) -> bool:
        w = self.window
        if self.tolerance == 0 or len(rewards) < 2 * w:
            return False
        return float(np.mean(rewards[-w:]) - np.mean(rewards[-2 * w : -w])) < self.tolerance
