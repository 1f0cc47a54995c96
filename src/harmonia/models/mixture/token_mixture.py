"""A decoder whose feed-forward layers are several, of which a gate chooses K for every token."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache

from harmonia.maths.topk_softmax import topk_softmax
from harmonia.models.mixture.dense import dense, dense_config, parameters
from harmonia.models.mixture.mixture import Mixture, MixtureOutput, Session, positions
from harmonia.models.mixture.record import MixtureRecord, Owner


class MixedFeedForward(nn.Module):
    """sum_i alpha_i FF_i(v), alpha the softmax over the K largest of theta_r v.

    Only the experts that a token is sent to see it: K / l of the cost of running all.

    Attributes:
        experts: FF_1 to FF_l.
        gate: theta_r: (l, d).
        forced: the expert that takes every token with weight 1; None lets the gate decide.
        inputs: v of the last pass, (b, t, d), where ``kept``.
        weights: alpha of the last pass: (b, t, l).
    """

    def __init__(self, experts: list[nn.Module], gate: Tensor, top_k: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)
        self.gate = nn.Parameter(gate, requires_grad=False)
        self.top_k = top_k
        self.forced: int | None = None
        self.kept = False
        self.inputs: Tensor | None = None
        self.weights: Tensor | None = None
        self.scores: Tensor | None = None

    def forward(self, v: Tensor) -> Tensor:
        """Return the mixed output: (b, t, d) -> (b, t, d)."""
        if self.kept:
            self.inputs = v.detach()
        if self.forced is not None:
            self.weights = (
                functional.one_hot(torch.tensor(self.forced), len(self.experts))
                .float()
                .expand(*v.shape[:-1], -1)
                .to(v.device)
            )
            return self.experts[self.forced](v)
        self.scores = functional.linear(v, self.gate).float()
        self.weights = topk_softmax(self.scores, self.top_k)
        rows, alpha = v.flatten(0, 1), self.weights.flatten(0, 1).to(v.dtype)
        out = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            sent = (alpha[:, number] > 0).nonzero()[:, 0]
            if len(sent):
                out = out.index_add(0, sent, expert(rows[sent]) * alpha[sent, number, None])
        return out.view_as(v)


class TokenMixture(Mixture):
    """A decoder of shared attention and several feed-forward layers; experts are chosen per token and layer.

    Attributes:
        model: the decoder.
    """

    def __init__(self, record: MixtureRecord, tensors: Mapping[tuple[Owner, str], Tensor]) -> None:
        super().__init__(record)
        config = dense_config(record.config_of(0))
        shared = {name: t for (owner, name), t in tensors.items() if owner == "shared"}
        whole = {}
        for expert in range(self.experts):
            own = parameters({name: t for (owner, name), t in tensors.items() if owner == expert})
            whole[expert] = own
        self.model = dense(config, parameters(shared) | whole[0])
        others = [dense(config, dict(self.model.state_dict()) | whole[expert]) for expert in range(1, self.experts)]
        for number, layer in enumerate(self.model.model.layers):
            experts = [layer.mlp, *(other.model.layers[number].mlp for other in others)]
            gate = tensors.get(("router", f"layers.{number}"))
            if gate is None:
                gate = torch.zeros(self.experts, config.hidden_size, dtype=next(layer.mlp.parameters()).dtype)
            layer.mlp = MixedFeedForward(experts, gate, record.top_k)
        self.requires_grad_(False)
        self.eval()

    @property
    def feed_forwards(self) -> list[MixedFeedForward]:
        """The mixed layers, in order."""
        return [layer.mlp for layer in self.model.model.layers]

    @property
    def embedding(self) -> Tensor:
        return self.model.model.embed_tokens.weight

    def gates(self) -> list[Tensor]:
        return [layer.gate for layer in self.feed_forwards]

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None, **_: Any
    ) -> MixtureOutput:
        """Return logits, and the loss where there are labels.

        Args:
            input_ids: (b, t).
            attention_mask: (b, t), 0 at padding, on either side.
            labels: (b, t), -100 where nothing is to be predicted.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        found = self.model(input_ids=input_ids, attention_mask=mask, position_ids=positions(mask), use_cache=False)
        loss = None if labels is None else self.next_token_loss(found.logits, labels)
        weights = torch.stack([layer.weights for layer in self.feed_forwards])  # type: ignore[misc]
        return MixtureOutput(loss=loss, logits=found.logits, weights=weights)

    @contextlib.contextmanager
    def only(self, expert: int) -> Iterator[None]:
        """Send every token to one expert, in all layers."""
        for layer in self.feed_forwards:
            layer.forced = expert
        try:
            yield
        finally:
            for layer in self.feed_forwards:
                layer.forced = None

    @torch.no_grad()
    def gate_inputs(self, input_ids: Tensor, attention_mask: Tensor, expert: int) -> list[Tensor]:
        """Return what the gate of each layer would see if one expert took every token: (n, d) each, padding left out.

        These are the states of a mixture that routes as it should, since earlier layers send tokens to that expert.
        """
        layers = self.feed_forwards
        for layer in layers:
            layer.kept = True
        try:
            with self.only(expert):
                self(input_ids, attention_mask)
            return [layer.inputs[attention_mask.bool()] for layer in layers if layer.inputs is not None]
        finally:
            for layer in layers:
                layer.kept, layer.inputs = False, None

    def start(self, tokens: Tensor) -> tuple[Session, Tensor]:
        session = _Cached(self.model)
        return session, session.advance(tokens)

    def named(self) -> Iterator[tuple[Owner, str, Tensor]]:
        tied = self.model.config.tie_word_embeddings
        for name, tensor in self.model.state_dict().items():
            before, middle, after = name.partition(".mlp.")
            if name == "lm_head.weight" and tied:
                continue
            if not middle:
                yield "shared", name, tensor
            elif after == "gate":
                yield "router", before.removeprefix("model."), tensor
            else:
                _, number, rest = after.split(".", 2)
                yield int(number), f"{before}.mlp.{rest}", tensor


class _Cached:
    """A decoder that reads on."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.cache = DynamicCache()

    def advance(self, tokens: Tensor) -> Tensor:
        found = self.model(input_ids=tokens, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        return found.logits[:, -1]
