"""A training step at the tenth task of a stream: earlier policies one by one, or remembered.

All compute the same actions and the same gradient, of the same weights and windows. "one by one" is a forward pass per
earlier policy; "with copies" also copies the network's state out and back around each, as released codes do.
"remembered" has met windows before, all of them or as many as on average over a task.

    python -m benchmarks.decide.composition --out results
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.record import Record, options, single_threaded
from benchmarks.timing import in_turn
from harmonia.data.trajectories.windows import Windows
from harmonia.decide.learner import Surroundings, squared_error
from harmonia.decide.setting import Setting
from harmonia.decide.sharing.composer import Composer
from harmonia.decide.sharing.frozen_policies import still
from harmonia.decide.sharing.grow import Grow
from harmonia.decide.sharing.prune import Prune
from harmonia.decide.sharing.window_memory import WindowMemory
from harmonia.models.adapted import Adapted
from harmonia.models.decision_transformer import DecisionTransformer
from harmonia.models.flat import FlatNetwork

Actions = Callable[[torch.Tensor, Windows], torch.Tensor]
Answer = tuple[torch.Tensor, torch.Tensor]
D, A = 39, 4
SIZES = {"d64": (64, 2, 2, 5), "d256": (256, 6, 8, 20)}
"""Width, layers, heads, context."""


def setting(size: str, tasks: int) -> Setting:
    """Return a network and tasks that differ in normalisation."""
    width, layers, heads, _ = SIZES[size]
    torch.manual_seed(0)
    module = DecisionTransformer(D, A, width=width, layers=layers, heads=heads, dropout=0.0).eval()
    return Setting(
        network=FlatNetwork(module),
        names=[f"task-{k}" for k in range(tasks)],
        texts=[f"do what task {k} asks" for k in range(tasks)],
        heads=1,
        condition=None,
        mean=0.1 * torch.randn(tasks, D),
        inverse=1 + 0.1 * torch.rand(tasks, D),
        return_scale=1000.0,
        seed=0,
        pooled=False,
    )


def windows(size: str, batch: int, seed: int) -> Windows:
    """Return made-up windows of one task."""
    random, context = np.random.default_rng(seed), SIZES[size][3]
    return Windows(
        observations=random.normal(size=(1, batch, context, D)).astype(np.float32),
        actions=random.uniform(-1, 1, size=(1, batch, context, A)).astype(np.float32),
        returns=random.uniform(0, 1000, size=(1, batch, context)).astype(np.float32),
        timesteps=random.integers(0, 130, size=(1, batch, 1)) + np.arange(context),
        valid=np.ones((1, batch, context), bool),
    ).tensors()


def at_last_task(part: Grow | Prune, size: str, tasks: int) -> Composer:
    """Return a learner in the training phase of its last task; earlier tasks get random weights."""
    learner = part.build(setting(size, tasks))
    around = Surroundings(draw=lambda chosen, batch, purpose, number: windows(size, batch, number))
    random = torch.Generator().manual_seed(1)
    for task in range(tasks):
        for phase in learner.phases((task,), 100):
            learner.enter(phase, around)
            if phase.name == "train":
                noise = 0.02 * torch.randn(learner.vector.shape, generator=random)
                learner.vector = learner.vector + noise
                if task == tasks - 1:
                    return learner
            learner.leave(phase, around)
    raise AssertionError("the last task has a training phase")


def one_by_one(learner: Composer, task: int, *, copies: bool) -> Actions:
    """Return the actions, with a forward pass per earlier policy; masks and low-rank changes are put in beforehand."""
    module, base = learner.setting.network.module, learner.setting
    weights: list[Any] = []
    for index, earlier in enumerate(learner.modules):
        if hasattr(learner, "owned"):
            trunk = learner.owned.masked(learner.trunk, index + 1)
            weights.append(torch.cat([trunk, trunk.new_zeros(base.network.size - len(trunk))]))
        else:
            weights.append(Adapted(learner.trunk, None, earlier.factors))
    predict = base.predict if hasattr(learner, "owned") else learner.adapted.predict  # type: ignore[attr-defined]
    alpha = learner._alpha()

    def actions(vector: torch.Tensor, batch: Windows) -> torch.Tensor:
        own, head, _ = learner._pieces(vector)
        features = []
        with still(module):
            for earlier, held in zip(learner.modules, weights, strict=True):
                saved = copy.deepcopy(module.state_dict()) if copies else None
                features.append(predict(held, [earlier.task], batch, features=True))
                if saved is not None:
                    module.load_state_dict(saved)
        mixed = sum(a * f for a, f in zip(alpha, features, strict=True))
        return learner.earlier.head(head, mixed, learner.own_features(own, task, batch))

    return actions


def measure(part: Grow | Prune, size: str, tasks: int, batch: int, new: int, repeats: int) -> list[dict[str, Any]]:
    """Return a row per way of computing the step; ``new`` of the windows are new where that is measured."""
    learner = at_last_task(part, size, tasks)
    vector = learner.vector.detach().clone().requires_grad_(True)
    known = windows(size, batch, 0)
    remembering = WindowMemory(learner.read_earlier, 512)
    remembering(known)
    fresh = iter([mostly_known(known, windows(size, new, 1 + repeat)) for repeat in range(repeats)])

    def step(actions: Actions, drawn: Callable[[], Windows] = lambda: known) -> Callable[[], Answer]:
        def run() -> Answer:
            now = drawn()
            found = actions(vector, now)
            return found.detach(), torch.autograd.grad(squared_error(found, now).sum(), vector)[0]

        return run

    remembered = f"remembered (harmonia), {new} of {batch} windows new"
    times = in_turn(
        {
            "one by one, with copies": step(one_by_one(learner, tasks - 1, copies=True)),
            "one by one": step(one_by_one(learner, tasks - 1, copies=False)),
            "harmonia, all windows new": step(lambda v, w: learner._answer(v, w, learner.read_earlier)),
            remembered: step(lambda v, w: learner._answer(v, w, remembering), lambda: next(fresh)),
            "remembered (harmonia), all windows known": step(lambda v, w: learner._answer(v, w, remembering)),
        },
        repeats,
    )
    slow = times["one by one"]
    rows = []
    for name, timed in times.items():
        row: dict[str, Any] = {"sharing": part.kind, "size": size, "step": name, "ms": 1000 * timed.median}
        row["times faster"] = slow.median / timed.median
        if name != remembered:  # other windows, other values
            pairs = zip(("outputs", "gradients"), timed.result, slow.result, strict=True)
            row |= {f"{what} differ by": float((one - other).abs().max()) for what, one, other in pairs}
        rows.append(row)
    return rows


def mostly_known(known: Windows, new: Windows) -> Windows:
    """Return the known windows with the first ones replaced by new ones."""
    fields = ("observations", "actions", "returns", "timesteps", "valid")
    count = new.valid.shape[1]
    return Windows(**{f: torch.cat([getattr(new, f), getattr(known, f)[:, count:]], dim=1) for f in fields})


def share_of_new(distinct: int, steps: int, batch: int) -> float:
    """Return which share of the windows of a training are new when they come, drawn uniformly with replacement."""
    draws = steps * batch
    return float(distinct * -np.expm1(draws * np.log1p(-1 / distinct)) / draws)


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    given = parser.parse_args()
    single_threaded(given.threads)
    torch.set_num_threads(given.threads)
    record = Record("composition", f"A training step at task {given.tasks}: loss and gradient (median)", vars(given))
    shares = {(n, steps): share_of_new(n, steps, given.batch) for n, steps in ((9_000, 1_500), (100_000, 50_000))}
    new = max(1, round(shares[9_000, 1_500] * given.batch))
    for size in given.sizes:
        for part in (Grow(reuse_test="never"), Prune(reuse_test="never")):
            for row in measure(part, size, given.tasks, given.batch, new, given.repeats):
                record.add(**row)
    for (distinct, steps), share in shares.items():
        record.facts[f"share of new windows in {steps} steps over {distinct} windows"] = share
    record.save(given.out)


if __name__ == "__main__":
    main()
