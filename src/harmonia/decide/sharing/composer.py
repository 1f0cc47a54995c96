"""A learner whose new policies build on frozen ones: attention over task descriptions, a test of reuse, own weights.

    alpha = softmax_j (W_q e_k + b_q) . (W_k e_j + b_k) / sqrt(d_qk)       e: vectors of the descriptions
    z = sum_j alpha_j f_j(x),   a_k(x) = Head_k([z ; f_k(x)])              f_j: features of policy j, frozen

What grow and prune have in common (CompoFormer: Hu et al. 2024, arXiv 2411.11364).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError
from harmonia.decide.learner import Learner, Phase, Surroundings, squared_error
from harmonia.decide.setting import Setting
from harmonia.decide.sharing.composition import Composition
from harmonia.decide.sharing.frozen_policies import FrozenPolicies, Module, still
from harmonia.decide.sharing.kept import numbered, packed, unpacked
from harmonia.decide.sharing.window_memory import WindowMemory

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows
    from harmonia.maths.text_attention import TextAttention

VALIDATION = (8, 32)
"""Batches and windows per batch of the offline test of reuse."""


class Composer(Learner):
    """Learns tasks one after another; ``vector`` is [own | head | attention, if it goes on] or what a phase fits.

    Attributes:
        part: the settings.
        trunk: (T,) weights that the modules are made of, as the last finished task left them.
        earlier: the policies that own parameters, in the order of learning.
        order: tasks begun, in order.
        module_of: task -> index of the module that acts for it.
        mixture_of: task -> (j,) weights of the modules whose actions are mixed for it (reuse="soft").
        decisions: task -> facts of its test of reuse.
        attention: task -> (j,) alpha over the modules at its time.
        task, phase: what is being trained, or None.
        fitted: weights of the attention of the task in training.
        reference: error of the short fit that the offline test compares with.
        stack: weights of all modules in one array, once they are needed.
    """

    def __init__(self, setting: Setting, part: Composition) -> None:
        super().__init__(setting)
        self.part = part
        self.trunk = setting.network.initial()[setting.network.trunk].clone().to(setting.device)
        self.earlier = FrozenPolicies(setting, self.predict_modules)
        self.order: list[int] = []
        self.module_of: dict[int, int] = {}
        self.mixture_of: dict[int, Tensor] = {}
        self.decisions: dict[int, dict[str, Any]] = {}
        self.attention: dict[int, Tensor] = {}
        self.task: int | None = None
        self.phase: str | None = None
        self.vector = self.trunk.new_empty(0)
        self.fitted: Tensor | None = None
        self.reference: float | None = None
        self.stack: Tensor | None = None
        self._memory: WindowMemory | None = None

    @property
    def modules(self) -> list[Module]:
        """The policies that own parameters, in the order of learning."""
        return self.earlier.modules

    @cached_property
    def texts(self) -> Tensor:
        """Vectors of the tasks' descriptions, (n, C).

        Learning needs them; acting does not, nor the file or the encoder that they come from.
        """
        return self.part.described(self.setting)

    @cached_property
    def qk(self) -> TextAttention:
        """The attention over descriptions."""
        from harmonia.maths.text_attention import TextAttention

        return TextAttention(self.texts.shape[1], self.part.qk_width)

    # -- what grow and prune differ in --------------------------------------------------------------------------

    def own_start(self) -> Tensor:
        """Return the own weights of the task that begins."""
        raise NotImplementedError

    def own_features(self, own: Tensor, task: int, windows: Windows) -> Tensor:
        """Return the features of the task in training: (1, B, K, d)."""
        raise NotImplementedError

    def predict_modules(self, chosen: slice, windows: Windows) -> Tensor:
        """Return the features of J modules in one pass: windows (J, B, K, ...) -> (J, B, K, d)."""
        raise NotImplementedError

    def training_phases(self, task: int, steps: int) -> list[Phase]:
        """Return the phases that train a task's own weights."""
        return [Phase("train", (task,), steps)]

    def own_parameters(self, index: int) -> int:
        """Return how many numbers, beside its head and its attention, a module adds."""
        raise NotImplementedError

    def keep_own(self, own: Tensor) -> Tensor | None:
        """Take up the trained own weights; return the factors of the new module, if it has any."""
        raise NotImplementedError

    # -- phases -------------------------------------------------------------------------------------------------

    def phases(self, tasks: Sequence[int], steps: int) -> list[Phase]:
        _ = self.texts  # descriptions that cannot be read are told before anything is trained
        return [phase for task in tasks for phase in self._phases_of(task, steps // len(tasks))]

    def _phases_of(self, task: int, steps: int) -> list[Phase]:
        part, found = self.part, []
        if self.modules:
            if len(self.modules) > 1:  # over one module alpha is 1, whatever the weights
                count = min(part.attention_steps, steps // 5)
                found.append(Phase("attention", (task,), count, part.attention_rate, constant_rate=True))
            if part.reuse_test == "offline":
                found.append(Phase("single", (task,), min(part.fit_steps, steps // 5)))
            if part.reuse_test != "never":
                found.append(Phase("reuse", (task,), 0))
        return [*found, *self.training_phases(task, steps - sum(phase.steps for phase in found))]

    def skips(self, phase: Phase) -> bool:
        task = phase.tasks[0]
        return phase.name in ("train", "retrain") and (task in self.module_of or task in self.mixture_of)

    def enter(self, phase: Phase, around: Surroundings) -> None:
        self.task, self.phase = phase.tasks[0], phase.name
        if self.task not in self.order:
            self.order.append(self.task)
        if phase.name == "retrain":
            return
        self._forget()
        if phase.name == "train":
            self._enter_training()
            return
        if self.part.reuse_test == "rollout" and around.trial is None:
            raise InputError(
                f"task {self.setting.names[self.task]}: sharing.reuse_test=rollout plays earlier policies in its "
                "environment, and there is none: --set sharing.reuse_test=offline"
            )
        if phase.name == "attention":
            start = self.qk.initial(self.part.qk_init, self.setting.generator("attention", self.task))
            self.vector = start.to(self.setting.device)
        elif phase.name == "single":
            self.vector = self.setting.network.initial().to(self.setting.device)

    def leave(self, phase: Phase, around: Surroundings) -> None:
        vector = self.vector.detach().clone()
        if phase.name == "attention":
            self.fitted = vector
        elif phase.name == "single":
            self.reference = self._error(around, lambda windows: self.setting.predict(vector, phase.tasks, windows))
        elif phase.name == "reuse":
            self._decide(around)
        else:
            self._finish(vector)

    def _enter_training(self) -> None:
        import torch

        pieces = [self.own_start(), self._fresh_head()]
        if self._trains_attention:
            assert self.fitted is not None
            pieces.append(self.fitted)
        self.vector = torch.cat(pieces)

    def _decide(self, around: Surroundings) -> None:
        """Let an earlier policy, or a mixture of them, serve the task if it is good enough."""
        assert self.task is not None
        part, task, alpha = self.part, self.task, self._alpha()
        best = int(alpha.argmax())

        def act(windows: Windows) -> Tensor:
            return self.earlier.act(best, windows) if part.reuse == "top1" else self.earlier.mixture(alpha, windows)

        source = self.setting.names[self.modules[best].task] if part.reuse == "top1" else "mixture"
        facts: dict[str, Any] = {"from": source}
        if part.reuse_test == "rollout":
            assert around.trial is not None
            facts["success"] = float(around.trial(task, act))
            facts["reused"] = facts["success"] >= part.eta
        else:
            assert self.reference is not None
            facts["error"], facts["reference"] = self._error(around, act), self.reference
            facts["reused"] = facts["error"] <= (1 + part.tau) * self.reference
        around.log("reuse", task=self.setting.names[task], **facts)
        self.decisions[task] = facts
        self.attention[task] = alpha
        if facts["reused"]:
            if part.reuse == "top1":
                self.module_of[task] = best
            else:
                self.mixture_of[task] = alpha
            self._end()

    def _finish(self, vector: Tensor) -> None:
        """Store the trained policy as a new module."""
        assert self.task is not None
        own, head, qk = self._pieces(vector)
        alpha = None
        if self.modules:
            alpha = self.attention[self.task] = self._alpha(qk)
        self.modules.append(Module(self.task, head.clone(), alpha, self.keep_own(own.clone())))
        self.module_of[self.task] = len(self.modules) - 1
        self._end()

    def _end(self) -> None:
        self.task = self.phase = self.fitted = self.reference = None
        self.vector = self.vector.new_empty(0)
        self._forget()

    def _error(self, around: Surroundings, act: Callable[[Windows], Tensor]) -> float:
        """Return the mean squared error of a policy on validation windows of the present task."""
        assert self.task is not None
        batches, size = VALIDATION
        total = 0.0
        for number in range(batches):
            windows = around.draw((self.task,), size, "validation", number)
            with still(self.setting.network.module):
                total += float(squared_error(act(windows), windows))
        return total / batches

    # -- prediction ---------------------------------------------------------------------------------------------

    def losses(self, vector: Tensor, tasks: Sequence[int], windows: Windows) -> Tensor:
        if self._memory is None:
            self._memory = WindowMemory(self.read_earlier, self.part.memory)
        return squared_error(self._answer(vector, windows, self._memory), windows)

    def actions(self, vector: Tensor, tasks: Sequence[int], windows: Windows) -> Tensor:
        import torch

        each = [self._policy(vector, task, windows.of([row])) for row, task in enumerate(tasks)]
        return torch.cat(each)

    def act(self, tasks: Sequence[int], windows: Windows) -> Tensor:
        with still(self.setting.network.module):
            return self.actions(self.vector, tasks, windows)

    def _policy(self, vector: Tensor, task: int, windows: Windows) -> Tensor:
        """Return the actions of a task's policy: (1, B, K, A).

        A task that was not begun is served by the policy learned last; before any, by the untrained network.
        """
        if task == self.task:
            return self._answer(vector, windows, self.read_earlier)
        if task in self.module_of:
            return self.earlier.act(self.module_of[task], windows)
        if task in self.mixture_of:
            return self.earlier.mixture(self.mixture_of[task], windows)
        learned = [other for other in self.order if other in self.module_of or other in self.mixture_of]
        if learned:
            return self._policy(vector, learned[-1], windows)
        return self.setting.predict(self.setting.network.initial().to(self.setting.device), [task], windows)

    def _answer(self, vector: Tensor, windows: Windows, earlier: Callable[[Windows], Tensor]) -> Tensor:
        """Return the actions of the task in training, in its present phase: (1, B, K, A).

        Args:
            vector: (V,), or (1, V).
            windows: (1, B, K, ...).
            earlier: ``read_earlier``, or its memory.
        """
        from harmonia.maths.text_attention import mix

        assert self.task is not None
        vector = vector.flatten()
        if self.phase == "single":
            return self.setting.predict(vector, [self.task], windows)
        if self.phase in ("attention", "reuse"):
            said = earlier(windows).unflatten(-1, (len(self.modules), -1)).movedim(2, 0)
            return mix(self._alpha(vector if self.phase == "attention" else None), said)[None]
        own, head, qk = self._pieces(vector)
        if not self.modules:
            return self.setting.predict(vector, [self.task], windows)
        mixed = earlier(windows)
        if qk is not None:
            mixed = mix(self._alpha(qk), mixed.unflatten(-1, (len(self.modules), -1)).movedim(2, 0))
        actions: Tensor = self.earlier.head(head, mixed[None], self.own_features(own, self.task, windows))
        return actions

    def read_earlier(self, windows: Windows) -> Tensor:
        """Return what the present phase reads of the frozen modules: windows (1, B, K, ...) -> (B, K, W).

        Their actions, to fit the attention; their features mixed, to train; their features, when both go on at once.
        """
        import torch

        from harmonia.maths.text_attention import mix

        with still(self.setting.network.module):
            count = len(self.modules)
            features = self.earlier.features(count, windows)
            if self.phase in ("attention", "reuse"):
                features = torch.cat([self.earlier.speak(index, features) for index in range(count)])
            elif not self._trains_attention:
                return mix(self._alpha(), features)
            return features.movedim(0, 2).flatten(2)

    def _alpha(self, weights: Tensor | None = None) -> Tensor:
        """Return the attention of the present task over the modules: (J,)."""
        assert self.task is not None
        if len(self.modules) == 1:
            return self.texts.new_ones(1)
        weights = self.fitted if weights is None else weights
        assert weights is not None
        return self.qk(weights, self.texts[self.task], self.texts[[module.task for module in self.modules]])

    @property
    def _trains_attention(self) -> bool:
        return self.part.update_qk and len(self.modules) > 1

    def _pieces(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Split a vector in training: own weights, head, attention (None where it stays)."""
        qk = self.qk.size if self._trains_attention else 0
        network = self.setting.network
        head = self.earlier.head.size if self.modules else network.head.stop - network.head.start
        own = vector.numel() - head - qk
        return vector[:own], vector[own : own + head], vector[own + head :] if qk else None

    def _fresh_head(self) -> Tensor:
        from harmonia.models.adapted import head_sizes
        from harmonia.models.composed_head import ComposedHead
        from harmonia.models.flat import FlatNetwork

        network = self.setting.network
        if not self.modules:
            return network.initial()[network.head].to(self.setting.device)
        generator = self.setting.generator("composed head", str(self.task))
        head = FlatNetwork(ComposedHead(*head_sizes(network), generator)).initial()
        return head.to(self.setting.device)

    def _forget(self) -> None:
        """Drop what was computed from the modules for speed."""
        self._memory = None
        self.stack = None

    @property
    def common(self) -> slice:
        return slice(0, 0)

    # -- keeping ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        record = {
            "order": self.order,
            "task": self.task,
            "phase": self.phase,
            "reference": self.reference,
            "module_of": list(self.module_of.items()),
            "module_tasks": [module.task for module in self.modules],
            "decisions": list(self.decisions.items()),
        }
        tensors = {"vector": self.vector, "trunk": self.trunk, "fitted": self.fitted}
        tensors |= {f"mixture.{task}": alpha for task, alpha in self.mixture_of.items()}
        tensors |= {f"attention.{task}": alpha for task, alpha in self.attention.items()}
        for index, module in enumerate(self.modules):
            tensors |= {f"{name}.{index}": getattr(module, name) for name in ("head", "alpha", "factors")}
        remembered = self._memory.state() if self._memory else {}
        return {**packed(record, tensors), **{f"memory.{name}": array for name, array in remembered.items()}}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        record, tensors = unpacked(state, self.setting.device)
        self.order, self.task, self.phase = record["order"], record["task"], record["phase"]
        self.reference = record["reference"]
        self.module_of, self.decisions = dict(record["module_of"]), dict(record["decisions"])
        self.vector, self.trunk, self.fitted = tensors["vector"], tensors["trunk"], tensors.get("fitted")
        self.mixture_of, self.attention = numbered(tensors, "mixture"), numbered(tensors, "attention")
        heads, alphas, factors = (numbered(tensors, name) for name in ("head", "alpha", "factors"))
        self.earlier.modules = [
            Module(task, heads[index], alphas.get(index), factors.get(index))
            for index, task in enumerate(record["module_tasks"])
        ]
        self._forget()
        if "memory.keys" in tensors:
            self._memory = WindowMemory(self.read_earlier, self.part.memory)
            self._memory.restore(tensors["memory.keys"], tensors["memory.values"])

    def parameters_of(self, task: int) -> int:
        if task in self.mixture_of:
            return self.mixture_of[task].numel()
        index = self.module_of.get(task)
        if index is None or self.modules[index].task != task:
            return 0
        module = self.modules[index]
        return self.own_parameters(index) + module.head.numel() + (0 if module.alpha is None else module.alpha.numel())

    def picture(self) -> dict[str, object]:
        names = self.setting.names
        return {
            "modules": [names[module.task] for module in self.modules],
            "attention": {
                names[task]: {
                    names[module.task]: round(value, 6)
                    for module, value in zip(self.modules, alpha.tolist(), strict=False)
                }
                for task, alpha in self.attention.items()
            },
            "reuse": {names[task]: facts for task, facts in self.decisions.items()},
        }
