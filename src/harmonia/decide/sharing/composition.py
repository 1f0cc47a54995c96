"""The settings of policies that build on earlier, frozen ones (CompoFormer: Hu et al. 2024, arXiv 2411.11364)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.part import one_of
from harmonia.decide.setting import Setting
from harmonia.decide.sharing.base import Sharing
from harmonia.decide.text.given import Given
from harmonia.decide.text.hashing import Hashing
from harmonia.decide.text.sentence_transformers import SentenceTransformers

if TYPE_CHECKING:
    from torch import Tensor


class Composition(Sharing):
    """Fields of the ways of sharing that compose earlier policies."""

    text: one_of(Hashing, SentenceTransformers, Given) = Field(default_factory=Hashing)  # type: ignore[valid-type]
    """How a task's description becomes a vector."""
    attention_steps: Annotated[int, Field(ge=0)] = 1000
    """Steps, of those of the task and at most a fifth of them, that fit the attention over earlier policies."""
    attention_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Learning rate of these steps."""
    qk_width: Annotated[int, Field(ge=1)] = 256
    """d_qk, length of queries and keys."""
    qk_init: Literal["random", "ones"] = "random"
    """Start of W_q and W_k; ones as in the released code, where they stay of rank 1 for ever."""
    update_qk: bool = False
    """Go on training the attention together with the task's own weights."""
    reuse_test: Literal["rollout", "offline", "never"] = "rollout"
    """When earlier policies serve a new task as they are. rollout: they succeed in its environment. offline: their
    error on validation windows is near that of a network fitted to this task alone for a short time. never: never."""
    reuse: Literal["top1", "soft"] = "top1"
    """What is tested, and reused: the earlier policy with the largest alpha, or the alpha-mixture of their actions."""
    eta: Annotated[float, Field(ge=0, le=1)] = 0.8
    """rollout: share of episodes that must succeed."""
    tau: Annotated[float, Field(ge=0)] = 0.1
    """offline: reuse when the error is at most 1 + tau times that of the short fit."""
    fit_steps: Annotated[int, Field(ge=1)] = 1000
    """offline: steps, of those of the task and at most a fifth of them, of the short fit."""
    memory: Annotated[float, Field(ge=0)] = 512.0
    """Megabytes for what earlier policies say of the training windows, which is computed once per window."""

    joint: ClassVar[bool] = False
    protects: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("hu2024compoformer",)

    def described(self, setting: Setting) -> Tensor:
        """Return the vectors of the tasks' descriptions: (n, C).

        Raises:
            InputError: two tasks have one name, or a task has no description.
        """
        import torch

        twice = [name for name in setting.names if list(setting.names).count(name) > 1]
        if twice:
            raise InputError(f"task {twice[0]} is listed twice; give each place in the stream a name of its own")
        return torch.from_numpy(self.text.encode(setting.names, setting.texts)).float().to(setting.device)
