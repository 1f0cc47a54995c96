"""What every mixture can do: run, generate, and name its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.utils import ModelOutput

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator
from harmonia.models.mixture.record import MixtureRecord, Owner


@dataclass
class MixtureOutput(ModelOutput):
    """What a mixture returns.

    Attributes:
        loss: mean nats per predicted token, where labels were given.
        logits: (b, t, V).
        weights: alpha, of experts: (b, l), or (layers, b, t, l) where every token has its own.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    weights: Tensor | None = None


class Session(Protocol):
    """A text being continued: what was read stays in caches."""

    def advance(self, tokens: Tensor) -> Tensor:
        """Read more tokens of every row, (b, m), and return the logits behind the last of them: (b, V)."""
        ...


class Mixture(nn.Module):
    """Several experts and what chooses among them.

    Attributes:
        record: what config.json says.
    """

    record: MixtureRecord

    def __init__(self, record: MixtureRecord) -> None:
        super().__init__()
        self.record = record

    @property
    def experts(self) -> int:
        """How many experts there are: l."""
        return len(self.record.experts)

    @property
    def embedding(self) -> Tensor:
        """The table of embeddings, (V, d); of the first expert where none is shared."""
        raise NotImplementedError

    def named(self) -> Iterator[tuple[Owner, str, Tensor]]:
        """Yield every tensor with its owner and name, shared ones once."""
        raise NotImplementedError

    def gates(self) -> list[Tensor]:
        """Return the matrices of gate vectors, (l, d) each; none where experts are not chosen by gates."""
        raise NotImplementedError

    def start(self, tokens: Tensor) -> tuple[Session, Tensor]:
        """Begin with prompts of one length, (b, t); return the session, and the logits behind them: (b, V)."""
        raise NotImplementedError

    def next_token_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean nats per predicted token; labels of -100 do not count."""
        return functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100
        )

    @torch.no_grad()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int = 512,
        *,
        end: int | Sequence[int] | None = None,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[int]]:
        """Continue prompts; experts are chosen once, from the prompt, where a router decides per sequence.

        Args:
            prompts: token ids of each; they may differ in length.
            max_new_tokens: most tokens that are added.
            end: tokens that end a text; None for the experts' end of sequence.
            temperature: 0 takes the most probable token, more draws.
            seed: of the draws, which depend on the number of the prompt, too.

        Returns:
            The new tokens of each prompt, with the one that ended it.

        Raises:
            InputError: an empty prompt.
        """
        if any(not len(prompt) for prompt in prompts):
            raise InputError("an empty prompt: give at least one token")
        ends = self._ends(end)
        device = next(self.parameters()).device
        found: list[list[int]] = [[] for _ in prompts]
        lengths: dict[int, list[int]] = {}
        for number, prompt in enumerate(prompts):
            lengths.setdefault(len(prompt), []).append(number)
        for group in lengths.values():
            tokens = torch.tensor([list(prompts[number]) for number in group], device=device)
            draws = [generator(seed, "generate", number) for number in group]
            open_ = set(group)
            session, logits = self.start(tokens) if max_new_tokens > 0 else (None, None)
            for step in range(max_new_tokens):
                assert session is not None and logits is not None
                chosen = [_next(row, temperature, draw) for row, draw in zip(logits, draws, strict=True)]
                for number, token in zip(group, chosen, strict=True):
                    if number in open_:
                        found[number].append(token)
                        if token in ends:
                            open_.discard(number)
                if not open_ or step == max_new_tokens - 1:
                    break
                logits = session.advance(torch.tensor(chosen, device=device)[:, None])
        return found

    def _ends(self, end: int | Sequence[int] | None) -> set[int]:
        given: Any = self.record.config_of(0).get("eos_token_id") if end is None else end
        return set() if given is None else {given} if isinstance(given, int) else set(given)


def positions(mask: Tensor) -> Tensor:
    """Return the place of each token in its text, whichever side is padded: (b, t) -> (b, t)."""
    return (mask.long().cumsum(dim=-1) - 1).clamp_min(0)


def _next(logits: Tensor, temperature: float, draw: Any) -> int:
    if not temperature:
        return int(logits.argmax())
    shares = torch.softmax(logits.double() / temperature, dim=-1).cumsum(dim=-1)
    place = torch.searchsorted(shares, torch.tensor(draw.random() * float(shares[-1]), dtype=shares.dtype))
    return min(int(place), len(logits) - 1)
