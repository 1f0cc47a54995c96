"""Fitting the coefficients of AdaMerging: entropy of the merged model's predictions, lowered by Adam.

The gradient of a coefficient is the inner product of the gradient of the merged weights with the task vector that it
scales. So one backward pass through the merged model serves all coefficients, whose number does not matter, and no
graph leads through the merging. In memory are base, task vectors, merged weights and their gradient, float32:
4 (n + 3) bytes per parameter that an expert has changed, beside one batch of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError, require
from harmonia.core.progress import bar
from harmonia.core.seeds import generator
from harmonia.data.checkpoints import Checkpoint
from harmonia.maths.consensus import weighted_sum
from harmonia.merge.checkpoint_sources import CheckpointSources
from harmonia.merge.matching import renamed
from harmonia.merge.plan import Plan
from harmonia.merge.weights.adamerging import AdaMerging
from harmonia.merge.weights.base import Weights

if TYPE_CHECKING:
    from torch import Tensor

Windows = Sequence[Sequence[Sequence[int]]]
"""Token ids: of each expert, of each of its texts."""

_CAUSAL = ("ForCausalLM", "LMHeadModel")
_CLASSES = ("ForSequenceClassification",)
_TOKENS = 1024
"""Of a pass; its logits are in memory about four times."""
_MEASURED = 64
"""Texts of each expert by which the entropy is told before and after."""


def check_model(model: Checkpoint) -> None:
    """Refuse a model that predicts no distribution.

    Raises:
        InputError: says what it is.
    """
    named = model.config.get("architectures") or ["none"]
    if not str(named[0]).endswith((*_CAUSAL, *_CLASSES)):
        raise InputError(
            f"{model.folder} is a {named[0]}, which predicts nothing whose entropy could be lowered: ada-merging takes "
            "causal language models and sequence classifiers"
        )
    kind = model.config.get("problem_type")
    if str(named[0]).endswith(_CLASSES) and kind in ("regression", "multi_label_classification"):
        raise InputError(f"{model.folder} is made for {kind}: ada-merging takes classifiers of one class per text")


def check_fit(rule: Weights, plan: Plan, windows: Windows | None) -> None:
    """Refuse before a model is loaded what cannot be fitted; rules without coefficients to fit pass.

    Args:
        rule: any.
        plan: which tensors of which checkpoints.
        windows: text of each expert, in their order, tokenised; None for none.

    Raises:
        InputError: an expert without text, or a model that predicts no distribution.
    """
    if isinstance(rule, AdaMerging) and rule.coefficients is None:
        check_model(plan.reference)
        if windows is None:
            rule.lambdas("")  # says what to give
        else:
            _texts(plan, windows)


def fitted(
    rule: Weights,
    plan: Plan,
    windows: Windows | None,
    keep: Callable[[str, Callable[[], dict[str, np.ndarray]]], dict[str, np.ndarray]],
    *,
    counts: Sequence[float] | None = None,
    counts_of: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[Weights, dict[str, Any] | None]:
    """Return a rule that reads no text any more, and a JSON record of the fit; another rule as it is, and None.

    Args:
        rule: any.
        plan: as of ``fit``, like all that follows.
        windows: text of each expert, or None.
        keep: stores what was fitted under a name, and does not fit it again: ``Run.keep``.
        counts: w_i.
        counts_of: other weights, by name of a tensor.
        seed: of the order of texts.
        device: where the model is.

    Raises:
        InputError: as of ``check_fit`` and ``fit``.
    """
    check_fit(rule, plan, windows)
    if not isinstance(rule, AdaMerging) or rule.coefficients is not None or windows is None:
        return rule, None
    found = keep(
        "coefficients",
        lambda: fit(rule, plan, windows, counts=counts, counts_of=counts_of, seed=seed, device=device),
    )
    made = rule.fitted((tensor.slot.name for tensor in plan.merged), found["coefficients"])
    told = {
        "coefficients": {group: list(row) for group, row in (made.coefficients or {}).items()},
        "entropy": {when: found[when].tolist() for when in ("before", "after")},
        "steps": len(found["entropy"]),
    }
    return made, told


def memory(plan: Plan) -> int:
    """Return the bytes that fitting holds beside the passes of the model, of experts that changed every tensor."""
    return 4 * (len(plan.experts) + 3) * sum(tensor.slot.size for tensor in plan.merged)


def fit(
    rule: AdaMerging,
    plan: Plan,
    windows: Windows,
    *,
    counts: Sequence[float] | None = None,
    counts_of: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, np.ndarray]:
    """Fit the coefficients; ``rule.fitted(names of plan.merged, coefficients)`` is the rule with them.

    Args:
        rule: how.
        plan: which tensors of which checkpoints; there is a base.
        windows: text of each expert, in their order, tokenised for the base. No labels.
        counts: w_i, the weight of each expert, by which its task vector is scaled beside lambda; 1 each when left out.
        counts_of: other weights, by name of a tensor.
        seed: of the order of texts, which does not depend on that of the experts.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``.

    Returns:
        ``coefficients`` (groups, n), in [0, 1]; ``entropy`` (steps, n), nats per prediction on the batches of each
        update; ``before`` and ``after`` (n,), the same on one set of texts, with the first and the last coefficients.

    Raises:
        InputError: no base, an expert without text, a model that predicts no distribution, or predictions that are not
            finite.
        MissingExtraError: torch or transformers is not installed.
    """
    require("torch", "merge")
    require("transformers", "merge")
    import torch

    counts = [1.0] * len(plan.experts) if counts is None else list(counts)
    rule.check(len(plan.experts), plan.base is not None, counts)
    check_model(plan.reference)
    texts = _texts(plan, windows)
    merged = Merged(rule, plan, counts, counts_of or {}, device=device)
    raw = torch.full((len(merged.groups), len(counts)), rule.initial, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([raw], lr=rule.learning_rate)
    orders = [_order(len(own), seed, word) for own, word in zip(texts, plan.identities, strict=True)]
    trace = np.zeros((rule.steps, len(texts)))
    before = merged.entropies(raw.detach(), texts)
    with bar("fitting coefficients", rule.steps) as advance:
        for step in range(rule.steps):
            lambdas = raw.clamp(0, 1)
            merged.assign(lambdas.detach())
            for expert, (own, order) in enumerate(zip(texts, orders, strict=True)):
                trace[step, expert] = merged.backward([own[next(order)] for _ in range(min(rule.batch, len(own)))])
            optimiser.zero_grad()
            lambdas.backward(merged.gradient())
            optimiser.step()
            advance(1, f"{trace[step].mean():.3f} nats")
    lambdas = raw.detach().clamp(0, 1)
    after = merged.entropies(lambdas, texts)
    return {"coefficients": lambdas.numpy(), "entropy": trace, "before": before, "after": after}


@dataclass(frozen=True)
class _Part:
    """A weight of the model and what it is merged of.

    Attributes:
        weight: of the model.
        base: (m,).
        tasks: (n, m), what is left of the task vectors.
        counts: w_i.
        group: place of its coefficients.
    """

    weight: Tensor
    base: Tensor
    tasks: Tensor
    counts: Sequence[float]
    group: int


class Merged:
    """The merged model as a function of the coefficients.

    Args:
        rule: which coefficients, and what is left of task vectors.
        plan: which tensors of which checkpoints.
        counts: w_i.
        counts_of: other weights, by name of a tensor.
        device: where the model is.
        dtype: of the weights; None for float32.

    Attributes:
        groups: what has coefficients.
    """

    def __init__(
        self,
        rule: AdaMerging,
        plan: Plan,
        counts: Sequence[float],
        counts_of: Mapping[str, Sequence[float]],
        *,
        device: str = "cpu",
        dtype: Any = None,
    ) -> None:
        import torch

        from harmonia.models.pruned import load

        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._model = load(plan.reference.folder, dtype=dtype or torch.float32, device=chosen)
        self._classes = type(self._model).__name__.endswith(_CLASSES)
        self.groups = rule.groups(tensor.slot.name for tensor in plan.merged)
        self._experts, self._scale = len(plan.experts), rule.scale(len(plan.experts))
        self._parts: list[_Part] = []
        own = dict(self._model.named_parameters())
        held = {there: own[name] for name, there in renamed(list(own), plan.reference.tensors).items()}
        sources = [CheckpointSources(plan, tensor) for tensor in plan.merged]
        known = rule.trim(sources, counts)
        for source in sources:
            # what no expert changed, or the model does not use, needs no room and has no gradient
            if source.name in held and not source.untouched():
                weight, weights = held[source.name].requires_grad_(True), counts_of.get(source.name, counts)
                base, tasks = (weight.new_empty(n, source.size) for n in (1, len(counts)))
                start = 0
                for piece, rows in rule.tasks(source, weights, known):
                    base[0, start : start + len(piece)] = piece
                    tasks[:, start : start + len(piece)] = rows
                    start += len(piece)
                group = self.groups.index(rule.group(source.name))
                self._parts.append(_Part(weight, base[0], tasks, list(weights), group))

    def assign(self, lambdas: Tensor) -> None:
        """Merge with coefficients: (groups, n) in [0, 1]."""
        for part in self._parts:
            shares = [w * found for w, found in zip(part.counts, lambdas[part.group].tolist(), strict=True)]
            merged = weighted_sum(part.tasks, shares).mul_(self._scale).add_(part.base)
            part.weight.data.copy_(merged.view_as(part.weight))

    def backward(self, ids: Sequence[Sequence[int]]) -> float:
        """Add the gradient of the mean entropy of the predictions on texts, and return that entropy, in nats."""
        total = 0.0
        for entropy, share in self._passes(ids):
            if self._parts:
                (entropy * share).backward()
            total += float(entropy.detach()) * share
        return total

    def gradient(self) -> Tensor:
        """Return the gradient of the coefficients from that of the weights, which is forgotten: (groups, n) float64."""
        import torch

        found = torch.zeros(len(self.groups), self._experts, dtype=torch.float64)
        for part in self._parts:
            if part.weight.grad is not None:
                slopes = part.tasks @ part.weight.grad.flatten()
                found[part.group] += (
                    self._scale * torch.tensor(part.counts, dtype=torch.float64) * slopes.double().cpu()
                )
                part.weight.grad = None
        return found

    def entropies(self, lambdas: Tensor, texts: Windows) -> np.ndarray:
        """Return the mean entropy of the predictions on the first texts of each expert, in nats: (n,)."""
        import torch

        self.assign(lambdas)
        with torch.no_grad():
            return np.array([sum(float(h) * share for h, share in self._passes(own[:_MEASURED])) for own in texts])

    def _passes(self, ids: Sequence[Sequence[int]]) -> Iterator[tuple[Tensor, float]]:
        """Yield the mean entropy of each pass, and its share of the predictions.

        Raises:
            InputError: it is not finite.
        """
        from harmonia.maths.softmax_entropy import softmax_entropy
        from harmonia.models.pretrained import batches_by_length, padded

        lengths = np.array([len(own) for own in ids])
        whole = len(ids) if self._classes else int(lengths.sum())
        for rows in batches_by_length(lengths, _TOKENS):
            batch = padded(rows, ids, next(self._model.parameters()).device)
            logits = self._model(input_ids=batch.ids, attention_mask=batch.mask).logits
            # every position predicts, the last one too: no label is needed
            found = softmax_entropy(logits if self._classes else logits[batch.mask.bool()])
            mean = found.mean()
            if not mean.isfinite():
                raise InputError(
                    "the merged model's predictions are NaN or infinite: lower weights.initial or --weights"
                )
            yield mean, len(found) / whole


def _texts(plan: Plan, windows: Windows) -> list[list[list[int]]]:
    """Return the texts that the model can be asked about.

    Raises:
        InputError: an expert has none.
    """
    found = [[list(ids) for ids in own] for own in windows]
    if len(found) != len(plan.experts):
        raise InputError(f"texts of {len(found)} experts for {len(plan.experts)}: give text of each, in their order")
    if str((plan.reference.config.get("architectures") or [""])[0]).endswith(_CLASSES):
        from harmonia.models.pretrained import load_tokenizer

        first = load_tokenizer(str(plan.reference.folder)).cls_token_id
        # a classifier reads its first token; what a long text goes on with has none
        found = [[ids for ids in own if first is None or ids[0] == first] for own in found]
    for expert, own in zip(plan.experts, found, strict=True):
        if not own:
            raise InputError(f"no text of {expert.folder}: ada-merging needs some of every expert, --prompts NAME=FILE")
    return found


def _order(texts: int, seed: int, word: str) -> Iterator[int]:
    """Yield texts without end, all of them in a new order each time."""
    draw = generator(seed, "ada-merging", word)
    while True:
        yield from draw.permutation(texts).tolist()
