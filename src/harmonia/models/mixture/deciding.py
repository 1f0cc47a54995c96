"""What chooses experts for a whole text: a score for each expert, higher for better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonia.core.errors import InputError
from harmonia.maths.ghost_products import ghost_product, ghost_square
from harmonia.models.mixture.mixture import positions
from harmonia.models.mixture.parts import is_shared

if TYPE_CHECKING:
    from harmonia.models.mixture.sequence_mixture import SequenceMixture


@dataclass(frozen=True)
class Prefill:
    """What every expert made of the beginning of some texts while it was scored.

    Attributes:
        length: tokens that were read.
        states: last hidden states of each expert: (b, length, d).
        caches: keys and values of each expert.
    """

    length: int
    states: list[Tensor]
    caches: list[Any]


class Decision(nn.Module):
    """Scores experts for texts."""

    def forward(self, mixture: SequenceMixture, ids: Tensor, mask: Tensor) -> tuple[Tensor, Prefill | None]:
        """Return scores, (b, l), and what was computed on the way and can be continued, if anything.

        Args:
            mixture: whose experts.
            ids: (b, t).
            mask: (b, t), 0 at padding.
        """
        raise NotImplementedError


class SequenceGate(Decision):
    """theta_r times the mean embedding of a text; without a linear map, uniform.

    Attributes:
        weight: theta_r: (l, d).
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, mixture: SequenceMixture, ids: Tensor, mask: Tensor) -> tuple[Tensor, Prefill | None]:
        return functional.linear(mixture.mean_embedding(ids, mask), self.weight.float()), None


class Perplexity(Decision):
    """How well each expert predicts the text.

    Attributes:
        score: inv_ppl or neg_nll.
        tokens: how many tokens of a text are read; None for all.
    """

    def __init__(self, score: str, tokens: int | None) -> None:
        super().__init__()
        self.score = score
        self.tokens = tokens

    def forward(self, mixture: SequenceMixture, ids: Tensor, mask: Tensor) -> tuple[Tensor, Prefill | None]:
        place = positions(mask)
        seen = mask.bool() & (place < (self.tokens or ids.shape[1]))
        length = int(seen.any(dim=0).nonzero().max()) + 1 if bool(seen.any()) else 0
        counted = seen[:, 1:length] & mask[:, : max(length - 1, 0)].bool()
        if length < 2 or not bool(counted.any(dim=1).all()):
            raise InputError("perplexity routing needs at least two tokens of each text: give a longer prompt")
        whole = bool(mask[:, :length].all())
        states, caches, nats = [], [], []
        for expert in range(mixture.experts):
            cache = mixture.cache() if whole else None
            state = mixture.states(expert, ids[:, :length], mask[:, :length], cache)
            logits = mixture.head(expert, state[:, :-1]).float()
            each = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:length], reduction="none")
            nats.append((each * counted).sum(dim=1) / counted.sum(dim=1))
            states.append(state)
            caches.append(cache)
        mean = torch.stack(nats, dim=1)
        if not bool(torch.isfinite(mean).all()):
            expert = int(torch.isfinite(mean).all(dim=0).logical_not().nonzero()[0, 0])
            raise InputError(
                f"expert {mixture.record.experts[expert]} has no finite perplexity on the prompt: repair or remove it"
            )
        return perplexity_scores(mean, self.score), Prefill(length, states, caches) if whole else None


def perplexity_scores(nats: Tensor, score: str) -> Tensor:
    """Return the scores of experts with these mean nats per token.

    Args:
        nats: mean of -log P.
        score: inv_ppl for 1 / PPL, in (0, 1]; neg_nll for log(1 / PPL), whose softmax is proportional to 1 / PPL.

    >>> perplexity_scores(torch.tensor([2.0, 1.0]), "inv_ppl")
    tensor([0.1353, 0.3679])
    """
    return torch.exp(-nats) if score == "inv_ppl" else -nats


class TaskVector(Decision):
    """Cosine of the loss's gradient at the base and theta_b - theta_i, over the linear layers that are not shared.

    The gradient points away from better weights, as does theta_b - theta_i if expert i was trained on such texts. It is
    never formed: forward and backward give inputs and output gradients of every linear layer, and those all products.

    Attributes:
        layers: how many blocks, the last ones; None for all.
    """

    def __init__(self, layers: int | None) -> None:
        super().__init__()
        self.layers = layers
        self._norms: Tensor | None = None

    def forward(self, mixture: SequenceMixture, ids: Tensor, mask: Tensor) -> tuple[Tensor, Prefill | None]:
        if ids.shape[1] < 2 or not bool((mask.sum(dim=1) >= 2).all()):
            raise InputError("task-vector routing needs at least two tokens of each text: give a longer prompt")
        with torch.inference_mode(False), torch.enable_grad():
            return self._cosines(mixture, ids.clone(), mask.clone()), None

    def _cosines(self, mixture: SequenceMixture, ids: Tensor, mask: Tensor) -> Tensor:
        base, names = mixture.anchor, self.linears(mixture)
        seen: dict[str, tuple[Tensor, Tensor]] = {}

        def keep(name: str) -> Any:
            def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                seen[name] = inputs[0].detach(), output

            return hook

        hooks = [base.get_submodule(name).register_forward_hook(keep(name)) for name in names]
        try:
            start = base.model.embed_tokens(ids).detach().requires_grad_(True)
            found = base(inputs_embeds=start, attention_mask=mask, position_ids=positions(mask), use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
        counted = mask[:, 1:].bool() & mask[:, :-1].bool()
        each = functional.cross_entropy(found.logits[:, :-1].float().transpose(1, 2), ids[:, 1:], reduction="none")
        loss = (each * counted).sum() / counted.sum()
        deltas = torch.autograd.grad(loss, [seen[name][1] for name in names])
        products = torch.zeros(len(ids), mixture.experts, device=ids.device)
        square = torch.zeros(len(ids), device=ids.device)
        with torch.no_grad():
            for name, delta in zip(names, deltas, strict=True):
                x, d = seen[name][0].float(), delta.float()
                square += ghost_square(x, d)
                # padding has no loss and attends to nothing that has: its deltas are 0
                here = base.get_submodule(name).weight.float()
                for expert, trunk in enumerate(mixture.trunks):
                    there = trunk.get_submodule(name).weight
                    products[:, expert] += ghost_product(x, d, here - there.float())
            lengths = square.sqrt()[:, None] * self.norms(mixture)
            return torch.where(lengths > 0, products / lengths, 0.0).clamp(-1, 1)

    def linears(self, mixture: SequenceMixture) -> list[str]:
        """Return the linear layers that experts do not share, of the blocks that count."""
        blocks = mixture.anchor.config.num_hidden_layers
        first = blocks - min(self.layers or blocks, blocks)
        return [
            name
            for name, module in mixture.anchor.named_modules()
            if isinstance(module, nn.Linear)
            and name.startswith("model.layers.")
            and int(name.split(".")[2]) >= first
            and not is_shared(f"{name}.weight", mixture.record.shared)
        ]

    def norms(self, mixture: SequenceMixture) -> Tensor:
        """Return ||theta_i - theta_b|| over these layers: (l,); computed once."""
        if self._norms is None:
            squares = torch.zeros(mixture.experts, device=next(mixture.parameters()).device)
            for name in self.linears(mixture):
                here = mixture.anchor.get_submodule(name).weight.float()
                for expert, trunk in enumerate(mixture.trunks):
                    squares[expert] += (trunk.get_submodule(name).weight.float() - here).square().sum()
            self._norms = squares.sqrt()
        return self._norms
