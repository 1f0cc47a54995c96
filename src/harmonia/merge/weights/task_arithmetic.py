"""Task arithmetic: the base plus a multiple of the sum of task vectors."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.merge.weights.task_vectors import TaskVectorRule


class TaskArithmetic(TaskVectorRule):
    """The base plus a multiple of the sum of task vectors.

    theta_0 + lambda sum_i w_i tau_i. For many tasks lambda is 0.3 to 0.4. Ilharco et al. 2023 (arXiv 2212.04089).
    """

    kind: Literal["task-arithmetic"] = "task-arithmetic"
    references: ClassVar[tuple[str, ...]] = ("ilharco2023task",)
    main: ClassVar[str] = "scaling"
