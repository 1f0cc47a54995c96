"""What Fisher merging and RegMean read of an expert, measured on text and kept in a file in the expert's folder.

The model is gone through several times if what is measured does not fit the memory that it may take: each time some of
the tensors are measured and written, and then forgotten.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError, require, suggest
from harmonia.core.progress import bar
from harmonia.data.checkpoints import Slot, located, opened, written_file
from harmonia.data.checkpoints.adapter import CONFIG as ADAPTER
from harmonia.merge.matching import renamed
from harmonia.merge.sidecar import STATISTICS, sidecar
from harmonia.merge.texts import texts_of

if TYPE_CHECKING:
    from torch import Tensor

_TOKENS = 2048
"""Of a batch."""


def measure(
    expert: str | Path,
    statistic: str,
    text: Any,
    *,
    windows: int = 256,
    length: int = 512,
    memory: float = 2e9,
    seed: int = 0,
    text_column: str | None = None,
    allow_pytorch_bin: bool = False,
) -> dict[str, Any]:
    """Measure what a rule reads of an expert beside its weights, and write it into the expert's folder.

    ``fisher``: for every weight the mean over examples of the squared gradient of an example's mean loss per token, the
    empirical Fisher information; it takes a causal language model. ``gram``: for every linear layer the mean over
    tokens of x x^T, x its input; layers that are stored transposed, as those of GPT-2, have none.

    Args:
        expert: folder, name of the catalogue or Hub id of a model.
        statistic: ``fisher`` or ``gram``.
        text: files, a data set of the catalogue, or a list of texts of the expert's own domain.
        windows: of text, at most.
        length: tokens of a window.
        memory: bytes that the statistics may take at once; less means more passes.
        seed: draws the windows.
        text_column: column of the text.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.

    Returns:
        A JSON record: ``file``, ``statistic``, ``tensors``, ``windows``, ``tokens``, ``passes``, ``seconds``.

    Raises:
        InputError: a model that cannot be measured so, an unknown statistic, or no text.
        MissingExtraError: torch or transformers is not installed.
    """
    if statistic not in STATISTICS:
        raise InputError(f"no statistic {statistic!r}{suggest(statistic, STATISTICS)}")
    for option, value in (("windows", windows), ("length", length - 1)):
        if value < 1:
            raise InputError(f"--{option}: at least {1 if option == 'windows' else 2} is needed")
    require("torch", "merge")
    require("transformers", "merge")
    from harmonia.models.pretrained import load_model, load_tokenizer, longest_input
    from harmonia.models.windows import windows as drawn

    begun = time.perf_counter()
    folder = located(expert, allow_pytorch_bin)
    if (folder / ADAPTER).is_file() and not (folder / "config.json").is_file():
        raise InputError(
            f"{folder} is an adapter: harmonia merge {folder} --recipe linear --out RUN folds it into its base, then "
            "measure RUN/result/model"
        )
    checkpoint = opened(folder, allow_pytorch_bin)
    causal = any("CausalLM" in name or "LMHead" in name for name in checkpoint.config.get("architectures") or ())
    if statistic == "fisher" and not causal:
        raise InputError(
            f"{folder} is no causal language model ({checkpoint.config.get('architectures')}), so its text gives no "
            "loss to take gradients of: measure gram and merge by regmean"
        )
    tokenizer = load_tokenizer(str(folder))
    safe = any(folder.glob("*.safetensors"))
    model = load_model(str(folder), causal=causal, use_safetensors=safe)
    length = longest_input(tokenizer, model, length)
    ids = drawn(texts_of(text, text_column), tokenizer, length, windows, seed, "measure", named=_named(text))
    made = _Fisher(model, ids) if statistic == "fisher" else _Gram(model, ids)
    names = renamed(list(made.shapes), checkpoint.tensors)
    slots = {
        own: Slot(names[own], "F32", shape, int(np.prod(shape)))
        for own, shape in made.shapes.items()
        if names[own] in checkpoint.tensors
    }
    if not slots:
        raise InputError(f"{folder} has no weights of which {statistic} could be measured")
    groups = list(_groups({own: made.bytes(own) for own in slots}, memory))
    path = sidecar(folder, statistic)
    with written_file(path, list(slots.values())) as write, bar("measuring", len(groups) * len(ids)) as advance:
        for group in groups:
            for own, values in made.measured(group, advance):
                if not values.isfinite().all():
                    raise InputError(f"{folder}: {statistic} of {own} is NaN or infinite; are its weights sound?")
                write(slots[own].name, values)
    return {
        "file": str(path),
        "statistic": statistic,
        "tensors": len(slots),
        "windows": len(ids),
        "tokens": sum(map(len, ids)),
        "passes": len(groups),
        "bytes": path.stat().st_size,
        "seconds": time.perf_counter() - begun,
    }


def _named(text: Any) -> str:
    return str(text) if isinstance(text, str | Path) else "the text"


def _groups(sizes: Mapping[str, int], memory: float) -> Iterator[list[str]]:
    """Yield names that together take at most so much memory; what alone takes more is alone."""
    group: list[str] = []
    held = 0
    for name, size in sizes.items():
        if group and held + size > memory:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    yield group


class _Fisher:
    """Mean squared gradients of weights, one example after another.

    Attributes:
        shapes: of the weights, by name.
    """

    def __init__(self, model: Any, ids: Sequence[Sequence[int]]) -> None:
        self._model, self._ids = model, ids
        self._weights = dict(model.named_parameters())
        self.shapes = {name: tuple(weight.shape) for name, weight in self._weights.items()}

    def bytes(self, name: str) -> int:
        """Return what it takes to measure a weight: the sum, and a gradient."""
        return 8 * self._weights[name].numel()

    def measured(self, names: Sequence[str], advance: Callable[[float], None]) -> Iterator[tuple[str, Tensor]]:
        """Yield the statistic of some weights."""
        import torch

        from harmonia.models.perplexity import next_token_nats
        from harmonia.models.pretrained import padded

        weights = [self._weights[name].requires_grad_(True) for name in names]
        sums = [torch.zeros_like(weight) for weight in weights]
        try:
            for row in range(len(self._ids)):
                batch = padded(np.array([row]), self._ids, weights[0].device)
                with torch.enable_grad():
                    loss = next_token_nats(self._model(input_ids=batch.ids).logits, batch).sum() / (
                        batch.ids.shape[1] - 1
                    )
                for total, gradient in zip(sums, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
                    if gradient is not None:
                        total.addcmul_(gradient, gradient)
                advance(1)
        finally:
            for weight in weights:
                weight.requires_grad_(False)
        for name, total in zip(names, sums, strict=True):
            yield name, total.div_(len(self._ids)).cpu()


class _Gram:
    """Mean products of the inputs of linear layers; layers that share an input share the work.

    Attributes:
        shapes: (d_in, d_in), by name of the weight.
    """

    def __init__(self, model: Any, ids: Sequence[Sequence[int]]) -> None:
        import torch

        self._model, self._ids = model, ids
        owned = {id(weight): name for name, weight in model.named_parameters()}
        embeddings = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
        self._layers = {
            owned[id(module.weight)]: module
            for module in model.modules()
            if isinstance(module, torch.nn.Linear) and id(module.weight) in owned.keys() - embeddings
        }
        self.shapes = {name: (layer.in_features,) * 2 for name, layer in self._layers.items()}

    def bytes(self, name: str) -> int:
        """Return what it takes to measure a layer: a sum in float64 and one product."""
        return 12 * self._layers[name].in_features ** 2

    def measured(self, names: Sequence[str], advance: Callable[[float], None]) -> Iterator[tuple[str, Tensor]]:
        """Yield the statistic of some layers."""
        import torch

        from harmonia.models.pretrained import batches_by_length, padded

        seen = _Inputs()
        hooks = [self._layers[name].register_forward_pre_hook(seen.watch(name)) for name in names]
        try:
            for rows in batches_by_length(np.array([len(own) for own in self._ids]), _TOKENS):
                batch = padded(rows, self._ids, next(self._model.parameters()).device)
                seen.begin(batch.mask.bool())
                with torch.inference_mode():
                    self._model(input_ids=batch.ids, attention_mask=batch.mask)
                advance(len(rows))
        finally:
            for hook in hooks:
                hook.remove()
        for name in names:
            yield name, seen.mean(name, self._layers[name].in_features)


class _Inputs:
    """Sums of products of what enters layers."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._rows: Counter[str] = Counter()
        self._same: dict[str, str] = {}
        self._mask: Any = None
        self._last: tuple[str, Any] = ("", None)

    def begin(self, mask: Tensor) -> None:
        """Take a batch: (b, t), whether there is a token."""
        self._mask, self._last = mask, ("", None)

    def watch(self, name: str) -> Callable[[Any, tuple[Tensor, ...]], None]:
        """Return what looks at the input of a layer."""

        def hook(module: Any, inputs: tuple[Tensor, ...]) -> None:
            owner, last = self._last
            if inputs[0] is last:
                self._same[name] = owner
                return
            of_tokens = inputs[0].shape[:-1] == self._mask.shape  # a pooler sees a row for each sequence
            rows = (inputs[0][self._mask] if of_tokens else inputs[0].flatten(0, -2)).float()
            products = rows.T @ rows
            self._rows[name] += len(rows)
            self._sums[name] = self._sums[name].add_(products) if name in self._sums else products.double()
            self._last = name, inputs[0]

        return hook

    def mean(self, name: str, width: int) -> Tensor:
        """Return the mean product over tokens: (d, d) float32; zero of a layer that the model does not use."""
        import torch

        owner = self._same.get(name, name)
        if owner not in self._sums:
            return torch.zeros(width, width)
        return (self._sums[owner] / self._rows[owner]).float().cpu()
