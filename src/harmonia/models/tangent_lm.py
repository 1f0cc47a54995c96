"""A language model as one number per text, F(x; theta), and everything that its tangent gives.

F(x) = 1/T sum_t u.f_t(x) sums the outputs over positions, weighted by a probe u over the vocabulary. The logits are
never built: u.(W h + b) = <W^T u, h> + u.b. ``Alignment`` scores a batch of texts by the derivative of F along the mean
gradient of the targets.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from harmonia.core.errors import InputError
from harmonia.core.progress import note, warn
from harmonia.maths.projection import rademacher_projection
from harmonia.maths.tangents import (
    Parameters,
    Scalars,
    along_difference,
    along_forward,
    along_reverse,
    gradient,
    mean_gradient,
    norm,
)
from harmonia.models.pretrained import batches_by_length, padded

Positions = Literal["response", "all", "last"]
Scorer = Literal["auto", "difference", "forward", "reverse"]

_STEP = 3e-3  # length of the step of the central difference, relative to the parameters
_AGREES = 1e-3  # largest error of a scorer, relative to the largest score of the check
_CHECKED = 8


@dataclass(frozen=True)
class Example:
    """One text.

    Attributes:
        ids: its tokens.
        first: index of the first token that counts; it and all that follow are summed over.
    """

    ids: list[int]
    first: int


@dataclass(frozen=True)
class Batch:
    """Padded examples: (b, t) ids, (b, t) mask of tokens, (b, t) mask of the positions that count."""

    ids: Tensor
    mask: Tensor
    counts: Tensor


def examples_of(
    texts: Sequence[str], tokenizer: Any, positions: Positions, separator: str | None, longest: int
) -> list[Example]:
    """Tokenise texts and find the positions that count.

    Args:
        texts: prompts with their responses.
        tokenizer: a fast tokenizer.
        positions: ``"response"``: what follows the first ``separator``, the whole text when that is None;
            ``"all"``; ``"last"``: the last token.
        separator: the text that ends a prompt.
        longest: texts are cut to so many tokens.

    Raises:
        InputError: a text has no token that counts; it is quoted.
    """
    if not len(texts):
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=longest, return_offsets_mapping=True)
    examples = []
    for text, ids, offsets in zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        first = max(len(ids) - 1, 0) if positions == "last" else 0
        if positions == "response" and separator is not None:
            at = text.find(separator)
            begin = at + len(separator) if at >= 0 else len(text)
            first = next((i for i, (_, end) in enumerate(offsets) if end > begin), len(ids))
        if first >= len(ids):
            why = (
                f"no response: nothing follows {separator!r} within {longest} tokens"
                if positions == "response" and separator is not None
                else "no tokens"
            )
            raise InputError(
                f"the text {_quote(text)} has {why}; drop it, or set features.separator, "
                "features.max_tokens or features.positions"
            )
        examples.append(Example(list(ids), first))
    return examples


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


class SummedOutputs(nn.Module):
    """F_r(x) = 1/T sum_t u_r.f_t(x) for fixed probes u_r, through <W^T u_r, h_t> where the head is linear.

    Args:
        model: a causal language model of transformers.
        probes: (R, V).
        per_token: divide by the number of positions T.
    """

    probes: Tensor

    def __init__(self, model: Any, probes: Tensor, *, per_token: bool = True) -> None:
        super().__init__()
        self.model = model
        self.per_token = per_token
        self.register_buffer("probes", probes, persistent=False)
        self.linear_head = has_linear_head(model)
        if not self.linear_head:
            note("the head of this model is more than a matrix: all logits are built, which takes more time and memory")

    def forward(self, batch: Batch, r: int) -> Tensor:
        u = self.probes[r]
        if self.linear_head:
            head = self.model.get_output_embeddings()
            outputs = _hidden(self.model, batch) @ (u @ head.weight)
            if getattr(head, "bias", None) is not None:
                outputs = outputs + u @ head.bias
        else:
            outputs = self.model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).logits @ u
        total = (outputs * batch.counts).sum(dim=1)
        return total / batch.counts.sum(dim=1) if self.per_token else total


class NextTokenLoss(nn.Module):
    """F(x) = mean cross-entropy of the tokens that count, each predicted from those before it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, r: int = 0) -> Tensor:
        logits = self.model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).logits
        scores = torch.log_softmax(logits[:, :-1], dim=-1)
        losses = -scores.gather(2, batch.ids[:, 1:, None]).squeeze(2)
        counts = batch.counts[:, 1:]
        return (losses * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)


def _hidden(model: Any, batch: Batch) -> Tensor:
    return model.base_model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).last_hidden_state


def has_linear_head(model: Any) -> bool:
    """Return whether the logits are W h + b of the trunk's last hidden state, tried on a few tokens."""
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        return False
    device = head.weight.device
    ids = torch.arange(min(8, model.config.vocab_size), device=device)[None]
    with torch.no_grad():
        mask = torch.ones_like(ids)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        built = head(_hidden(model, Batch(ids, mask, mask)))
    tolerance = 1e-4 * float(logits.nan_to_num().abs().max())
    return bool(torch.allclose(built, logits, rtol=1e-3, atol=tolerance, equal_nan=True))


class TangentLM:
    """A language model, the parameters that are differentiated, and the numbers F_r that it gives for a text.

    Args:
        readout: ``SummedOutputs`` or ``NextTokenLoss``.
        functions: R, how many numbers the readout gives.
        names: the parameters of the model to differentiate.
        batch_tokens: most tokens of a batch.

    Raises:
        InputError: no parameter is named.
    """

    def __init__(
        self, readout: SummedOutputs | NextTokenLoss, functions: int, names: Sequence[str], batch_tokens: int
    ) -> None:
        wanted = {f"model.{name}" for name in names}
        self.readout = readout
        self.theta: Parameters = {name: value.detach() for name, value in readout.named_parameters() if name in wanted}
        if not self.theta:
            raise InputError(
                "no parameter is selected, so there is no gradient to compare; "
                "set features.parameters to lora, head, or a regular expression that matches some"
            )
        self.fs: list[Scalars] = [self._function(r) for r in range(functions)]
        self.batch_tokens = batch_tokens
        self.device = next(iter(self.theta.values())).device

    def _function(self, r: int) -> Scalars:
        return lambda theta, batch: functional_call(self.readout, theta, (batch, r))

    def batch(self, examples: Sequence[Example], rows: np.ndarray) -> Batch:
        """Pad some of the examples."""
        tokens = padded(rows, [example.ids for example in examples], self.device)
        first = torch.tensor([examples[row].first for row in rows], device=self.device)
        place = torch.arange(tokens.ids.shape[1], device=self.device)
        return Batch(tokens.ids, tokens.mask, (place >= first[:, None]) * tokens.mask)

    def batches(self, examples: Sequence[Example]) -> Iterator[tuple[np.ndarray, Batch]]:
        """Yield (rows, batch) over all examples, similar lengths together."""
        lengths = np.array([len(example.ids) for example in examples])
        for rows in batches_by_length(lengths, self.batch_tokens):
            yield rows, self.batch(examples, rows)

    def singles(self, examples: Sequence[Example]) -> Iterator[Batch]:
        """Yield one example at a time, in order."""
        return (self.batch(examples, np.array([row])) for row in range(len(examples)))

    def projected(self, examples: Sequence[Example], dimension: int, seed: int) -> np.ndarray:
        """Return the gradients of all F_r, each projected by signs of its own, summed over r: (n, p) float64.

        Rows have length one. Inner products estimate the cosine of the gradients, which have no natural scale.
        """
        out = np.zeros((len(examples), dimension))
        for row, example in enumerate(self.singles(examples)):
            for r, f in enumerate(self.fs):
                g = torch.cat([part.double().flatten() for part in gradient(f, self.theta, example).values()])
                out[row] += rademacher_projection(g.cpu().numpy()[None], dimension, seed, r)[0]
        norms = np.linalg.norm(out, axis=1, keepdims=True)
        return out / np.where(norms == 0, 1.0, norms)


class Alignment:
    """s(x) = mean_r <mean_i grad F_r(x_i), grad F_r(x)> for targets x_i: texts scored by a mean target gradient.

    Args:
        model: the model and its parameters.
        targets: the target examples.
        scorer: ``"forward"``: one Jacobian-vector pass; ``"difference"``: two plain forward passes; ``"reverse"``: a
            backward pass per example; ``"auto"``: the difference, else forward, else reverse, the first that agrees
            with reverse mode on eight targets.
        unit_targets: scale each target's gradient to unit length before the mean.
        cosine: scale the gradients on both sides; needs reverse mode.

    Raises:
        InputError: no target, or their mean gradient is zero or not finite.
    """

    def __init__(
        self,
        model: TangentLM,
        targets: Sequence[Example],
        *,
        scorer: Scorer = "auto",
        unit_targets: bool = False,
        cosine: bool = False,
    ) -> None:
        if not targets:
            raise InputError("there is no target example to align with")
        self.model = model
        self.cosine = cosine
        unit = unit_targets or cosine
        batches = model.singles(targets) if unit else (batch for _, batch in model.batches(targets))
        self.directions = mean_gradient(model.fs, model.theta, batches, len(targets), unit=unit)
        lengths = [norm(direction) for direction in self.directions]
        if not all(np.isfinite(lengths)):
            raise InputError(
                "the mean gradient of the targets is not finite; look for damaged targets or weights, "
                "or lower features.warmup.learning_rate"
            )
        if not any(lengths):
            raise InputError(
                "the mean gradient of the targets is zero: no selected parameter moves the outputs; "
                "warm up first (features.score_at=warmup) or choose other features.parameters"
            )
        size = norm({name: value.double() for name, value in model.theta.items()}) or 1.0
        self._steps = [_STEP * size / (length or 1.0) for length in lengths]
        self.scorer: Scorer = "reverse" if cosine else self._agreeing(targets) if scorer == "auto" else scorer

    def _agreeing(self, targets: Sequence[Example]) -> Scorer:
        check = targets[:_CHECKED]
        exact = self._scores(check, "reverse")
        candidates: tuple[Scorer, ...] = ("difference", "forward")
        for scorer in candidates:
            with contextlib.suppress(RuntimeError, NotImplementedError):
                error = np.abs(self._scores(check, scorer) - exact).max()
                if error <= _AGREES * np.abs(exact).max():
                    return scorer
        warn(
            "neither differences nor forward mode agree with reverse mode on this model; "
            "scoring takes a backward pass per document"
        )
        return "reverse"

    def _scores(self, examples: Sequence[Example], scorer: Scorer) -> np.ndarray:
        if scorer == "reverse":
            return (
                along_reverse(
                    self.model.fs, self.model.theta, self.directions, self.model.singles(examples), unit=self.cosine
                )
                .cpu()
                .numpy()
            )
        out = np.zeros(len(examples))
        for rows, batch in self.model.batches(examples):
            out[rows] = np.mean(
                [self._along(scorer, r, batch).double().cpu().numpy() for r in range(len(self.directions))], axis=0
            )
        return out

    def _along(self, scorer: Scorer, r: int, batch: Batch) -> Tensor:
        f, direction = self.model.fs[r], self.directions[r]
        if scorer == "forward":
            return along_forward(f, self.model.theta, direction, batch)
        return along_difference(f, self.model.theta, direction, batch, self._steps[r])

    def __call__(self, examples: Sequence[Example]) -> np.ndarray:
        """Return one score per example: (n,) float64."""
        return self._scores(examples, self.scorer) if examples else np.zeros(0)


def warn_of_centred_head(model: Any) -> None:
    """Warn when the rows of the head sum to nothing: the sum of all outputs is then the same for every text.

    Softmax does not see a vector added to every row of W, so this can be true of any model: |W^T 1| < 1e-6 |W| sqrt(V).
    """
    weight = model.get_output_embeddings().weight.double()
    if float(weight.sum(dim=0).norm()) < 1e-6 * float(weight.norm()) * len(weight) ** 0.5:
        warn("the rows of the model's head sum to zero, so the sum of its outputs says nothing; use probe-ntk")
