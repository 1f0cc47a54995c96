"""Train a language model on a token stream for a fixed number of steps, and judge it in bits per byte.

The stream is cut into windows, shuffled anew in every pass; AdamW with linear warm-up and a cosine to a tenth of the
peak. Everything is a function of the seed and the step, so a training that is resumed from its checkpoint equals one
that was never interrupted. AdamW: Loshchilov and Hutter 2019 (arXiv 1711.05101); cosine: arXiv 1608.03983.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from harmonia.core.errors import InputError, RunError
from harmonia.core.files import atomic
from harmonia.core.progress import bar
from harmonia.core.seeds import generator
from harmonia.models.llama import Llama
from harmonia.models.tokenizer import END, encode

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Windows:
    """The endless sequence of training windows of one stream: pass after pass, each in an order of its own.

    A pass starts at a random offset and wraps around the end, so windows fall differently each time and a stream
    shorter than one window is repeated inside it.

    Args:
        stream: (tokens,) integers, documents each followed by the end of text.
        length: inputs per window; a window holds one token more, the last target.
        seed: seed of the order.
        path: words that tell this sequence from others of the same seed.

    Raises:
        InputError: the stream has fewer than 2 tokens.
    """

    def __init__(self, stream: np.ndarray, length: int, seed: int, *path: str | int) -> None:
        if len(stream) < 2:
            raise InputError("there is no text to train on; the selection is empty")
        self.stream = stream
        self.length = length
        self.per_pass = max(1, len(stream) // length)
        self.seed = seed
        self.path = path
        self._pass = -1
        self._starts = np.empty(0, np.int64)

    def _start(self, index: int) -> int:
        number, place = divmod(index, self.per_pass)
        if number != self._pass:
            random = generator(self.seed, "windows", *self.path, number)
            self._pass = number
            self._starts = random.integers(len(self.stream)) + random.permutation(self.per_pass) * self.length
        return int(self._starts[place])

    def take(self, first: int, count: int) -> np.ndarray:
        """Return windows ``first`` to ``first + count - 1`` of the sequence: (count, length + 1) int64."""
        starts = np.array([self._start(index) for index in range(first, first + count)], np.int64)
        return self.stream[(starts[:, None] + np.arange(self.length + 1)) % len(self.stream)].astype(np.int64)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: number of updates.
        peak: highest learning rate.
        warmup: updates of linear warm-up.
        floor: last learning rate as a share of the peak.
        weight_decay: AdamW's decay, on matrices only.
        betas: AdamW's averaging constants.
        clip: largest norm of the gradient.
    """

    steps: int = 500
    peak: float = 2e-3
    warmup: int = 50
    floor: float = 0.1
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0

    def rate(self, step: int) -> float:
        """Return the learning rate of update ``step`` (0-based).

        >>> schedule = Schedule(steps=101, peak=1.0, warmup=1)
        >>> schedule.rate(0), round(schedule.rate(100), 6)
        (1.0, 0.1)
        """
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - 1 - self.warmup)
        return self.peak * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(done, 1.0))) / 2)


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often the state of a training is kept.

    Attributes:
        path: one safetensors file: weights, moments of the optimiser, and a JSON record in its header.
        every: updates between two writings.
        identity: what the training is made of; a checkpoint of another identity is refused.
    """

    path: Path
    every: int = 100
    identity: Mapping[str, Any] = field(default_factory=dict)


Loss = Callable[[int, Tensor, Tensor], Tensor]
"""(step, windows (B, T + 1), loss of every token (B, T) in nats) -> the scalar to descend."""


def mean_loss(step: int, windows: Tensor, losses: Tensor) -> Tensor:
    """Return the mean over tokens."""
    return losses.mean()


def best_device(name: str = "auto") -> torch.device:
    """Return the device of a name; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        InputError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} is not here; use auto or cpu") from error


def token_losses(model: Llama, windows: Tensor) -> Tensor:
    """Return the cross entropy of every token given those before it: (B, T + 1) int64 -> (B, T) float32, in nats.

    On CUDA the network runs in bfloat16 with float32 weights and losses; on the CPU all is float32.
    """
    with torch.autocast(windows.device.type, torch.bfloat16, enabled=windows.is_cuda):
        logits = model(windows[:, :-1])
    return functional.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten(), reduction="none").view(
        len(windows), -1
    )


def train(
    model: Llama,
    batch: Callable[[int], np.ndarray],
    schedule: Schedule,
    *,
    loss: Loss = mean_loss,
    checkpoints: Checkpoints | None = None,
    device: str = "auto",
    description: str = "training",
) -> list[float]:
    """Train in place and return the loss of every step.

    Args:
        model: the model; it is moved to the device.
        batch: step -> windows (B, T + 1) int64, a function of the step alone.
        schedule: how long and how fast.
        loss: what to descend.
        checkpoints: where to keep the state; a training found there is continued.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        description: words for the progress bar.

    Raises:
        InputError: a checkpoint of another training lies at the path.
        RunError: the loss is not finite, or the checkpoint is damaged.
    """
    place = best_device(device)
    model.to(place).train()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}],
        betas=schedule.betas,
        fused=True,
    )
    curve = _restore(model, optimizer, schedule, checkpoints) if checkpoints else []
    with bar(description, schedule.steps) as advance:
        advance(len(curve))
        for step in range(len(curve), schedule.steps):
            windows = torch.from_numpy(batch(step)).to(place)
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(step)
            value = loss(step, windows, token_losses(model, windows))
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
            optimizer.step()
            curve.append(value.item())
            if not math.isfinite(curve[-1]):
                raise RunError(
                    f"{description}: the loss is {curve[-1]} at step {step}; lower the learning rate "
                    f"(now {schedule.peak:g})"
                )
            if checkpoints and ((step + 1) % checkpoints.every == 0 or step + 1 == schedule.steps):
                _keep(model, optimizer, schedule, checkpoints, curve)
            advance(1)
    model.eval()
    return curve


def _record(schedule: Schedule, checkpoints: Checkpoints) -> dict[str, Any]:
    return json.loads(json.dumps({"schedule": asdict(schedule), "identity": dict(checkpoints.identity)}))


def _keep(
    model: Llama, optimizer: torch.optim.Optimizer, schedule: Schedule, checkpoints: Checkpoints, curve: list[float]
) -> None:
    tensors = model.weights()
    for name, weight in model.named_parameters():
        for moment in ("exp_avg", "exp_avg_sq"):
            tensors[f"{moment}:{name}"] = optimizer.state[weight][moment].cpu().contiguous()
    record = {**_record(schedule, checkpoints), "curve": curve}
    with atomic(checkpoints.path) as temporary:
        save_file(tensors, temporary, metadata={"harmonia": json.dumps(record)})


def _restore(
    model: Llama, optimizer: torch.optim.Optimizer, schedule: Schedule, checkpoints: Checkpoints
) -> list[float]:
    path = checkpoints.path
    if not path.is_file():
        return []
    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})["harmonia"])
            curve: list[float] = record.pop("curve")
            if record != _record(schedule, checkpoints):
                raise InputError(f"{path} is a checkpoint of another training; remove it or choose another folder")
            for name, weight in model.named_parameters():
                weight.data.copy_(file.get_tensor(name))
                moments = {
                    moment: file.get_tensor(f"{moment}:{name}").to(weight.device)
                    for moment in ("exp_avg", "exp_avg_sq")
                }
                optimizer.state[weight] = {"step": torch.tensor(float(len(curve)), device=weight.device), **moments}
    except (SafetensorError, KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise RunError(f"{path} is damaged ({error}); remove it and start again") from error
    return curve


@torch.no_grad()
def bits_per_byte(model: Llama, tokenizer: Tokenizer, texts: Sequence[str], batch: int = 32) -> float:
    """Return the bits that the model needs per byte (UTF-8) of held-out texts.

    Each text is scored on its own, after an end of text as in training, in windows of the model's context that do
    not overlap; sum over texts of -log2 p, divided by the sum of their bytes. The measure does not depend on the
    tokenizer, so models with different vocabularies compare.

    Args:
        model: a trained model.
        tokenizer: its tokenizer.
        texts: held-out texts.
        batch: windows per forward pass; it changes speed only.

    Raises:
        InputError: the texts are empty.
    """
    size = sum(len(text.encode()) for text in texts)
    if not size:
        raise InputError("no held-out text to measure bits per byte on; every document is empty")
    place, length = model.cos.device, model.config.context
    end = np.array([tokenizer.token_to_id(END)])
    sequences = [np.concatenate([end, tokens]) for tokens in encode(tokenizer, texts)]
    # windows of like length stand together, so that padding is rare
    pieces = sorted((s[i : i + length + 1] for s in sequences for i in range(0, len(s) - 1, length)), key=len)
    nats = 0.0
    for first in range(0, len(pieces), batch):
        group = pieces[first : first + batch]
        windows = np.full((len(group), len(group[-1])), end[0], np.int64)
        real = np.zeros((len(group), len(group[-1]) - 1), bool)
        for row, piece in enumerate(group):
            windows[row, : len(piece)] = piece
            real[row, : len(piece) - 1] = True
        losses = token_losses(model, torch.from_numpy(windows).to(place)).cpu().double().numpy()
        nats += float(losses[real].sum())
    return nats / math.log(2) / size
