"""What travels: a job to a client, and its reply. Flat named arrays, whatever carries them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Job:
    """What a client is sent.

    Attributes:
        slot: number of the model on its way.
        client: number of the client.
        round: from 1.
        model: (P,) the shared coordinates.
        sent: what else the parts of the recipe send, by name.
        judge: whether the client is to judge what comes of its training on its own test examples; nothing of it counts.
    """

    slot: int
    client: int
    round: int
    model: Tensor
    sent: dict[str, Tensor]
    judge: bool = False


@dataclass(frozen=True)
class Reply:
    """What a client sends back.

    Attributes:
        slot, client, round: of the job.
        model: (P,) the shared coordinates after local training.
        up: what else the parts send, by name.
        examples: n_i.
        steps: K_i, local steps taken.
        facts: loss, drift and seconds of the local training, and what was judged at the client, by name.
    """

    slot: int
    client: int
    round: int
    model: Tensor
    up: dict[str, Tensor]
    examples: int
    steps: int
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Lost:
    """A client that did not answer, or not with something that can be used.

    Attributes:
        slot, client, round: of the job.
        why: one line.
    """

    slot: int
    client: int
    round: int
    why: str
