"""Clients that do not answer, or not with something that can be used: named, and handled as the run was asked to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harmonia.core.errors import RunError
from harmonia.federate.messages import Job, Lost, Reply

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.federate.engines.base import Engine

POLICIES = ("abort", "drop", "retry")


def checked(answer: Reply | Lost, model: Tensor) -> Reply | Lost:
    """Return the answer, or that it cannot be used and why.

    Args:
        answer: of a client.
        model: (P,) the model that it was to train.
    """
    import torch

    if isinstance(answer, Lost):
        return answer
    why = None
    if answer.model.shape != model.shape:
        why = f"sent {tuple(answer.model.shape)} weights, not {tuple(model.shape)}"
    elif not bool(torch.isfinite(answer.model).all()):
        why = "sent weights that are not finite"
    elif bad := next((name for name, value in answer.up.items() if not bool(torch.isfinite(value).all())), None):
        why = f"sent {bad!r} with numbers that are not finite"
    elif not math.isfinite(answer.examples) or answer.examples < 1:
        why = f"says it has {answer.examples} examples"
    return answer if why is None else Lost(answer.slot, answer.client, answer.round, why)


def handled(engine: Engine, jobs: Sequence[Job], model: Tensor, policy: str) -> Iterator[Reply | Lost]:
    """Yield the answers to jobs, the lost ones handled by a policy.

    Args:
        engine: asks clients; what they keep is accepted with their answers.
        jobs: what they are asked.
        model: (P,) the model of the round.
        policy: ``abort`` ends the run, ``drop`` goes on without the client, ``retry`` asks it once more when the others
            have answered, and then drops it.

    Raises:
        RunError: a client is lost, and the policy is to abort; what was stored stays.
    """
    again = set()
    for answer in engine.run(jobs):
        found = checked(answer, model)
        if isinstance(found, Lost) and policy == "retry":
            again.add(found.client)
        elif isinstance(found, Lost) and policy == "abort":
            raise RunError(
                f"round {found.round}: client {found.client} {found.why}; go on without it: --resume --on-failure drop"
            )
        else:
            if isinstance(found, Reply):
                engine.accept(found)
            yield found
    if again:
        yield from handled(engine, [job for job in jobs if job.client in again], model, "drop")
