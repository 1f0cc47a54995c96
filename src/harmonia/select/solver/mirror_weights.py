"""Source weights from two small trainings: sources that a reference model has learned and a proxy has not gain weight.

A reference model learns the pool's own mixture. A proxy of the same shape then descends sum_d a_d loss_d while mirror
ascent on the excess loss over the reference moves the weights a; their mean over steps splits the budget, and within a
source documents are drawn at random. Xie et al. 2023, DoReMi (arXiv 2305.10429).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.core.seeds import generator, gumbels, uniforms
from harmonia.maths.mirror_weights import MirrorAscent
from harmonia.maths.quotas import tempered_shares
from harmonia.select.pool import Pool
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.modular import own_scores, own_terms
from harmonia.select.solver.shares import Chosen, Share, spend, split

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.models.train_lm import Windows


class MirrorWeights(Solver):
    """Splits the budget over sources by the DoReMi weights, then samples each source by exp(score).

    Takes modular objectives only: with a constant one each source is sampled uniformly, as in the paper. A source
    that cannot fill its share passes the rest on. Costs two trainings of a small language model: with the defaults
    and eight sources about half a minute on two idle CPU cores.
    """

    kind: Literal["mirror-weights"] = "mirror-weights"
    references: ClassVar[tuple[str, ...]] = ("xie2023doremi",)

    eta: float = Field(default=1.0, ge=0)
    """Step size of the weights; 0 keeps all sources equal."""
    smoothing: float = Field(default=1e-4, ge=0, le=1)
    """Share of the weights that is spread evenly at each step; 1 keeps all sources equal."""
    tempering: float = Field(default=1.0, ge=0, le=1)
    """The reference model sees source d in proportion to tokens_d ** tempering: 1 the pool's mixture, 0 all alike."""
    steps: int = Field(default=200, ge=1)
    """Updates of each of the two models."""
    windows: int = Field(default=2, ge=1)
    """Windows per source and step."""
    documents: int = Field(default=2000, ge=1)
    """Documents of each source that the models may see, chosen by hashed id."""
    vocab_size: int = Field(default=2048, ge=257)
    """Tokens of the byte-level BPE vocabulary."""
    width: int = Field(default=64, ge=8)
    """Size of the residual stream."""
    layers: int = Field(default=2, ge=1)
    """Number of transformer blocks."""
    heads: int = Field(default=2, ge=1)
    """Attention heads; ``width / heads`` must be even."""
    context: int = Field(default=128, ge=8)
    """Tokens per window."""
    learning_rate: float = Field(default=4e-3, gt=0)
    """Peak learning rate of AdamW."""
    device: str = "auto"
    """``auto`` takes CUDA where there is one, else the CPU."""

    def solve(self, problem: Problem) -> Picks:
        pool, context = problem.pool, problem.context
        scores = own_scores(problem, self.kind)
        weights = context.keep("mirror-weights", lambda: self._weights(pool, context.seed))["weights"]
        keys = scores + gumbels(pool.keys, context.seed, "gumbel")
        groups = np.where(scores > -np.inf, pool.sources, -1)
        groups[problem.chosen] = -1

        def take(share: Share) -> Chosen:
            rows = share.rows[share.top(keys[share.rows])]
            return Chosen(rows, scores[rows], own_terms(problem.function, rows))

        picks = spend(problem, split(problem, groups, weights[: groups.max() + 1]), take)
        names = zip(pool.source_names, weights, strict=True)
        return replace(picks, facts={f"weight/{name}": float(weight) for name, weight in names})

    def _weights(self, pool: Pool, seed: int) -> dict[str, np.ndarray]:
        """Return the mean weights (D,) and those of every step (steps, D)."""
        try:
            import torch

            from harmonia.models.llama import Llama, LlamaConfig
            from harmonia.models.tokenizer import pack, train_tokenizer
            from harmonia.models.train_lm import Schedule, Windows, token_losses, train
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "torch", "lm") from error
        texts = self._texts(pool, seed)
        tokenizer = train_tokenizer((text for own in texts for text in own), self.vocab_size)
        streams = [
            Windows(pack(tokenizer, own), self.context, seed, name)
            for name, own in zip(pool.source_names, texts, strict=True)
        ]
        sizes = np.bincount(pool.sources, pool.tokens, len(streams))
        count = self.windows * len(streams)
        mixture = _Mixture(streams, tempered_shares(sizes, self.tempering), self.steps, count, seed)
        shape = LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.heads,
            context=self.context,
        )
        schedule = Schedule(self.steps, self.learning_rate, self.steps // 10)
        start = int(generator(seed, "mirror-weights").integers(2**31))
        reference, proxy = Llama(shape, start), Llama(shape, start)
        train(reference, mixture.batch, schedule, device=self.device, description="reference model")
        state, path = MirrorAscent(len(streams), self.eta, self.smoothing), []

        def robust_loss(step: int, batch: Tensor, losses: Tensor) -> Tensor:
            with torch.no_grad():
                excess = (losses - token_losses(reference, batch)).clamp(min=0).view(len(streams), -1).double().mean(1)
            path.append(state.update(excess.cpu().numpy()))
            weights = torch.from_numpy(state.weights).to(losses)
            return weights @ losses.view(len(streams), -1).mean(1)

        def one_share_each(step: int) -> np.ndarray:
            return np.concatenate([stream.take(step * self.windows, self.windows) for stream in streams])

        train(proxy, one_share_each, schedule, loss=robust_loss, device=self.device, description="proxy model")
        return {"weights": state.mean, "path": np.array(path)}

    def _texts(self, pool: Pool, seed: int) -> list[list[str]]:
        """Return up to ``documents`` texts of each source."""
        draw = uniforms(pool.keys, seed, "mirror-weights")
        seen = np.zeros(len(pool), bool)
        for source in range(len(pool.source_names)):
            own = np.flatnonzero(pool.sources == source)
            seen[own[np.argsort(draw[own], kind="stable")[: self.documents]]] = True
        found: dict[int, str] = {
            rows.start + int(i): block[i]
            for rows, block in pool.need_texts("mirror-weights")()
            for i in np.flatnonzero(seen[rows])
        }
        texts: list[list[str]] = [[] for _ in pool.source_names]
        for row in sorted(found, key=lambda row: float(draw[row])):
            texts[pool.sources[row]].append(found[row])
        for name, own_texts in zip(pool.source_names, texts, strict=True):
            if not any(own_texts):
                raise InputError(f"mirror-weights: source {name!r} has no text to train on; drop this source")
        return texts


class _Mixture:
    """Batches of which each window comes from a source drawn by its share."""

    def __init__(self, streams: list[Windows], shares: np.ndarray, steps: int, size: int, seed: int) -> None:
        self.streams = streams
        self.owners = generator(seed, "mixture").choice(len(streams), (steps, size), p=shares)
        counts = (self.owners[:, :, None] == np.arange(len(streams))).sum(1)
        self.firsts = np.cumsum(counts, axis=0) - counts
        self.counts = counts

    def batch(self, step: int) -> np.ndarray:
        return np.concatenate(
            [
                stream.take(int(first), int(count))
                for stream, first, count in zip(self.streams, self.firsts[step], self.counts[step], strict=True)
                if count
            ]
        )
