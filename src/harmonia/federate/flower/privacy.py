"""Differential privacy of clients, with Flower's own mathematics, and why a recipe does not permit it.

Both kinds release clipped changes of the model under Gaussian noise and nothing else; so a recipe may not send more
than the model, and nothing that tells how many examples a client has. What is protected is a client as a whole: that
its change was this one, and not nought (central) or any other one (local).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from flwr.app import Context, Message, MetricRecord
from flwr.clientapp.mod import LocalDpMod
from flwr.clientapp.typing import ClientAppCallable
from flwr.supercore.differential_privacy import (
    add_gaussian_noise_inplace,
    compute_clip_model_update,
    compute_stdv,
)

from harmonia.core.errors import InputError
from harmonia.federate.coordinator import Coordinator
from harmonia.federate.engines.base import Engine
from harmonia.federate.flower.records import FACTS, SENT
from harmonia.federate.messages import Job, Lost, Reply
from harmonia.federate.planner import Plan
from harmonia.federate.server.base import ServerStep

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CentralPrivacy:
    """The server, which is trusted, clips each client's change and adds noise to their average.

    Noise of standard deviation z C / m, for m answers (arXiv 1710.06963): Flower's fixed clipping at the server. What
    clients report of their training (loss, drift, seconds) reaches the server as it is: do not publish it.

    Attributes:
        noise_multiplier: z > 0.
        clipping_norm: C > 0, longest change of a client.

    Raises:
        InputError: a number out of its range.
    """

    noise_multiplier: float
    clipping_norm: float

    def __post_init__(self) -> None:
        _positive(noise_multiplier=self.noise_multiplier, clipping_norm=self.clipping_norm)

    def request(self) -> dict[str, float]:
        """Return the settings as a record."""
        return asdict(self)

    def guard(self, engine: Engine, coordinator: Coordinator) -> Engine:
        """Return the engine with clipped answers, and let the coordinator add noise to every average.

        Raises:
            InputError: the recipe does not permit it.
        """
        if why := central_refusal(coordinator.plan):
            raise InputError(why)
        coordinator.step = _NoisyStep(coordinator.step, self)
        return _Clipping(engine, self.clipping_norm)

    def epsilon(self, rounds: int, delta: float) -> float:
        """Return epsilon after a client took part so often."""
        return epsilon_of(self.noise_multiplier, rounds, delta)


@dataclass(frozen=True)
class LocalPrivacy:
    """Flower's modifier for local privacy, for a client's train function: clip, then noise, before anything is sent.

    Two changes of length C at most are at most 2 C apart, which is the sensitivity; the noise has the standard
    deviation 2 C sqrt(2 ln(1.25 / delta)) / epsilon, per participation. How many examples a client has and how well
    it trained is left out of its reply.

    Attributes:
        clipping_norm: C > 0.
        epsilon: of one participation, 0 < epsilon < 1, where this mechanism's proof holds.
        delta: 0 < delta < 1.

    Raises:
        InputError: a number out of its range.
    """

    clipping_norm: float
    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        _positive(clipping_norm=self.clipping_norm)
        for name, value in (("epsilon", self.epsilon), ("delta", self.delta)):
            if not 0 < value < 1:
                raise InputError(f"{name}={value}: the Gaussian mechanism holds for a number between 0 and 1")

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """Modify the reply of a client."""
        # what comes down beside the model does no harm, but Flower's modifier wants to see the model alone
        sent = message.content.pop(SENT, None)

        def train(asked: Message, known: Context) -> Message:
            if sent is not None:
                asked.content[SENT] = sent
            return call_next(asked, known)

        modifier = LocalDpMod(self.clipping_norm, 2 * self.clipping_norm, self.epsilon, self.delta)
        reply = modifier(message, context, train)
        if reply.has_content():
            steps = reply.content.metric_records[FACTS]["steps"]
            reply.content[FACTS] = MetricRecord({"examples": 1, "steps": steps})
        return reply

    @property
    def noise_multiplier(self) -> float:
        """Standard deviation of the noise over the sensitivity."""
        return math.sqrt(2 * math.log(1.25 / self.delta)) / self.epsilon

    def total_epsilon(self, participations: int, delta: float) -> float:
        """Return epsilon after a client took part so often."""
        return epsilon_of(self.noise_multiplier, participations, delta)


def local_refusal(plan: Plan) -> str | None:
    """Return why a recipe does not permit local privacy; None if it does."""
    recipe = plan.recipe
    if more := _sent_besides(plan):
        return f"local privacy covers the model, and {more}"
    if recipe.weight.kind_name() != "uniform":
        return f"local privacy hides how many examples a client has, which {_weight(plan)} needs: --set weight=uniform"
    if recipe.training.steps is None:
        return (
            "local privacy hides how many examples a client has, which the steps of training.epochs would tell: "
            "--set training.steps=K"
        )
    return None


def central_refusal(plan: Plan) -> str | None:
    """Return why a recipe does not permit central privacy; None if it does."""
    recipe = plan.recipe
    if recipe.schedule.relays:
        return f"{_relay(plan)} as it is, so there is no average to add noise to: --set schedule=every"
    if more := _sent_besides(plan):
        return f"central privacy covers the average of the models, and {more}"
    if recipe.weight.kind_name() != "uniform":
        return f"central privacy bounds what one client changes, which {_weight(plan)} does not: --set weight=uniform"
    if recipe.drift.needs.server and recipe.training.steps is None:
        return (
            f"drift={recipe.drift.kind_name()} divides by the mean number of steps, which tells the clients' sizes: "
            "--set training.steps=K"
        )
    return None


def secure_aggregation_refusal(plan: Plan) -> str:
    """Return why the sum of the models cannot be taken without the server seeing each."""
    if plan.recipe.schedule.relays:
        return f"{_relay(plan)}, so the server must see single models: no secure aggregation"
    if plan.names("up"):
        names = ", ".join(plan.names("up"))
        return f"clients send {names} beside the model, each of which the server reads: no secure aggregation"
    if plan.recipe.weight.kind_name() == "nova":
        return "weight=nova divides every client's change by its own steps at the server: no secure aggregation"
    return "Flower's Message API has no secure aggregation yet; use local or central differential privacy"


def epsilon_of(noise_multiplier: float, releases: int, delta: float) -> float:
    """Return the epsilon of so many Gaussian releases at a delta, exactly (Balle and Wang 2018, arXiv 1805.06530).

    Args:
        noise_multiplier: standard deviation over sensitivity.
        releases: how many; together they are one release with the noise divided by the root of their number.
        delta: 0 < delta < 1.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if not 0 < delta < 1 or releases < 1:
        raise InputError(f"delta={delta}, releases={releases}: between 0 and 1, and at least 1, are needed")
    mu = math.sqrt(releases) / noise_multiplier

    def excess(epsilon: float) -> float:
        high = norm.logcdf(-mu / 2 - epsilon / mu) + epsilon
        return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(min(high, 0.0)) - delta)

    if excess(0.0) <= 0:
        return 0.0
    # delta(epsilon) <= exp(-(epsilon / mu - mu / 2)^2 / 2)
    most = mu * (mu / 2 + math.sqrt(2 * math.log(1 / delta))) + 1
    return float(brentq(excess, 0.0, most))


class _Clipping:
    """An engine whose answers are no further from what was sent than the clipping norm."""

    def __init__(self, engine: Engine, clipping_norm: float) -> None:
        self.engine, self.clipping_norm = engine, clipping_norm

    @property
    def examines(self) -> bool:
        return self.engine.examines

    def run(self, jobs: Sequence[Job]) -> Iterator[Reply | Lost]:
        models = {job.slot: job.model for job in jobs}
        for answer in self.engine.run(jobs):
            yield answer if isinstance(answer, Lost) else self._clipped(answer, models[answer.slot])

    def accept(self, reply: Reply) -> None:
        self.engine.accept(reply)

    def close(self) -> None:
        self.engine.close()

    def _clipped(self, reply: Reply, sent: Tensor) -> Reply:
        if torch.equal(reply.model, sent):  # Flower would divide by the length of no change
            return reply
        model = [reply.model.numpy()]
        compute_clip_model_update(model, [sent.numpy()], self.clipping_norm)
        return replace(reply, model=torch.from_numpy(model[0]))


class _NoisyStep(ServerStep):
    """A server's step from an average under noise; whatever it does with the average is covered by the noise."""

    def __init__(self, step: ServerStep, privacy: CentralPrivacy) -> None:
        self.inner, self.privacy = step, privacy

    @property
    def state(self) -> dict[str, Tensor]:  # type: ignore[override]
        return self.inner.state

    def step(self, model: Tensor, average: Tensor, active: int, clients: int) -> Tensor:
        noisy = [np.array(average.numpy())]
        deviation = compute_stdv(self.privacy.noise_multiplier, self.privacy.clipping_norm, active)
        add_gaussian_noise_inplace(noisy, deviation)
        return self.inner.step(model, torch.from_numpy(noisy[0]), active, clients)


def _positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(f"{name}={value}: a number above 0 is needed")


def _relay(plan: Plan) -> str:
    return f"schedule={plan.recipe.schedule.kind_name()} relays one client's model to another"


def _weight(plan: Plan) -> str:
    return f"weight={plan.recipe.weight.kind_name()}"


def _sent_besides(plan: Plan) -> str | None:
    """Return which part sends what beside the model; None if none does."""
    for axis, part in plan.recipe.choices().items():
        names = [item.name for item in getattr(part, "needs", plan.needs.__class__()).up]
        if names:
            return f"{axis}={part.kind_name()} also sends {', '.join(names)}"
    return None
