"""Jobs and replies as Flower's records: a few named arrays, bit for bit.

A record that would be empty is left out, so that a plain recipe's message holds one array record, the model, which is
what Flower's own modifiers ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from harmonia.core.errors import InputError
from harmonia.federate.messages import Job, Reply
from harmonia.federate.planner import Plan

if TYPE_CHECKING:
    from torch import Tensor

MODEL, SENT, UP, JOB, FACTS = "model", "sent", "up", "job", "facts"
"""Names of the records; the array of the model's record is called ``model`` too."""
FACT = "fact."


@dataclass(frozen=True)
class Asked:
    """What a client reads from a job's message.

    Attributes:
        job: what to train from.
        recipe: how to train, as YAML.
        seed: of the run.
        known: round of the client's last reply that the server took in; 0 for none.
    """

    job: Job
    recipe: str
    seed: int
    known: int


class JobPacker:
    """Packs the jobs of a run; what is sent to several clients is written out once.

    Args:
        recipe: as YAML.
        seed: of the run.
    """

    def __init__(self, recipe: str, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        self._written: dict[int, tuple[Tensor, Array]] = {}

    def pack(self, job: Job, known: int) -> RecordDict:
        """Return a job as records.

        Args:
            job: to pack.
            known: round of the client's last reply that was taken in; 0 for none.
        """
        content = RecordDict({MODEL: ArrayRecord({MODEL: self._array(job.model)})})
        if job.sent:
            content[SENT] = ArrayRecord({name: self._array(value) for name, value in job.sent.items()})
        told = {"round": job.round, "slot": job.slot, "client": job.client, "judge": job.judge, "known": known}
        content[JOB] = ConfigRecord({**told, "seed": self.seed, "recipe": self.recipe})
        return content

    def forget(self) -> None:
        """Let go of the arrays of a round."""
        self._written = {}

    def _array(self, value: Tensor) -> Array:
        if id(value) not in self._written:
            self._written[id(value)] = value, Array(value)
        return self._written[id(value)][1]


def unpack_job(content: RecordDict) -> Asked:
    """Return what a client is asked to do.

    Raises:
        InputError: the message is not a job.
    """
    try:
        told: dict[str, Any] = dict(content.config_records[JOB])
        round, slot, client, known, seed = (int(told[key]) for key in ("round", "slot", "client", "known", "seed"))
        model = _tensors(content.array_records[MODEL])[MODEL]
        sent = _tensors(content.array_records[SENT]) if SENT in content.array_records else {}
        return Asked(Job(slot, client, round, model, sent, bool(told["judge"])), str(told["recipe"]), seed, known)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"was sent a message that is not a job ({_said(error)}); use one version everywhere"
        ) from error


def pack_reply(reply: Reply) -> RecordDict:
    """Return a reply as records."""
    content = RecordDict({MODEL: ArrayRecord({MODEL: Array(reply.model)})})
    if reply.up:
        content[UP] = ArrayRecord({name: Array(value) for name, value in reply.up.items()})
    facts = {FACT + name: float(value) for name, value in reply.facts.items()}
    content[FACTS] = MetricRecord({"examples": reply.examples, "steps": reply.steps, **facts})
    return content


def unpack_reply(content: RecordDict, job: Job, plan: Plan) -> Reply:
    """Return a client's reply; whose it is, is known from the job, whatever the client says.

    Raises:
        InputError: it cannot be used; the message says why and goes after the client's name.
    """
    try:
        facts: dict[str, Any] = dict(content.metric_records[FACTS])
        model = _tensors(content.array_records[MODEL])[MODEL]
        up = _tensors(content.array_records[UP]) if UP in content.array_records else {}
        examples, steps = facts.pop("examples"), facts.pop("steps")
        told = {name.removeprefix(FACT): float(value) for name, value in facts.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"sent what is not a reply ({_said(error)})") from error
    _check(f"{MODEL!r}", model, tuple(job.model.shape), job.model.dtype)
    names = set(plan.names("up"))
    if set(up) != names:
        raise InputError(f"sent {_listed(up)} beside the model, not {_listed(names)}")
    for name, value in up.items():
        _check(repr(name), value, plan.size(name), None)
    for what, number in (("examples", examples), ("steps", steps)):
        if not isinstance(number, int) or number < 1:
            raise InputError(f"says it has {number} {what}")
    return Reply(job.slot, job.client, job.round, model, up, examples, steps, told)


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> ArrayRecord:
    """Return named arrays as a record."""
    return ArrayRecord({name: Array(np.asarray(value)) for name, value in arrays.items()})


def unpack_arrays(record: ArrayRecord) -> dict[str, np.ndarray]:
    """Return the arrays of a record by name."""
    return {name: value.numpy() for name, value in record.items()}


def _tensors(record: ArrayRecord) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in unpack_arrays(record).items()}


def _check(name: str, value: Tensor, shape: tuple[int, ...], dtype: torch.dtype | None) -> None:
    if tuple(value.shape) != shape:
        raise InputError(f"sent {name} of shape {tuple(value.shape)}, not {shape}")
    if dtype is not None and value.dtype != dtype:
        raise InputError(f"sent {name} as {value.dtype}, not {dtype}")
    if not bool(torch.isfinite(value).all()):
        raise InputError(f"sent {name} with numbers that are not finite")


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(map(repr, found)) if found else "nothing"
