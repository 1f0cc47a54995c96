"""Which models are merged: opened, named, and matched to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harmonia.core.errors import InputError
from harmonia.data.checkpoints import AdaptedCheckpoint, open_checkpoint
from harmonia.merge.plan import Plan, plan

ADAPTERS = ("hu2022lora", "kalajdzievski2023rslora")
"""What is cited where an adapter is folded into its base."""


@dataclass(frozen=True)
class Inputs:
    """The models of a merge.

    Attributes:
        plan: what happens with every tensor.
        base: what the base is called; None where there is none.
        experts: what the experts are called, each otherwise.
    """

    plan: Plan
    base: str | None
    experts: tuple[str, ...]

    @property
    def references(self) -> tuple[str, ...]:
        """What is cited beside the rule."""
        return ADAPTERS if any(isinstance(expert, AdaptedCheckpoint) for expert in self.plan.experts) else ()


def open_inputs(
    experts: Sequence[str | Path],
    base: str | Path | None,
    *,
    dtype: str | None = None,
    unmatched: Literal["refuse", "reference"] = "refuse",
    matched: bool = True,
    allow_pytorch_bin: bool = False,
) -> Inputs:
    """Open models by folder, name or Hub id; an adapter is folded into the base, or else into what it names.

    Args:
        experts: what is merged.
        base: what they were trained from.
        dtype: of the result.
        unmatched: refuse tensors that not all models have alike, or take the base's.
        matched: whether tensors must match at all; without, the plan names the models and no tensor.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.

    Raises:
        InputError: no experts, one that is named twice, nothing that can be read as weights, or tensors that do not
            match.
    """
    if unmatched not in ("refuse", "reference"):
        raise InputError(f"unmatched {unmatched!r}: choose refuse or reference")
    words = [str(expert) for expert in experts]
    twice = next((word for place, word in enumerate(words) if word in words[:place]), None)
    if twice is not None:
        raise InputError(f"expert {twice} is named twice: name each once, and say with weights how much it counts")
    root = None if base is None else open_checkpoint(base, allow_pytorch_bin=allow_pytorch_bin)
    opened = [open_checkpoint(expert, root, allow_pytorch_bin=allow_pytorch_bin) for expert in experts]
    if matched:
        made = plan(opened, root, dtype=dtype, unmatched=unmatched)
    else:
        made = Plan(root, tuple(opened), (), (), (), (), dtype)
    return Inputs(made, None if base is None else short_names([str(base)])[0], tuple(short_names(words)))


def short_names(words: Sequence[str]) -> list[str]:
    """Return the last part of each path, or all of it where two would be called alike."""
    last = [Path(word).name or word for word in words]
    return [short if last.count(short) == 1 else word for short, word in zip(last, words, strict=True)]
