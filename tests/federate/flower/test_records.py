"""Jobs and replies survive Flower's wire bit for bit, and what is no reply is named."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.federate.flower.federation import Federation, recipe_of

from harmonia.core.errors import InputError
from harmonia.federate.flower.records import FACTS, MODEL, UP, JobPacker, pack_reply, unpack_job, unpack_reply
from harmonia.federate.messages import Job, Reply


def sent(content):
    """Return a record as it is after Flower's wire."""
    contents = {number: thing.deflate() for number, thing in get_all_nested_objects(content).items()}
    return inflate_object_from_contents(content.object_id, contents)


def bits(tensor):
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().numpy().tobytes()


shapes = st.sampled_from([(), (1,), (5,), (0,), (3, 2)])
dtypes = st.sampled_from([torch.float32, torch.float64, torch.bool, torch.int64])


@st.composite
def tensors(draw):
    shape, dtype = draw(shapes), draw(dtypes)
    raw = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (int(np.prod(shape)), 8), np.uint8)
    if dtype == torch.bool:
        return torch.from_numpy(np.asarray(raw[:, 0].reshape(shape) > 99))
    held = {torch.float32: np.float32, torch.float64: np.float64, torch.int64: np.int64}[dtype]
    return torch.from_numpy(np.ascontiguousarray(raw).view(held)[:, 0].reshape(shape).copy())  # any bits, NaN too


@settings(max_examples=40, deadline=None)
@given(tensors(), st.dictionaries(st.sampled_from(["control", "known", "momentum"]), tensors()))
def test_a_job_survives_the_wire_bit_for_bit(model, others):
    job = Job(2, 7, 11, model, others)
    asked = unpack_job(sent(JobPacker("recipe: text ü", 5).pack(job, 9)))
    assert (asked.job.slot, asked.job.client, asked.job.round) == (2, 7, 11)
    assert (asked.recipe, asked.seed, asked.known, asked.job.judge) == ("recipe: text ü", 5, 9, False)
    assert bits(asked.job.model) == bits(model)
    assert {name: bits(value) for name, value in asked.job.sent.items()} == {n: bits(v) for n, v in others.items()}


def test_that_a_client_is_to_judge_travels():
    job = Job(0, 0, 1, torch.zeros(1), {}, judge=True)
    assert unpack_job(sent(JobPacker("", 0).pack(job, 0))).job.judge


def test_views_travel_without_what_lies_around_them():
    whole = torch.arange(2000.0).reshape(2, 1000)
    content = JobPacker("", 0).pack(Job(0, 0, 1, whole[1, 5:9], {"t": whole.T[:3]}), 0)
    job = unpack_job(sent(content)).job
    assert torch.equal(job.model, whole[1, 5:9]) and torch.equal(job.sent["t"], whole.T[:3])
    assert len(content.array_records[MODEL][MODEL].data) < 300


def test_what_all_clients_get_is_written_out_once():
    packer, model = JobPacker("", 0), torch.ones(3)
    first, second = (packer.pack(Job(i, i, 1, model, {}), 0) for i in range(2))
    assert first.array_records[MODEL][MODEL].data is second.array_records[MODEL][MODEL].data
    packer.forget()
    model += 1
    assert unpack_job(packer.pack(Job(0, 0, 2, model, {}), 0)).job.model.tolist() == [2, 2, 2]


def plan_of(name):
    return Federation(recipe_of(name)).plan


def reply_of(plan, model=None, **changes):
    up = {name: torch.full(plan.size(name), 0.5) for name in plan.names("up")}
    first = torch.zeros(plan.sizes.shared) if model is None else model
    given = {"examples": 12, "steps": 3, "facts": {"loss": 0.1 + 0.2, "seconds": 1.5}, "up": up, **changes}
    return Reply(1, 4, 6, first, **given)


@pytest.mark.parametrize("name", ["fedavg", "scaffold", "fedmr"])
def test_a_reply_survives_the_wire_bit_for_bit(name):
    plan = plan_of(name)
    model = torch.randn(plan.sizes.shared, generator=torch.Generator().manual_seed(0))
    reply = reply_of(plan, model)
    found = unpack_reply(sent(pack_reply(reply)), Job(1, 4, 6, torch.zeros_like(model), {}), plan)
    assert bits(found.model) == bits(model)
    assert {n: bits(v) for n, v in found.up.items()} == {n: bits(v) for n, v in reply.up.items()}
    assert (found.slot, found.client, found.round) == (1, 4, 6)
    assert (found.examples, found.steps, found.facts) == (12, 3, reply.facts)


def test_plain_messages_hold_one_array_record_as_flowers_modifiers_ask():
    plan = plan_of("fedavg")
    job = JobPacker("", 0).pack(Job(0, 0, 1, torch.zeros(3), {}), 0)
    reply = pack_reply(reply_of(plan))
    assert [len(content.array_records) for content in (job, reply)] == [1, 1]
    assert list(job.array_records[MODEL]) == list(reply.array_records[MODEL])


def spoilt(change):
    plan = plan_of("scaffold")
    content = pack_reply(reply_of(plan))
    change(content)
    unpack_reply(content, Job(1, 4, 6, torch.zeros(plan.sizes.shared), {}), plan)


def put(record, name, value):
    return lambda content: content.array_records[record].__setitem__(name, Array(np.asarray(value)))


P = 59  # weights of the model of these tests


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.pop(MODEL), "sent what is not a reply (no 'model')"),
        (lambda c: c.pop(FACTS), "sent what is not a reply (no 'facts')"),
        (put(MODEL, MODEL, np.zeros(3, np.float32)), f"sent 'model' of shape (3,), not ({P},)"),
        (put(MODEL, MODEL, np.zeros(P)), "sent 'model' as torch.float64, not torch.float32"),
        (put(MODEL, MODEL, np.zeros(P, np.int64)), "sent 'model' as torch.int64, not torch.float32"),
        (put(MODEL, MODEL, np.full(P, np.nan, np.float32)), "sent 'model' with numbers that are not finite"),
        (put(UP, "control_change", np.float32(1)), f"sent 'control_change' of shape (), not ({P},)"),
        (put(UP, "control_change", np.full(P, np.inf)), "sent 'control_change' with numbers that are not finite"),
        (put(UP, "more", np.zeros(1)), "sent 'control_change', 'more' beside the model, not 'control_change'"),
        (lambda c: c.pop(UP), "sent nothing beside the model, not 'control_change'"),
        (lambda c: c[FACTS].__setitem__("examples", 0), "says it has 0 examples"),
        (lambda c: c[FACTS].__setitem__("steps", 1.5), "says it has 1.5 steps"),
        (lambda c: c[FACTS].__setitem__("fact.loss", [1.0]), "sent what is not a reply"),
    ],
)
def test_what_is_no_reply_is_named(change, said):
    with pytest.raises(InputError) as error:
        spoilt(change)
    assert str(error.value).startswith(said)


def test_bytes_that_are_no_array_are_refused_and_never_unpickled():
    bad = Array("float32", (1,), "numpy.ndarray", b"\x80\x04N.")
    content = RecordDict({MODEL: ArrayRecord({MODEL: bad}), FACTS: MetricRecord({"examples": 1, "steps": 1})})
    with pytest.raises(InputError, match="sent what is not a reply"):
        unpack_reply(content, Job(0, 0, 1, torch.zeros(1), {}), plan_of("fedavg"))


def test_what_is_no_job_is_named():
    with pytest.raises(InputError, match="a message that is not a job"):
        unpack_job(RecordDict())
