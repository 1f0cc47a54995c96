"""One vector of weights, a mask per group of tasks, and a gate that finds the group: G-HarmoDT (arXiv 2411.01146).

Three stages: all weights shared; tasks grouped by how their gradients meet the mean, v_i = gbar g_i, and trained
through the masks of their groups; a gate trained to tell the group from recent steps. The paper's method section was
not at hand: grouping follows its abstract and the nearest open code, gate and filter are our derivation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from harmonia.core.errors import InputError
from harmonia.decide.learner import Phase, Surroundings
from harmonia.decide.setting import Setting
from harmonia.decide.sharing.group_gate import GroupGate, reward_scale
from harmonia.decide.sharing.grouping import ConflictKMeans, GivenGroups, Grouping, known_groups
from harmonia.decide.sharing.masked import MaskedLearner, MaskedSharing
from harmonia.decide.sharing.routing import Unknown
from harmonia.maths.gram_kmeans import conflict_gram, gram_kmeans, nearest_group, silhouettes

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows

_CHECKED = 64  # fresh windows per task that a finished gate is measured on


class GroupMasks(MaskedSharing):
    """Tasks with like conflicts share a mask; a gate finds the group while acting, so the task need not be told.

    The mask of a group is drawn by the names of its tasks, so groups of one task each are ``task-masks``.
    """

    kind: Literal["group-masks"] = "group-masks"
    references: ClassVar[tuple[str, ...]] = ("fan2024gharmodt", "hu2024harmodt", "evci2020rigging")
    sequential: ClassVar[bool] = False

    groups: int | None = Field(None, ge=1)
    """C; left out: the number from 2 to half the tasks with the largest mean silhouette."""
    cluster: Grouping = Field(ConflictKMeans(), discriminator="kind")
    """How tasks become groups."""
    warm: float = Field(0.25, ge=0, lt=1)
    """Share of the steps in which all weights are shared, before tasks are grouped."""
    router: Literal["oracle", "gate", "filter", "soft"] = "filter"
    """How the group is found: oracle, from the task; gate, by the gate at every step; filter, by the gate with memory;
    soft, acting with the mean of all groups' actions under the filter's belief."""
    gate_steps: float = Field(0.15, gt=0, lt=1)
    """Share of the steps in which the gate is trained."""
    window: int = Field(10, ge=1)
    """Most recent steps that the gate reads; never more than the policy's context."""
    width: int = Field(128, ge=1)
    """Size of the gate's hidden layers."""
    layers: int = Field(2, ge=0)
    """Hidden layers of the gate after its mean over steps."""
    rho: float = Field(0.9, ge=0, le=1)
    """How much of its belief the filter carries from step to step."""
    unseen: Literal["gate", "gradient"] = "gate"
    """How a task that was not learned finds its group: gate, while acting, as any other; gradient, before it acts, by
    where its gradient on a few windows of it falls."""
    patience: int = Field(5, ge=1)
    """Consecutive steps for which another group must lead before the filter's masks change."""

    @property
    def needs_task(self) -> bool:  # type: ignore[override]
        """Whether the policy must be told the task when it acts."""
        return self.router == "oracle"

    @property
    def open_to_unseen(self) -> bool:
        """Whether the policy can act in a task that it never learned."""
        return super().open_to_unseen or self.unseen == "gradient"

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        if self.router != "oracle" and self.warm + self.gate_steps >= 1:
            raise ValueError("warm and gate_steps leave no steps for training through masks")
        if isinstance(self.cluster, GivenGroups) and self.groups is not None:
            raise ValueError("cluster=given says how many groups there are; leave groups out")
        if self.unseen == "gradient" and not isinstance(self.cluster, ConflictKMeans):
            raise ValueError("unseen=gradient compares gradients with those of groups: take cluster=conflict-kmeans")
        if self.unseen == "gradient" and not self.warm:
            raise ValueError("unseen=gradient looks at gradients after the warm stage: give warm above 0")
        return self

    def build(self, setting: Setting) -> GroupMasksLearner:
        return GroupMasksLearner(setting, self)


class GroupMasksLearner(MaskedLearner):
    """Row c of the bank serves group c.

    Attributes:
        labels: (N,) int64 group of each task; None before grouping.
        met: group of each task that was not learned and was placed by its gradient.
        stage: name of the present phase: ``warm``, ``masks``, ``gate``; ``done`` after the gate's.
        gram: (N, N) products of the tasks' conflict vectors, or None.
        curve: mean silhouette by number of groups.
        gate: finds the group of an episode; None before its phase.
        confusion: (C, C) share of windows of a group (rows), of held-out episodes where there are any, that the gate
            gives to each group; or None.
    """

    sharing: GroupMasks

    def __init__(self, setting: Setting, sharing: GroupMasks) -> None:
        super().__init__(setting, sharing)
        n = len(setting.names)
        if sharing.groups is not None and sharing.groups > n:
            raise InputError(f"{sharing.groups} groups of {n} tasks; give 1 to {n} with sharing.groups")
        if sharing.router != "oracle":
            self._check_blind()
        self.gram: np.ndarray | None = None
        self.curve: dict[int, float] = {}
        self.confusion: np.ndarray | None = None
        self.labels: np.ndarray | None = None
        self.met: dict[int, int] = {}
        self.gate: GroupGate | None = None
        self.stage = "warm" if sharing.warm else "masks"
        self._warm: Tensor | None = None  # where the groups were found
        self._policy: Tensor | None = None  # the policy, while the gate is trained
        self._weights: dict[int, Tensor] = {}
        known = known_groups(sharing.cluster, setting.names, sharing.groups, setting.seed)
        if known is not None:
            self._group(known)
        elif not sharing.warm:
            raise InputError("gradients of an untrained network say nothing of conflict: give sharing.warm above 0")

    def _check_blind(self) -> None:
        setting, ask = self.setting, "or take sharing.router=oracle"
        if not setting.pooled:
            raise InputError(
                "observations are normalised per task, which tells a gate the task: --set training.normalise=pooled, "
                + ask
            )
        if setting.condition is not None:
            raise InputError(
                "conditioning tells the policy its task, and a gate is to find it out: --set conditioning=none, " + ask
            )
        if setting.heads > 1:
            raise InputError("a head per task needs the task, and a gate finds the group only: one head, " + ask)

    # -- groups -------------------------------------------------------------------------------------------------

    def _group(self, labels: np.ndarray) -> None:
        self.labels = labels
        self.bank = self.drawn(self._group_names())

    def _group_names(self) -> list[str]:
        assert self.labels is not None
        names = np.array(self.setting.names, object)
        return ["+".join(sorted(names[self.labels == c])) for c in range(self.labels.max() + 1)]

    def _find_groups(self, around: Surroundings) -> None:
        sharing = self.sharing
        cluster = sharing.cluster
        assert isinstance(cluster, ConflictKMeans)
        learned = range(len(self.setting.names))
        self.gram = conflict_gram(self._mean_gradients(learned, around, cluster), self.setting.names)
        settings: dict[str, Any] = {
            "names": self.setting.names,
            "restarts": cluster.restarts,
            "seed": self.setting.seed,
            "criterion": cluster.criterion,
        }
        groups = sharing.groups
        if groups is None:
            self.curve = silhouettes(self.gram, range(2, len(self.gram) // 2 + 1), **settings)
            groups = max(self.curve, key=lambda c: self.curve[c])
        found = gram_kmeans(self.gram, groups, **settings)
        self._group(found.labels)
        around.log("groups", groups=groups, labels=found.labels.tolist(), inertia=found.inertia, silhouettes=self.curve)

    def _mean_gradients(self, tasks: Sequence[int], around: Surroundings, cluster: ConflictKMeans) -> Tensor:
        """Return the gradient of each of these tasks on the body, averaged over batches: (N, body)."""
        import torch

        body = self.setting.network.body
        rows = [
            sum(self.dense(task, around, cluster.batch, "groups", r)[body] for r in range(cluster.batches))
            for task in tasks
        ]
        return torch.stack([torch.as_tensor(row) / cluster.batches for row in rows])

    def meet(self, task: int, around: Surroundings) -> None:
        """Place a task that was not learned with the group whose conflicts are nearest, if so asked.

        Its gradient at the weights where tasks were grouped is compared with the means of the groups.
        """
        if self.sharing.unseen == "gate":
            return
        cluster = self.sharing.cluster
        assert isinstance(cluster, ConflictKMeans) and self._warm is not None and self.labels is not None
        learned = range(len(self.setting.names))
        policy, stage, self.vector, self.stage = self.vector, self.stage, self._warm, "warm"
        try:
            gradients = self._mean_gradients([*learned, task], around, cluster).double()
        finally:
            self.vector, self.stage = policy, stage
        known, new = gradients[:-1], gradients[-1]
        mean = known.mean(dim=0)
        products = np.array([float((row * mean * mean * new).sum()) for row in known])
        gram = conflict_gram(known, self.setting.names)
        self.met[task] = nearest_group(gram, self.labels, products, float((mean * new).square().sum()))

    def owners(self, tasks: Sequence[int]) -> list[int]:
        assert self.labels is not None
        return [self.met[task] if task in self.met else int(self.labels[task]) for task in tasks]

    def masking(self) -> bool:
        return super().masking() and self.stage != "warm"

    # -- stages -------------------------------------------------------------------------------------------------

    def phases(self, tasks: Sequence[int], steps: int) -> list[Phase]:
        sharing, tasks = self.sharing, tuple(tasks)
        warm = round(sharing.warm * steps)
        gated = sharing.router != "oracle" and not self._one_group()
        gate = max(1, round(sharing.gate_steps * steps)) if gated else 0
        made = [Phase("warm", tasks, warm), Phase("masks", tasks, steps - warm - gate), Phase("gate", tasks, gate)]
        return [phase for phase in made if phase.steps > 0]

    def _one_group(self) -> bool:
        return self.labels is not None and not self.labels.any()

    def enter(self, phase: Phase, around: Surroundings) -> None:
        self.stage = phase.name
        if phase.name == "masks":
            super().enter(phase, around)
        if phase.name == "gate":
            self._start_gate(phase, around)

    def leave(self, phase: Phase, around: Surroundings) -> None:
        if phase.name == "warm":
            self._warm = self.vector.detach().clone()
            if self.labels is None:
                self._find_groups(around)
        if phase.name == "masks":
            super().leave(phase, around)
        if phase.name == "gate":
            self._finish_gate(phase, around)

    def adapt(self, step: int, phase: Phase, around: Surroundings) -> None:
        if phase.name == "masks":
            self._weights.clear()
            super().adapt(step, phase, around)

    def movable(self, tasks: Sequence[int]) -> Tensor | None:
        return None if self.stage == "gate" else super().movable(tasks)

    def differentiate(self, total: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        import torch

        if self.stage == "gate":
            gradient = torch.autograd.grad(total, vector)[0]
            return gradient, gradient.norm()
        return super().differentiate(total, vector)

    def losses(self, vector: Tensor, tasks: Sequence[int], windows: Windows) -> Tensor:
        """Return the loss of each task: (N,).

        Squared error of actions; in the gate's phase cross entropy, weighted so that every group counts alike.
        """
        if self.stage != "gate":
            return super().losses(vector, tasks, windows)
        assert self.gate is not None and self.labels is not None
        return self.gate.losses(vector, windows, self.owners(tasks), np.bincount(self.labels))

    def act(self, tasks: Sequence[int], windows: Windows) -> Tensor:
        import torch

        with torch.no_grad():
            return self.actions(self.policy, tasks, windows)

    @property
    def policy(self) -> Tensor:
        """The policy's weights, whatever is being trained: (V,)."""
        return self.vector if self._policy is None else self._policy

    # -- the gate -----------------------------------------------------------------------------------------------

    def _start_gate(self, phase: Phase, around: Surroundings) -> None:
        assert self.labels is not None
        unseen = sorted(set(self.labels.tolist()) - set(self.owners(phase.tasks)))
        if unseen:
            raise InputError(f"the gate would never see group {unseen[0]}; train it on tasks of every group")
        windows = around.draw(phase.tasks, _CHECKED, "gate-scale", 0)
        sizes = windows.observations.shape[-1], windows.actions.shape[-1]
        self.gate = GroupGate(self.setting, self.sharing, sizes, self._group_count(), reward_scale(windows))
        self._policy = self.vector.detach()
        self.vector = self.gate.network.initial().to(self.setting.device)

    def _finish_gate(self, phase: Phase, around: Surroundings) -> None:
        assert self.gate is not None and self._policy is not None and self.labels is not None
        self.gate.weights, self.vector, self._policy, self.stage = self.vector.detach(), self._policy, None, "done"
        groups = self._group_count()
        counts = np.zeros((groups, groups))
        purpose = "validation-gate" if around.held_out else "gate-check"
        for task in phase.tasks:
            chosen = self.believed(around.draw((task,), _CHECKED, purpose, 0)).argmax(axis=-1)
            counts[self.labels[task]] += np.bincount(chosen.ravel(), minlength=groups)
        self.confusion = counts / counts.sum(axis=1, keepdims=True)
        around.log("gate", accuracy=float(np.diag(self.confusion).mean()), confusion=self.confusion.round(4).tolist())

    def _group_count(self) -> int:
        assert self.labels is not None
        return int(self.labels.max()) + 1

    def believed(self, windows: Windows) -> np.ndarray:
        """Return the gate's probabilities of the groups: (N, B, C) float64.

        Raises:
            InputError: there is no gate.
        """
        if self._one_group():
            return np.ones((*windows.valid.shape[:2], 1))
        if self.gate is None or self.gate.weights is None:
            raise InputError(
                "this policy has no gate and must be told its task; train with sharing.router=gate, filter or soft"
            )
        return self.gate.believed(windows)

    # -- acting without the task --------------------------------------------------------------------------------

    def act_unknown(self, episodes: int) -> Unknown:
        """Return a policy that is not told the task, for rows of this many episodes.

        Raises:
            InputError: the router is an oracle.
        """
        if self.sharing.router == "oracle":
            raise InputError("router=oracle must be told the task; train with sharing.router=gate, filter or soft")
        return Unknown(self, episodes)

    def act_unseen(self, tasks: Sequence[int], episodes: int) -> Callable[[Sequence[int], Windows], Tensor]:
        return self.act if set(tasks) <= self.met.keys() else self.act_unknown(episodes)

    def act_in_groups(self, beliefs: np.ndarray, windows: Windows) -> Tensor:
        """Return actions, (1, E, K, A), of episodes that act in several groups.

        Args:
            beliefs: (E, C) how much each group counts; one-hot where a group acts alone.
            windows: (1, E, K, ...).
        """
        import torch

        assert self.labels is not None
        total = torch.zeros_like(windows.actions)
        with torch.no_grad():
            for group in np.flatnonzero(beliefs.any(axis=0)):
                rows = torch.from_numpy(np.flatnonzero(beliefs[:, group])).to(total.device)
                share = torch.as_tensor(beliefs[:, group], dtype=total.dtype, device=total.device)[rows]
                actions = self.setting.predict(self._weights_of(int(group)), (0,), windows.some(rows))
                total[:, rows] += share[None, :, None, None] * actions
        return total

    def _weights_of(self, group: int) -> Tensor:
        if group not in self._weights:
            assert self.labels is not None
            member = int(np.flatnonzero(self.labels == group)[0])
            self._weights[group] = self.weights(self.policy.detach(), (member,))
        return self._weights[group]

    # -- keeping ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        held = super().state()
        held["stage"] = np.array([_STAGES.index(self.stage)])
        if self.labels is not None:
            held["labels"] = self.labels
        for name, array in (("gram", self.gram), ("confusion", self.confusion)):
            if array is not None:
                held[name] = array
        gate = None if self.gate is None else self.gate.weights
        for name, vector in (("warm", self._warm), ("policy", self._policy), ("gate", gate)):
            if vector is not None:
                held[name] = vector.detach().cpu().numpy()
        if self.met:
            held["met"] = np.array(list(self.met.items()))
        if self.curve:
            held["silhouettes"] = np.array(list(self.curve.items()))
        if self.gate is not None:
            held["gate_sizes"] = np.array(self.gate.sizes)
            held["reward_scale"] = np.array([self.gate.reward_scale])
        return held

    def restore(self, state: dict[str, np.ndarray]) -> None:
        import torch

        super().restore(state)
        self._weights.clear()
        self.stage = _STAGES[int(state["stage"][0])]
        if "labels" in state:
            self.labels = np.array(state["labels"])
            if len(self.labels) != len(self.setting.names):
                raise InputError(f"the stored groups are of {len(self.labels)} tasks, not {len(self.setting.names)}")
            self.restored(self._group_names(), state)
        self.gram, self.confusion = state.get("gram"), state.get("confusion")
        vectors = {
            name: torch.from_numpy(np.array(state[name])).to(self.setting.device)
            for name in ("warm", "policy", "gate")
            if name in state
        }
        self._warm, self._policy = vectors.get("warm"), vectors.get("policy")
        self.met = {int(task): int(group) for task, group in state.get("met", ())}
        self.curve = {int(c): float(s) for c, s in state.get("silhouettes", np.empty((0, 2)))}
        self.gate = None
        if "gate_sizes" in state:
            observation, action = (int(size) for size in state["gate_sizes"])
            scale = float(state["reward_scale"][0])
            self.gate = GroupGate(self.setting, self.sharing, (observation, action), self._group_count(), scale)
            self.gate.weights = vectors.get("gate")

    def parameters_of(self, task: int) -> int:
        added = super().parameters_of(task)
        if self.labels is None:
            return added
        if self.sharing.sparsity and self.labels[task] not in self.labels[:task]:
            added += -(-self.maskable // 32)
        if task == 0 and self.gate is not None and self.gate.weights is not None:
            added += len(self.gate.weights)
        return added

    def picture(self) -> dict[str, object]:
        shown = super().picture()
        if self.labels is not None:
            shown["groups"] = dict(zip(self.setting.names, self.labels.tolist(), strict=True))
        if self.curve:
            shown["silhouettes"] = {str(c): s for c, s in self.curve.items()}
        if self.gram is not None:
            length = np.sqrt(np.diag(self.gram))
            shown["conflict_cosine"] = (self.gram / np.outer(length, length)).tolist()
        if self.confusion is not None:
            shown["gate_confusion"] = self.confusion.tolist()
        return shown


_STAGES = ("warm", "masks", "gate", "done")
