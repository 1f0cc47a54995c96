"""Experts that run each by itself, chosen once for a text, and mixed at the end or after every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache

from harmonia.core.errors import InputError
from harmonia.maths.topk_softmax import topk_softmax
from harmonia.models.mixture.bridge import Bridge
from harmonia.models.mixture.deciding import Decision, Perplexity, Prefill, SequenceGate, TaskVector
from harmonia.models.mixture.dense import dense, dense_config, parameters
from harmonia.models.mixture.mixture import Mixture, MixtureOutput, Session, positions
from harmonia.models.mixture.parts import is_shared
from harmonia.models.mixture.record import MixtureRecord, Owner


class SequenceMixture(Mixture):
    """Experts with what they share, and what decides.

    logits = head(sum_i alpha_i r_i), r_i the last hidden states of expert i behind its final norm. Where heads are not
    shared, sum_i alpha_i head_i(r_i), which is the same for one head.

    Attributes:
        trunks: the experts; shared tensors are one.
        anchor: where task vectors begin, if anybody asks.
        decision: what scores experts.
        bridge: what joins experts of several widths; None where they have one.
    """

    def __init__(self, record: MixtureRecord, tensors: Mapping[tuple[Owner, str], Tensor]) -> None:
        super().__init__(record)
        owned: dict[Owner, dict[str, nn.Parameter]] = {}
        for (owner, name), tensor in tensors.items():
            owned.setdefault(owner, {})[name] = parameters({name: tensor})[name]
        shared = owned.get("shared", {})
        configs = [dense_config(record.config_of(expert)) for expert in range(self.experts)]
        common: dict[str, nn.Parameter] = {} if record.bridged else shared
        self.trunks = nn.ModuleList(
            dense(config, common | owned.get(expert, {}), ends=not record.bridged)
            for expert, config in enumerate(configs)
        )
        self.bridge: Bridge | None = None
        if record.bridged:
            embedding = shared["model.embed_tokens.weight"]
            head = shared.get("lm_head.weight", embedding)
            self.bridge = Bridge(embedding, head, owned.get("bridge", {}), self.experts)
        self._base = nn.ModuleList([dense(configs[0], shared | owned["base"])] if record.anchor == "base" else [])
        self.decision = self._decision(owned.get("router", {}).get("weight"))
        if record.mix == "layer":
            _check_layers(configs[0])
        self.requires_grad_(False)
        self.eval()

    def _decision(self, gate: Tensor | None) -> Decision:
        settings = self.record.settings
        if self.record.decides == "ppl":
            return Perplexity(settings["score"], settings["tokens"])
        if self.record.decides == "task-vector":
            return TaskVector(settings["layers"])
        if gate is None:
            gate = torch.zeros(self.experts, self.embedding.shape[1])
        return SequenceGate(gate)

    @property
    def anchor(self) -> Any:
        """The decoder at which task vectors begin."""
        return self._base[0] if len(self._base) else self.trunks[self.record.anchor]  # type: ignore[index]

    @property
    def embedding(self) -> Tensor:
        return self.bridge.embedding if self.bridge else self.trunks[0].model.embed_tokens.weight  # type: ignore[union-attr, return-value]

    def gates(self) -> list[Tensor]:
        return [self.decision.weight] if isinstance(self.decision, SequenceGate) else []

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
        **_: Any,
    ) -> MixtureOutput:
        """Return logits, the weights of the experts, and the loss where there are labels.

        Args:
            input_ids: (b, t).
            attention_mask: (b, t), 0 at padding, on either side.
            labels: (b, t), -100 where nothing is to be predicted.
            weights: alpha, (b, l), chosen elsewhere; None lets the router choose on these texts.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        held = None
        if weights is None:
            weights, held = self.route(input_ids, mask)
        if self.record.mix == "layer":
            logits = self._layered(input_ids, mask, weights)
        else:
            whole = held is not None and held.length == input_ids.shape[1]

            def state(expert: int, rows: Tensor) -> Tensor:
                if whole and held is not None:
                    return held.states[expert][rows]
                return self.states(expert, input_ids[rows], mask[rows])

            logits = self._mixed(weights, state)
        loss = None if labels is None else self.next_token_loss(logits, labels)
        return MixtureOutput(loss=loss, logits=logits, weights=weights)

    def route(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Prefill | None]:
        """Return alpha, (b, l), zero but for K experts, and what the router computed of the texts on the way."""
        scores, held = self.decision(self, ids, mask)
        temperature = float(self.record.settings.get("temperature", 1.0))
        return topk_softmax(scores, self.record.top_k, temperature), held

    def mean_embedding(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the mean embedding of each text, padding left out: (b, d_m) float32."""
        shown = mask.float()[..., None]
        rows = functional.embedding(ids, self.embedding).float()
        return (rows * shown).sum(dim=1) / shown.sum(dim=1).clamp_min(1)

    def cache(self) -> DynamicCache:
        """Return an empty cache of keys and values."""
        return DynamicCache()

    def states(self, expert: int, ids: Tensor, mask: Tensor | None, cache: DynamicCache | None = None) -> Tensor:
        """Return r of an expert: (b, t, d).

        Args:
            expert: its number.
            ids: (b, t), behind what the cache holds.
            mask: (b, t); None where nothing is padding.
            cache: read and extended.
        """
        trunk: Any = self.trunks[expert]
        if self.bridge is None:
            given: dict[str, Any] = {"input_ids": ids}
        else:
            given = {"inputs_embeds": self.bridge.into[expert](functional.embedding(ids, self.bridge.embedding))}
        if mask is not None and cache is None:
            given |= {"attention_mask": mask, "position_ids": positions(mask)}
        found = trunk.model(**given, past_key_values=cache, use_cache=cache is not None).last_hidden_state
        return found if self.bridge is None else self.bridge.out[expert](found)

    def head(self, expert: int, states: Tensor) -> Tensor:
        """Return logits of r: (..., d) -> (..., V)."""
        if self.bridge is not None:
            return functional.linear(states, self.bridge.head)
        return self.trunks[expert].lm_head(states)  # type: ignore[operator]

    def _mixed(self, weights: Tensor, state: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Return logits of the experts that have weight; ``state`` gives r of an expert for some rows."""
        total: Tensor | None = None
        apart = self.record.shared == "nothing" or self.record.mix == "logprob"
        for expert in range(self.experts):
            rows = (weights[:, expert] > 0).nonzero()[:, 0]
            if not len(rows):
                continue
            found = state(expert, rows)
            if apart:
                found = self.head(expert, found)
            if self.record.mix == "logprob":
                found = torch.softmax(found.float(), dim=-1)
            found = found * weights[rows, expert, None, None].to(found.dtype)
            if total is None:
                total = found.new_zeros(len(weights), *found.shape[1:])
            total = total.index_add(0, rows, found)
        assert total is not None
        if self.record.mix == "logprob":
            return total.clamp_min(torch.finfo(total.dtype).tiny).log()
        return total if apart else self.head(0, total)

    def _layered(self, ids: Tensor, mask: Tensor, weights: Tensor, caches: list[DynamicCache] | None = None) -> Tensor:
        """Return logits where hidden states are mixed after every layer: h <- sum_i alpha_i Layer_i(h).

        Args:
            ids: (b, t).
            mask: (b, s + t), with the s tokens that the caches hold.
            weights: (b, l).
            caches: of each expert, for the rows that it has weight in.
        """
        trunks: Any = self.trunks
        past = mask.shape[1] - ids.shape[1]
        apart = self.record.shared == "nothing"
        h = trunks[0].model.embed_tokens(ids)
        if apart:
            h = sum(weights[:, e, None, None].to(h.dtype) * t.model.embed_tokens(ids) for e, t in enumerate(trunks))
        place = positions(mask)[:, past:]
        seen = torch.arange(mask.shape[1], device=ids.device)
        allowed = (seen <= seen[past:, None]) & mask[:, None, :].bool()
        hidden = torch.zeros(allowed.shape, dtype=h.dtype, device=h.device)
        hidden = hidden.masked_fill(~allowed, torch.finfo(h.dtype).min)[:, None]
        cos, sin = trunks[0].model.rotary_emb(h, place)
        members = [(weights[:, e] > 0).nonzero()[:, 0] for e in range(self.experts)]
        for number in range(trunks[0].config.num_hidden_layers):
            out = torch.zeros_like(h)
            for expert, rows in enumerate(members):
                if not len(rows):
                    continue
                made = trunks[expert].model.layers[number](
                    h[rows],
                    attention_mask=hidden[rows],
                    position_ids=place[rows],
                    past_key_values=caches[expert] if caches else None,
                    use_cache=caches is not None,
                    position_embeddings=(cos[rows], sin[rows]),
                )
                out = out.index_add(0, rows, made * weights[rows, expert, None, None].to(h.dtype))
            h = out
        if not apart:
            return trunks[0].lm_head(trunks[0].model.norm(h))
        return sum(weights[:, e, None, None].to(h.dtype) * t.lm_head(t.model.norm(h)) for e, t in enumerate(trunks))

    def start(self, tokens: Tensor) -> tuple[Session, Tensor]:
        mask = torch.ones_like(tokens)
        weights, held = self.route(tokens, mask)
        if self.record.mix == "layer":
            layered = _Layered(self, weights)
            return layered, layered.advance(tokens)
        session = _Apart(self, weights, held)
        return session, session.begin(tokens)

    def named(self) -> Iterator[tuple[Owner, str, Tensor]]:
        done: set[tuple[Owner, str]] = set()
        models: list[tuple[Owner, Any]] = [*enumerate(self.trunks), *(("base", model) for model in self._base)]
        for owner, model in models:
            for name, tensor in model.state_dict().items():
                if name == "lm_head.weight" and model.config.tie_word_embeddings:
                    continue
                place: Owner = "shared" if not self.bridge and is_shared(name, self.record.shared) else owner
                if (place, name) not in done:
                    done.add((place, name))
                    yield place, name, tensor
        if self.bridge is not None:
            yield "shared", "model.embed_tokens.weight", self.bridge.embedding.detach()
            if self.bridge.head is not self.bridge.embedding:
                yield "shared", "lm_head.weight", self.bridge.head.detach()
            for way, several in (("in", self.bridge.into), ("out", self.bridge.out)):
                for expert, sequence in enumerate(several):
                    layers = [layer for layer in sequence if isinstance(layer, nn.Linear)]  # type: ignore[attr-defined]
                    for number, layer in enumerate(layers):
                        for name, tensor in layer.state_dict().items():
                            yield "bridge", f"{expert}.{way}.{number}.{name}", tensor
        for gate in self.gates():
            yield "router", "weight", gate.detach()


class _Apart:
    """Experts that read on each by itself, with caches of the winners alone."""

    def __init__(self, mixture: SequenceMixture, weights: Tensor, held: Prefill | None) -> None:
        self.mixture = mixture
        self.weights = weights
        self.read = held.length if held else 0
        self.last: dict[int, Tensor] = {}
        self.caches: dict[int, DynamicCache] = {}
        for expert in range(mixture.experts):
            rows = (weights[:, expert] > 0).nonzero()[:, 0]
            if not len(rows):
                continue
            self.caches[expert] = held.caches[expert] if held else mixture.cache()
            if held:
                self.last[expert] = held.states[expert][rows, -1:]
                if len(rows) < len(weights):
                    self.caches[expert].batch_select_indices(rows)

    def begin(self, tokens: Tensor) -> Tensor:
        """Read what the router has not read of the prompts."""
        if self.read < tokens.shape[1]:
            return self.advance(tokens[:, self.read :])
        return self.mixture._mixed(self.weights, lambda expert, rows: self.last[expert])[:, -1]

    def advance(self, tokens: Tensor) -> Tensor:
        def state(expert: int, rows: Tensor) -> Tensor:
            return self.mixture.states(expert, tokens[rows], None, self.caches[expert])[:, -1:]

        return self.mixture._mixed(self.weights, state)[:, -1]


class _Layered:
    """Experts that are mixed after every layer and read on together."""

    def __init__(self, mixture: SequenceMixture, weights: Tensor) -> None:
        self.mixture = mixture
        self.weights = weights
        self.caches = [mixture.cache() for _ in range(mixture.experts)]
        self.length = 0

    def advance(self, tokens: Tensor) -> Tensor:
        self.length += tokens.shape[1]
        mask = torch.ones(len(tokens), self.length, dtype=torch.long, device=tokens.device)
        return self.mixture._layered(tokens, mask, self.weights, self.caches)[:, -1]


def _check_layers(config: Any) -> None:
    """Refuse layers of which some see a window only.

    Raises:
        InputError: says which setting.
    """
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        raise InputError(
            f"mix=layer runs full attention, and the experts have sliding_window={config.sliding_window}: take trunk"
        )
