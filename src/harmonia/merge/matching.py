"""Which tensor of an expert is which of the reference, and what to do where there is none.

Forgiven are a common prefix of all names (a trunk saved with or without its head), an output layer that is tied to the
embedding and stored by some and not by others, and buffers, which are no weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import Checkpoint, Stored

_BUFFER = re.compile(r"(rotary_emb\.inv_freq|position_ids|token_type_ids|attn\.masked_bias)$")
_MASK = re.compile(r"(^|\.)attn\.bias$")
_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|shared)\.weight$")
_OUTPUT = re.compile(r"(^|\.)(lm_head|lm_head\.decoder|embed_out|output|predictions\.decoder)\.(weight|bias)$")


def is_buffer(stored: Stored) -> bool:
    """Return whether a tensor is something that the model computes anew when it is loaded.

    GPT-2 once stored its causal mask, (1, 1, t, t), under the name of a bias.
    """
    return bool(_BUFFER.search(stored.name)) or (bool(_MASK.search(stored.name)) and len(stored.shape) == 4)


def tied_output(model: Checkpoint) -> tuple[str, str] | None:
    """Return the output layer that a model stores although it is, byte for byte, its embedding, and the embedding."""
    output = next((n for n in model.tensors if _OUTPUT.search(n) and n.endswith("weight")), None)
    embedding = _embedding(model)
    if output is None or embedding is None or not _may_tie(model) or not model.same(output, model, embedding):
        return None
    return output, embedding


@dataclass(frozen=True)
class Match:
    """An expert beside the reference.

    Attributes:
        reference: whose names are used.
        expert: the other.
        names: the reference's name -> the expert's, where both have it in one shape.
        missing: what the expert lacks.
        reshaped: what it has in another shape, and under which name.
        extra: what the reference lacks.
    """

    reference: Checkpoint
    expert: Checkpoint
    names: dict[str, str]
    missing: tuple[str, ...]
    reshaped: dict[str, str]
    extra: tuple[str, ...]

    def refuse(self) -> None:
        """Refuse an expert that does not match.

        Raises:
            InputError: says what does not, and what to do.
        """
        here, there = self.expert.folder, self.reference.folder
        remedy = "is it a fine-tune of the same model? unmatched=reference takes what the reference has"
        if self.reshaped:
            name, own = next(iter(self.reshaped.items()))
            ours, others = list(self.expert.tensor(own).shape), list(self.reference.tensor(name).shape)
            if (_EMBEDDING.search(name) or _OUTPUT.search(name)) and ours[1:] == others[1:]:
                raise InputError(
                    f"{here} has a vocabulary of {ours[0]} and {there} one of {others[0]} ({name}): align their "
                    "tokenizers first (resize_token_embeddings), or take the reference's with unmatched=reference"
                )
            more = f" (and {len(self.reshaped) - 1} more)" if len(self.reshaped) > 1 else ""
            raise InputError(f"{name} has shape {ours} in {here} and {others} in {there}{more}; {remedy}")
        if self.missing:
            raise InputError(f"{here} lacks {_listed(self.missing)} of {there}; {remedy}")
        if self.extra:
            raise InputError(f"{here} has {_listed(self.extra)} that {there} lacks; {remedy}")


def match(reference: Checkpoint, expert: Checkpoint, wanted: Sequence[str]) -> Match:
    """Return which tensor of an expert is which of the reference.

    Args:
        reference: whose names are used.
        expert: the other.
        wanted: names of the reference that the result will have.
    """
    called = renamed(list(reference.tensors), expert.tensors)
    embedding, twice = _embedding(expert), tied_output(expert)
    names, missing, reshaped = {}, [], {}
    for name in wanted:
        stored, there = reference.tensor(name), called[name]
        if there not in expert.tensors and embedding and _may_tie(expert) and _OUTPUT.search(name):
            there = embedding if expert.tensor(embedding).shape == stored.shape else there
        if there not in expert.tensors:
            if not is_buffer(stored):
                missing.append(name)
        elif expert.tensor(there).shape != stored.shape:
            reshaped[name] = there
        else:
            names[name] = there
    known = {*called.values(), *(twice[:1] if twice else ())}
    extra = tuple(name for name, stored in expert.tensors.items() if name not in known and not is_buffer(stored))
    return Match(reference, expert, names, tuple(missing), reshaped, extra)


def renamed(names: Sequence[str], theirs: Iterable[str]) -> dict[str, str]:
    """Return what another model calls tensors, with the one prefix to add or to remove that finds most of them."""
    others = set(theirs)
    ways: list[Callable[[str], str]] = [lambda name: name]
    for prefix in dict.fromkeys(name.partition(".")[0] + "." for name in (*names, *others)):
        ways += [prefix.__add__, lambda name, prefix=prefix: name.removeprefix(prefix)]  # type: ignore[misc]
    best = max(ways, key=lambda way: sum(way(name) in others for name in names))
    return {name: name if name in others else best(name) for name in names}


def _embedding(model: Checkpoint) -> str | None:
    return next((name for name in model.tensors if _EMBEDDING.search(name)), None)


def _may_tie(model: Checkpoint) -> bool:
    """Return whether the output layer may be the embedding; configurations often leave out what is their default."""
    return model.config.get("tie_word_embeddings") is not False


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{'tensors' if len(names) > 1 else 'tensor'} {', '.join(names[:most])}{more}"
