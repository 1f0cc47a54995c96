"""A classifier as a function of flat vectors, one per client: a backbone that gives features, and a head.

Layout of a vector: [backbone | head]. Many clients run in one pass (``torch.func.vmap``); one client runs plainly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator
from harmonia.federate.head.base import Head, HeadMap
from harmonia.federate.needs import Sizes
from harmonia.models.flat import FlatNetwork

if TYPE_CHECKING:
    from harmonia.models.classifiers import Architecture


def first_model(
    network: Architecture,
    head: Head,
    shape: tuple[int, ...],
    classes: int,
    seed: int,
    device: str | torch.device = "cpu",
) -> ClientModel:
    """Return a model whose first weights depend on the seed alone, so that they are the same everywhere.

    Args:
        network: the backbone.
        head: settings of the head.
        shape: of one example.
        classes: C.
        seed: of the run.
        device: where it is to live.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "network").integers(2**62)))
        backbone = network.build(shape)
    return ClientModel(backbone.to(device), head, classes, network.features, seed)


class _Body(nn.Module):
    """A module with its parameters named as a flat network's body."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.body = backbone

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.body(inputs)
        return found


class ClientModel:
    """What every client trains.

    Args:
        backbone: a module from inputs (B, ...) to features (B, d). It keeps no running statistics.
        head: its settings.
        classes: C.
        features: d.
        seed: of the head's first weights.

    Raises:
        InputError: the backbone keeps running statistics, or the head cannot have so many classes.
    """

    def __init__(self, backbone: nn.Module, head: Head, classes: int, features: int, seed: int) -> None:
        kept = [name for name, _ in backbone.named_buffers() if "running" in name or "num_batches" in name]
        if kept:
            raise InputError(
                f"the model keeps running statistics ({kept[0]}), which are one client's own and cannot be averaged "
                "safely: use GroupNorm, or BatchNorm with track_running_stats=False"
            )
        self.network = FlatNetwork(_Body(backbone).requires_grad_(True))
        self.part = head
        self.head: HeadMap = head.build(classes, features, seed)
        self.classes, self.width = classes, features
        self._first = self.network.initial()
        self.backbone = slice(0, self.network.size)
        self.size = self.network.size + self.head.size
        stays = head.private or head.frozen
        self.shared = slice(0, self.network.size if stays else self.size)
        """Coordinates that travel and are averaged; a private head stays, a frozen one is drawn from the seed."""

    @property
    def sizes(self) -> Sizes:
        """Sizes by which messages are planned."""
        shared = self.shared.stop
        return Sizes(shared, self.head.size if self.part.private else 0, self.classes, self.width)

    def initial(self) -> Tensor:
        """Return the first weights: (P + H,)."""
        return torch.cat([self._first, self.head.initial().to(self._first)]) if self.head.size else self._first.clone()

    def features(self, vectors: Tensor, inputs: Tensor) -> Tensor:
        """Return features: (m, P), (m, B, ...) -> (m, B, d)."""
        bodies = vectors[:, self.backbone]
        if len(vectors) == 1:
            found: Tensor = self.network(bodies[0], _by_pixel(inputs[0]))[None]
            return found
        return self._side_by_side(bodies, inputs)

    def _side_by_side(self, bodies: Tensor, inputs: Tensor) -> Tensor:
        every: Tensor = torch.func.vmap(self.network, randomness="different")(bodies, inputs)
        return every

    def logits(
        self, vectors: Tensor, features: Tensor, counts: Tensor | None, mode: Literal["local", "global"]
    ) -> Tensor:
        """Return logits: (m, P), (m, B, d) -> (m, B, C)."""
        return self.head.logits(vectors[:, self.network.size :], features, counts, mode)

    def differentiate(
        self, vectors: Tensor, inputs: Tensor, counts: Tensor, losses: Callable[[Tensor, Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of each client and its gradient: (m,) and (m, P).

        Args:
            vectors: (m, P) where to take them.
            inputs: (m, B, ...) a batch of each client.
            counts: (m, C) examples per class of each client.
            losses: from features (m, B, d) and local logits (m, B, C) to (m,).
        """
        head = vectors[:, self.network.size :].detach().requires_grad_(True)
        if len(vectors) == 1:
            self.network.load(vectors[0, self.backbone])
            leaves: list[Tensor] = [*self.network.parameters]
            features = self.network.module(_by_pixel(inputs[0]))[None]
        else:
            leaves = [vectors[:, self.backbone].detach().requires_grad_(True)]
            features = self._side_by_side(leaves[0], inputs)
        found = losses(features, self.head.logits(head, features, counts, "local"))
        if self.head.size:
            leaves.append(head)
        gradients = torch.autograd.grad(found.sum(), leaves, materialize_grads=True)
        return found.detach(), torch.cat([gradient.reshape(len(vectors), -1) for gradient in gradients], dim=1)


def _by_pixel(inputs: Tensor) -> Tensor:
    """Lay images out with the channels of a pixel side by side, in which convolutions and pooling are faster."""
    if inputs.dim() != 4:
        return inputs
    _, channels, _, width = inputs.shape
    laid = inputs.contiguous(memory_format=torch.channels_last)
    # strides say it where the shape does not, with one channel
    return laid.as_strided(laid.shape, (laid[0].numel(), 1, channels * width, channels))
