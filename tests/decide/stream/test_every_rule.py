"""What holds for all stream rules: they resume exactly, and guard better than plain finetuning."""

import numpy as np
import pytest
import torch

from harmonia.decide import checkpoint
from harmonia.decide.stream.agem import AGEM
from harmonia.decide.stream.er import ER
from harmonia.decide.stream.ewc import EWC
from harmonia.decide.stream.finetune import Finetune
from harmonia.decide.stream.joint import Joint
from harmonia.decide.stream.l2 import L2
from harmonia.decide.stream.lwf import LwF
from harmonia.decide.stream.mas import MAS
from harmonia.decide.stream.rwalk import RWalk

SEQUENTIAL = [Finetune, L2, EWC, MAS, RWalk, LwF, ER, AGEM]


def test_the_axis():
    assert not Joint.sequential and Joint().heads == "shared"
    assert all(part.sequential and part().heads == "per-task" for part in SEQUENTIAL)
    kinds = [part.kind_name() for part in (Joint, *SEQUENTIAL)]
    assert kinds == ["joint", "finetune", "l2", "ewc", "mas", "rwalk", "lwf", "er", "agem"]
    assert all(part.model_validate({"kind": part.kind_name(), "heads": "shared"}) for part in SEQUENTIAL)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("part", [*SEQUENTIAL, lambda: RWalk(fisher="running"), lambda: EWC(clip_covers="all")])
def test_a_rule_that_is_stored_and_restored_goes_on_as_if_nothing_had_happened(part, heads, make, train, tmp_path):
    """Stopped in the middle of the second task, after the first, and before anything."""

    def resumed(toy, learner, rule):
        other = toy.learner()
        again = part().start(other, toy.around)
        checkpoint.write(tmp_path / "state", {"learner": learner.state(), "stream": rule.state()}, {})
        parts, _ = checkpoint.read(tmp_path / "state")
        other.restore(parts["learner"])
        again.restore(parts.get("stream", {}))
        return other, again

    def run(stops):
        toy = make(heads=heads)
        learner = toy.learner()
        rule = part().start(learner, toy.around)
        for task in range(3):
            for start in (0, 6):
                if (task, start) in stops:
                    learner, rule = resumed(toy, learner, rule)
                plain = torch.optim.SGD([learner.vector.requires_grad_(True)], lr=0.01)
                train(toy, learner, rule, task, 6, start=start, optimiser=plain)
            rule.end_task(task)
        return learner.vector, rule.state()

    vector, state = run([])
    for stops in ([(0, 0)], [(0, 6)], [(1, 0)], [(1, 6)], [(0, 6), (1, 6), (2, 0)]):
        other, kept = run(stops)
        assert torch.equal(vector, other)
        assert state.keys() == kept.keys() and all(np.array_equal(state[k], kept[k]) for k in state)


@pytest.mark.parametrize("part", SEQUENTIAL)
def test_what_is_kept_is_a_copy(part, toy, train):
    learner = toy.learner()
    rule = part().start(learner, toy.around)
    train(toy, learner, rule, 0, 3)
    rule.end_task(0)
    kept = rule.state()
    before = {name: a.copy() for name, a in kept.items()}
    train(toy, learner, rule, 1, 3)
    rule.end_task(1)
    assert all(np.array_equal(kept[name], before[name]) for name in kept)


def forgotten(make, train, part):
    """Return the rise of task 0's error while task 1 is learned, and task 1's error."""
    toy = make()
    learner = toy.learner()
    rule = part.start(learner, toy.around)
    train(toy, learner, rule, 0, 300)
    rule.end_task(0)
    first = toy.error(learner, 0)
    train(toy, learner, rule, 1, 300)
    rule.end_task(1)
    return toy.error(learner, 0) - first, toy.error(learner, 1)


def test_finetuning_forgets_and_guards_forget_less(make, train):
    lost, learned = forgotten(make, train, Finetune())
    assert lost > 0.1 and learned < 0.05
    guards = {
        "l2": (L2(lam=0.03), 0.8),
        "ewc": (EWC(lam=100), 0.6),
        "mas": (MAS(lam=0.1), 0.6),
        "rwalk": (RWalk(lam=1), 0.6),
        "lwf": (LwF(), 0.1),
        "er": (ER(), 0.1),
        "agem": (AGEM(), 0.6),
    }
    for name, (part, share) in guards.items():
        rise, error = forgotten(make, train, part)
        assert rise < share * lost and error < 0.1, (name, rise / lost, error)


def test_replay_through_the_newest_head_guards_less_than_through_its_own(make, train):
    own, newest = (forgotten(make, train, ER(replay_head=head)) for head in ("own", "newest"))
    assert own[0] < newest[0] / 2 and own[1] < newest[1] / 2
