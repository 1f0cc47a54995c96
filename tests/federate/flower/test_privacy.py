"""Clipping and noise as they are promised, what they cost, and the recipes that do not permit them."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

import numpy as np
import torch
from flwr.app import Context, Message, RecordDict
from scipy.stats import norm
from tests.federate.flower.federation import Federation, LocalGrid, recipe_of

from harmonia.core.errors import InputError
from harmonia.federate.flower.client_app import client_app
from harmonia.federate.flower.privacy import (
    CentralPrivacy,
    LocalPrivacy,
    central_refusal,
    epsilon_of,
    local_refusal,
    secure_aggregation_refusal,
)
from harmonia.federate.flower.records import FACTS, MODEL, JobPacker, pack_reply
from harmonia.federate.messages import Job, Lost, Reply

UNIFORM, STEPS = "weight=uniform", "training.steps=4"


def plan_of(name, *settings):
    return Federation(recipe_of(name, *settings)).plan


# -- which recipes permit it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedsam", "fedadam", "feddyn", "fedcm", "fedgela", "fedrep"])
def test_recipes_that_send_the_model_alone_permit_both(name):
    plan = plan_of(name, STEPS, *([] if name == "feddyn" else [UNIFORM]))
    assert local_refusal(plan) is None and central_refusal(plan) is None


@pytest.mark.parametrize(
    ("refusal", "name", "settings", "said"),
    [
        (local_refusal, "fedavg", [STEPS], "which weight=examples needs: --set weight=uniform"),
        (local_refusal, "fedavg", [UNIFORM], "training.epochs would tell: --set training.steps=K"),
        (local_refusal, "scaffold", [STEPS], "covers the model, and drift=scaffold also sends control_change"),
        (central_refusal, "fedavg", [], "which weight=examples does not: --set weight=uniform"),
        (central_refusal, "fednova", [], "which weight=nova does not"),
        (central_refusal, "fedskip", [UNIFORM], "schedule=skip relays one client's model to another as it is"),
        (central_refusal, "fedmr", [UNIFORM], "and loss=mr also sends class_sums, class_counts"),
        (central_refusal, "fedsmoo", [], "and perturb=smoo also sends ascent_dual"),
        (central_refusal, "fedcm", [UNIFORM], "drift=momentum divides by the mean number of steps"),
    ],
)
def test_others_say_why_not(refusal, name, settings, said):
    assert said in refusal(plan_of(name, *settings))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fedskip", "schedule=skip relays one client's model to another, so the server must see single models"),
        ("scaffold", "clients send control_change beside the model"),
        ("fednova", "weight=nova divides every client's change by its own steps"),
        ("fedavg", "Flower's Message API has no secure aggregation yet"),
    ],
)
def test_secure_aggregation_is_refused_with_its_reason(name, said):
    assert said in secure_aggregation_refusal(plan_of(name))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CentralPrivacy(0.0, 1.0), "noise_multiplier=0.0"),
        (lambda: CentralPrivacy(1.0, float("inf")), "clipping_norm=inf"),
        (lambda: LocalPrivacy(-1.0, 0.5, 1e-5), "clipping_norm=-1.0"),
        (lambda: LocalPrivacy(1.0, 1.0, 1e-5), "epsilon=1.0"),
        (lambda: LocalPrivacy(1.0, 0.5, 0.0), "delta=0.0"),
        (lambda: epsilon_of(1.0, 0, 1e-5), "releases=0"),
    ],
)
def test_numbers_out_of_range_are_named(make, said):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value).startswith(said) or said in str(error.value)


# -- central -----------------------------------------------------------------------------------------------------------


def one_round(federation, privacy=None, mods=()):
    """Return (before, after, answers) of a round."""
    grid = LocalGrid.of(federation)
    grid.app = client_app(federation.load, mods=mods)
    engine, coordinator = federation.engine(grid), federation.coordinator(1)
    if privacy is not None:
        engine = privacy.guard(engine, coordinator)
    before, answers = coordinator.model.clone(), []

    def heard():
        for answer in engine.run(coordinator.jobs()):
            answers.append(answer)
            yield answer

    coordinator.take(heard())
    return before, coordinator.model, answers


def test_a_change_longer_than_the_norm_is_cut_to_it_and_keeps_its_direction():
    federation = Federation(recipe_of("fedavg", UNIFORM))
    before, _, free = one_round(federation)
    _, _, clipped = one_round(federation, CentralPrivacy(1e-9, 0.05))
    for one, other in zip(free, clipped, strict=True):
        long, short = one.model - before, other.model - before
        assert long.norm() > 0.05 and short.norm() == pytest.approx(0.05, rel=1e-4)
        assert torch.nn.functional.cosine_similarity(long, short, dim=0) > 0.9999


def test_without_noise_and_with_a_long_norm_nothing_changes():
    federation = Federation(recipe_of("fedavg", UNIFORM))
    plain, private = one_round(federation)[1], one_round(federation, CentralPrivacy(1e-12, 1e3))[1]
    assert torch.allclose(plain, private, atol=1e-6)


def test_a_client_that_did_not_move_is_let_through():
    federation = Federation(recipe_of("fedavg", UNIFORM, "training.learning_rate=1e-30"))
    before, _, answers = one_round(federation, CentralPrivacy(1e-12, 1.0))
    assert all(torch.equal(answer.model, before) for answer in answers)


def test_the_average_carries_noise_of_the_promised_size():
    coordinator = Federation(recipe_of("fedavg", UNIFORM)).coordinator(1)
    CentralPrivacy(2.0, 0.05).guard(None, coordinator)
    before, average = torch.zeros(100_000), torch.linspace(-1, 1, 100_000)
    noise = coordinator.step.step(before, average, active=5, clients=9) - average
    promised = 2.0 * 0.05 / 5
    assert float(noise.std()) == pytest.approx(promised, rel=0.02)
    assert abs(float(noise.mean())) < 5 * promised / len(noise) ** 0.5
    assert abs(float(torch.corrcoef(torch.stack([noise, average]))[0, 1])) < 0.02


def test_a_servers_state_is_kept_under_noise():
    federation = Federation(recipe_of("fedadam", UNIFORM))
    coordinator = federation.coordinator(2)
    engine = CentralPrivacy(1e-9, 1.0).guard(federation.engine(LocalGrid.of(federation)), coordinator)
    federation.take(coordinator, engine)
    stored = {name: value.copy() for name, value in coordinator.state().items()}
    assert any(name.startswith("step.") for name in stored)
    again = federation.coordinator(2)
    CentralPrivacy(1e-9, 1.0).guard(engine, again)
    again.restore(stored)
    assert {n: v.tolist() for n, v in again.state().items()} == {n: v.tolist() for n, v in stored.items()}


def test_a_recipe_that_does_not_permit_it_is_refused():
    federation = Federation(recipe_of("scaffold"))
    with pytest.raises(InputError, match="drift=scaffold also sends"):
        CentralPrivacy(1.0, 1.0).guard(federation.engine(LocalGrid.of(federation)), federation.coordinator(1))


# -- local -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fedavg", "fedcm"])  # one of them is sent more than the model
def test_a_client_trains_as_ever_and_says_no_more_than_its_model(name):
    federation = Federation(recipe_of(name, UNIFORM, STEPS))
    short = LocalPrivacy(1e-6, 0.9, 1e-5)  # so short that neither change nor noise is left
    before, _, answers = one_round(federation, mods=[short])
    assert not any(isinstance(answer, Lost) for answer in answers)
    assert {(answer.examples, answer.steps, tuple(answer.facts)) for answer in answers} == {(1, 4, ())}
    assert all(float((answer.model - before).norm()) < 1e-3 for answer in answers)


def test_a_reply_carries_noise_of_the_promised_size():
    LocalGrid(None, {})  # says who sends, as Flower's runtimes do
    before, change = torch.zeros(100_000), torch.full((100_000,), 3.0)
    job = Message(JobPacker("", 0).pack(Job(0, 0, 1, before, {}), 0), 1, "train")

    def train(message, context):
        return Message(pack_reply(Reply(0, 0, 1, before + change, {}, 31, 4, {"loss": 1.0})), reply_to=message)

    reply = LocalPrivacy(0.05, 0.9, 1e-5)(job, Context(1, 1, {}, RecordDict(), {}), train)
    noise = torch.from_numpy(reply.content[MODEL][MODEL].numpy()) - 0.05 / change.norm() * change
    promised = 2 * 0.05 * np.sqrt(2 * np.log(1.25e5)) / 0.9
    assert float(noise.std()) == pytest.approx(promised, rel=0.02)
    assert abs(float(noise.mean())) < 5 * promised / len(noise) ** 0.5
    assert dict(reply.content[FACTS]) == {"examples": 1, "steps": 4}


def test_local_noise_is_more_than_its_epsilon_needs():
    privacy = LocalPrivacy(1.0, 0.5, 1e-5)
    assert privacy.total_epsilon(1, 1e-5) <= 0.5


# -- what it costs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("multiplier", "releases", "delta"), [(1.0, 1, 1e-5), (1.1, 50, 1e-5), (5.0, 3, 1e-3), (20.0, 1, 1e-6)]
)
def test_epsilon_solves_the_exact_equation(multiplier, releases, delta):
    epsilon = epsilon_of(multiplier, releases, delta)
    mu = np.sqrt(releases) / multiplier
    found = norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon + norm.logcdf(-mu / 2 - epsilon / mu))
    assert found == pytest.approx(delta, rel=1e-3)
    rho = mu**2 / 2
    assert epsilon < rho + 2 * np.sqrt(rho * np.log(1 / delta))  # concentrated privacy's bound is above


def test_epsilon_is_no_less_for_more_releases_and_no_more_for_more_noise():
    by_rounds = [epsilon_of(1.0, rounds, 1e-5) for rounds in (1, 2, 10, 100, 1000)]
    by_noise = [epsilon_of(z, 10, 1e-5) for z in (0.5, 1, 2, 4, 100)]
    assert by_rounds == sorted(by_rounds) and by_noise == sorted(by_noise, reverse=True)


def test_noise_that_alone_meets_delta_costs_nothing():
    assert epsilon_of(1e9, 1, 1e-5) == 0.0
