"""The record of a recipe: backbone x conditioning x sharing x gradient x stream, and the training."""

from __future__ import annotations

from typing import ClassVar

from harmonia.core.errors import InputError
from harmonia.core.recipe import Recipe
from harmonia.decide.backbone import AnyBackbone
from harmonia.decide.conditioning import AnyConditioning
from harmonia.decide.gradient import AnyGradientRule
from harmonia.decide.sharing import AnySharing
from harmonia.decide.stream import AnyStream
from harmonia.decide.training import Training


class DecideRecipe(Recipe):
    """A network reads a window, is told of the task, shares weights, steps along a combined gradient, task by task."""

    stage: ClassVar[str] = "decide"

    backbone: AnyBackbone
    """How a window of a trajectory becomes actions."""
    conditioning: AnyConditioning
    """What the network is told of the task."""
    sharing: AnySharing
    """Which weights the tasks have in common."""
    gradient: AnyGradientRule
    """How the gradients of several tasks become one step."""
    stream: AnyStream
    """Whether tasks come together or one after another, and what then guards the earlier ones."""
    training: Training
    """How long and how fast."""

    def check(self, tasks: int, *, unseen: bool = False) -> None:
        """Refuse choices that make no sense together.

        Args:
            tasks: how many are to be learned.
            unseen: whether the policy is to act in tasks that it never learned.

        Raises:
            InputError: names both choices and why.
        """
        sharing, rule, stream = self.sharing, self.gradient, self.stream
        kind = sharing.kind_name()
        if stream.sequential and not sharing.sequential:
            raise InputError(
                f"sharing={kind} learns its tasks together: with --stream, take sharing=packnet, grow, prune, lora, "
                "experts or all; or --set stream=joint"
            )
        if not stream.sequential and not sharing.joint:
            raise InputError(f"sharing={kind} learns tasks one after another: add --set stream=finetune")
        if stream.sequential and sharing.protects and stream.kind_name() != "finetune":
            raise InputError(
                f"sharing={kind} keeps earlier tasks by construction, so stream={stream.kind_name()} has nothing to "
                "guard: --set stream=finetune"
            )
        if rule.needs_conflict:
            name = f"gradient={rule.kind_name()}"
            if stream.sequential:
                raise InputError(f"{name} combines the gradients of several tasks, but a stream trains one at a time")
            if not sharing.shares:
                raise InputError(f"{name} needs weights that tasks share, and sharing={kind} has none")
            if tasks < 2:
                raise InputError(f"{name} combines the gradients of several tasks, and there is only one")
            if self.training.batching != "joint":
                raise InputError(f"{name} needs all tasks in one step: --set training.batching=joint")
        if self.conditioning.prompting and not self.backbone.takes_prompt:
            raise InputError(f"backbone={self.backbone.kind_name()} takes no prompt: --set conditioning=task-id")
        if unseen:
            closed = next((part for part in (sharing, self.conditioning) if not part.open_to_unseen), None)
            if closed is not None:
                axis = "sharing" if closed is sharing else "conditioning"
                raise InputError(
                    f"{axis}={closed.kind_name()} has nothing for a task that was not learned; recipes dt, prompt-dt, "
                    "text-dt and g-harmodt have"
                )
            if stream.heads == "per-task":
                raise InputError("a task that was not learned has no head: --set stream.heads=shared")
            if self.training.normalise == "per-task":
                raise InputError(
                    "a task that was not learned has no statistics of its own: --set training.normalise=pooled"
                )
        if not sharing.needs_task and self.training.normalise == "per-task":
            raise InputError(
                f"sharing={kind} is not told the task, and normalisation per task would tell it: "
                "--set training.normalise=pooled"
            )
