"""L2, EWC, MAS and RWalk: springs to where the last task ended."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from harmonia.decide.stream.ewc import EWC
from harmonia.decide.stream.finetune import Finetune
from harmonia.decide.stream.importance import fisher, loss_sensitivity, output_sensitivity
from harmonia.decide.stream.l2 import L2
from harmonia.decide.stream.mas import MAS
from harmonia.decide.stream.rwalk import RWalk

PENALTIES = [L2, EWC, MAS, RWalk]


def per_window_gradients(toy, learner, task, windows, loss):
    """One backward per window, as the definition says."""
    found = []
    for b in range(windows.valid.shape[1]):
        leaf = learner.vector.detach().clone().requires_grad_(True)
        one = type(windows)(**{k: getattr(windows, k)[:, b : b + 1] for k in vars(windows) if k != "prompt"})
        found.append(torch.autograd.grad(loss(leaf, task, one), leaf)[0][learner.common])
    return torch.stack(found)


def test_importances_agree_with_one_backward_per_window(toy):
    learner = toy.learner()
    windows = toy.draw([1], 9, "importance", 0)

    def loss(leaf, task, one):
        return learner.losses(leaf, [task], one).sum()

    def length(leaf, task, one):
        actions = learner.actions(leaf, [task], one)
        return (actions.square().sum(dim=-1) * one.valid).sum() / one.valid.sum()

    g, s = (per_window_gradients(toy, learner, 1, windows, f) for f in (loss, length))
    torch.testing.assert_close(fisher(learner, 1, windows), g.square().mean(dim=0))
    torch.testing.assert_close(fisher(learner, 1, windows, "batch"), g.mean(dim=0).square())
    torch.testing.assert_close(loss_sensitivity(learner, 1, windows), g.abs().mean(dim=0))
    torch.testing.assert_close(output_sensitivity(learner, 1, windows), s.abs().mean(dim=0))
    assert fisher(learner, 1, windows, "batch").sum() < fisher(learner, 1, windows).sum() / 2


def test_importances_of_a_decision_transformer_with_prompts_and_heads(make):
    """Windows with and without padding take different ways through attention; the mean must not notice."""
    from harmonia.models.decision_transformer import DecisionTransformer
    from harmonia.models.flat import FlatNetwork

    toy = make(prompt=True)
    torch.manual_seed(0)
    toy.setting.network = FlatNetwork(DecisionTransformer(6, 2, prompt=True, width=16, layers=2, heads=2, timesteps=4))
    learner = toy.learner()
    windows = toy.draw([1], 6, "importance", 0)

    def one_by_one(leaf, task, b):
        pick = lambda w: type(w)(**{k: v[:, b : b + 1] for k, v in vars(w).items() if k != "prompt"})  # noqa: E731
        one = type(windows)(**{**vars(pick(windows)), "prompt": pick(windows.prompt)})
        return learner.losses(leaf, [task], one).sum()

    toy.setting.network.module.eval()
    found = []
    for b in range(6):
        leaf = learner.vector.clone().requires_grad_(True)
        found.append(torch.autograd.grad(one_by_one(leaf, 1, b), leaf)[0][learner.common])
    expected = torch.stack(found).square().mean(dim=0)
    torch.testing.assert_close(fisher(learner, 1, windows), expected, rtol=1e-3, atol=1e-6 * expected.max().item())


def test_the_sensitivity_of_outputs_needs_no_targets(toy):
    learner = toy.learner()
    windows = toy.draw([0], 5, "importance", 0)
    other = type(windows)(**{**vars(windows), "actions": windows.actions + 7})
    assert torch.equal(output_sensitivity(learner, 0, windows), output_sensitivity(learner, 0, other))
    assert not torch.equal(loss_sensitivity(learner, 0, windows), loss_sensitivity(learner, 0, other))


def test_importances_are_measured_without_dropout_and_leave_the_mode_as_it_was(make):
    toy = make(dropout=0.5)
    learner, module = toy.learner(), toy.setting.network.module
    windows = toy.draw([0], 8, "importance", 0)
    module.train()
    assert torch.equal(fisher(learner, 0, windows), fisher(learner, 0, windows))
    assert module.training


@pytest.mark.parametrize("part", PENALTIES)
def test_strength_zero_is_finetuning_bit_by_bit(part, make, train):
    def trained(stream):
        toy = make()
        learner = toy.learner()
        rule = stream.start(learner, toy.around)
        for task in (0, 1):
            train(toy, learner, rule, task, 20)
            rule.end_task(task)
        return learner.vector

    assert torch.equal(trained(part(lam=0)), trained(Finetune()))


@pytest.mark.parametrize("part", PENALTIES)
def test_nothing_pulls_before_the_first_task_is_finished(part, toy):
    rule = part().start(toy.learner(), toy.around)
    windows = toy.draw([0], 4, "train", 0)
    gradient = torch.ones_like(rule.learner.vector)
    assert rule.gradient(rule.learner.vector + 1, gradient, 0, 0) is gradient
    assert rule.loss(rule.learner.vector, 0, windows) is None


@pytest.mark.parametrize("part", PENALTIES)
def test_the_pull_is_the_gradient_of_the_quadratic_and_spares_the_heads(part, toy, train):
    learner = toy.learner()
    rule = part(lam=3.0).start(learner, toy.around)
    train(toy, learner, rule, 0, 10)
    rule.end_task(0)
    away = learner.vector + torch.linspace(-1, 1, len(learner.vector))
    leaf = away.clone().requires_grad_(True)
    weight = torch.ones(learner.common.stop) if rule.importance is None else rule.importance
    penalty = 1.5 * (weight * (leaf[learner.common] - learner.vector[learner.common]).square()).sum()
    expected = torch.autograd.grad(penalty, leaf)[0]
    found = rule.gradient(away, torch.zeros_like(away), 1, 0)
    torch.testing.assert_close(found, expected)
    assert (found[learner.common.stop :] == 0).all()
    assert (rule.gradient(learner.vector, torch.zeros_like(away), 1, 0) == 0).all()


def test_clipping_all_puts_the_penalty_into_the_loss_and_clipping_data_does_not(toy):
    learner = toy.learner()
    windows = toy.draw([1], 4, "train", 0)
    rules = {clip: L2(lam=2.0, clip_covers=clip).start(learner, toy.around) for clip in ("data", "all")}
    for rule in rules.values():
        rule.end_task(0)
    moved = (learner.vector + 0.5).requires_grad_(True)
    gradient = torch.ones_like(moved)
    assert rules["data"].loss(moved, 1, windows) is None
    assert rules["all"].gradient(moved.detach(), gradient, 1, 0) is gradient
    added = rules["all"].loss(moved, 1, windows)
    assert added.item() == pytest.approx(0.25 * learner.common.stop)
    inside = torch.autograd.grad(added, moved)[0]
    torch.testing.assert_close(inside, rules["data"].gradient(moved.detach(), gradient, 1, 0) - gradient)


def test_l2_follows_its_closed_form_and_diverges_beyond_rate_times_strength_two(toy):
    """Without data, gradient descent multiplies the distance by 1 - rate lam."""
    learner = toy.learner()
    rule = L2(lam=5000).start(learner, toy.around)
    rule.end_task(0)
    home = learner.vector.clone()

    def distance(rate, steps=10):
        vector = home.clone()
        vector[learner.common] += 1
        for step in range(steps):
            vector = vector - rate * rule.gradient(vector, torch.zeros_like(vector), 1, step)
        return (vector - home)[learner.common].abs().max().item()

    assert distance(1e-4) == pytest.approx(0.5**10, rel=1e-2)
    assert distance(5e-4) > 50


@pytest.mark.parametrize("part", [L2, EWC])
def test_a_stiff_spring_keeps_the_shared_weights_up_to_one_step_of_the_optimiser(part, toy, train):
    """Gradient descent at rate lam < 2: the distance is at most gradient / lam, here beyond what data can do."""
    learner = toy.learner()
    rule = part(lam=1e5).start(learner, toy.around)
    train(toy, learner, rule, 0, 60)
    rule.end_task(0)
    home = learner.vector.clone()
    stiff = 1.0 if rule.importance is None else rule.importance
    rate = 1 / (1e5 * (1.0 if rule.importance is None else stiff.max().item()))
    train(toy, learner, rule, 1, 60, optimiser=torch.optim.SGD([learner.vector.requires_grad_(True)], lr=rate))
    moved = (learner.vector - home)[learner.common]
    assert moved.norm() < 60 * rate * 0.25 + 1e-9
    assert (1e5 * stiff * moved.abs() <= 0.26 + 1e-6).all()


def test_ewc_averages_fishers_and_remembers_the_last_solution(toy):
    learner = toy.learner()
    rule = EWC(samples=20).start(learner, toy.around)
    fishers = []
    for task in range(3):
        learner.vector = learner.vector + 0.1
        rule.end_task(task)
        fishers.append(fisher(learner, task, toy.draw([task], 20, "importance", task)))
    first = rule.alpha * fishers[0] + (1 - rule.alpha) * fishers[1]
    torch.testing.assert_close(rule.importance, first / 2 + fishers[2] / 2)
    assert torch.equal(rule.anchor, learner.vector[learner.common])
    drawn = [draw for draw in toy.seen if draw[2] == "importance"]
    assert drawn[::2] == [((k,), 20, "importance", k) for k in range(3)]


def test_the_options_change_what_is_measured(toy):
    def importance(part):
        learner = toy.learner()
        rule = part.start(learner, toy.around)
        rule.end_task(0)
        return rule.importance

    windows, learner = toy.draw([0], 32, "importance", 0), toy.learner()
    assert torch.equal(importance(EWC(samples=32, fisher="batch")), fisher(learner, 0, windows, "batch"))
    assert torch.equal(importance(MAS(samples=32)), output_sensitivity(learner, 0, windows))
    assert torch.equal(importance(MAS(samples=32, of="loss")), loss_sensitivity(learner, 0, windows))


@pytest.mark.parametrize("how", ["sample", "running"])
def test_rwalk_scores_are_those_of_the_path(how, toy):
    learner = toy.learner()
    rule = RWalk(samples=16, fisher=how, alpha=0.25).start(learner, toy.around)
    common = learner.common
    expected_f = expected_s = None
    random = np.random.default_rng(0)
    moving = torch.zeros(common.stop)
    for task in range(2):
        begun, path = learner.vector.clone(), torch.zeros_like(learner.vector)
        for _ in range(5):
            before = learner.vector.clone()
            g = torch.from_numpy(random.normal(size=len(before)).astype(np.float32))
            step = torch.from_numpy(random.normal(size=len(before)).astype(np.float32))
            learner.vector = before + 0.1 * step
            rule.stepped(before, learner.vector, g)
            path -= g * (learner.vector - before)
            moving = 0.9 * moving + 0.1 * g[common] ** 2
        windows = toy.draw([task], 16, "importance", task)
        now = moving if how == "running" else fisher(learner, task, windows)
        rule.end_task(task)
        expected_f = now if task == 0 else 0.25 * expected_f + 0.75 * now
        distance = expected_f * (learner.vector - begun)[common] ** 2 / 2
        score = path[common].clamp(min=0) / (distance + 0.1)
        expected_s = score if task == 0 else 0.25 * expected_s + 0.75 * score
        torch.testing.assert_close(rule.importance, expected_f + expected_s)


def test_rwalk_credits_the_weight_that_lowered_the_loss(toy):
    """A step along minus the gradient of one weight: its score alone is positive."""
    learner = toy.learner()
    rule = RWalk(samples=4).start(learner, toy.around)
    gradient = torch.zeros_like(learner.vector)
    gradient[3], gradient[5] = 2.0, -1.0
    before = learner.vector.clone()
    learner.vector = before.clone()
    learner.vector[3] -= 0.5
    learner.vector[5] -= 0.5
    rule.stepped(before, learner.vector, gradient)
    assert rule.path[3].item() == pytest.approx(1) and rule.path[5].item() == pytest.approx(-0.5)
    rule.end_task(0)
    assert rule.scores.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize(("part", "field"), [(L2, {"lam": -1}), (EWC, {"alpha": 1}), (RWalk, {"damping": 0})])
def test_settings_out_of_bounds_are_refused(part, field):
    with pytest.raises(ValidationError):
        part(**field)
