"""Hidden states of prompts, one vector for each layer and expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Examples
    from harmonia.models.pretrained import TokenBatch


def prompt_states(model: Any, examples: Examples, *, last: bool, ffn: bool) -> list[Tensor]:
    """Return, for each layer, the mean state of each expert's prompts, minus that of its negative ones, at length 1.

    Args:
        model: dense decoder.
        examples: prompts of each expert.
        last: the state of the last token of a prompt, or the mean of all.
        ffn: the state that enters the feed-forward layer, or the layer.

    Returns:
        (l, d) float64 for each layer.
    """
    import torch

    found = [_mean_states(model, batches, last, ffn) for batches in examples.positive]
    without = [_mean_states(model, batches, last, ffn) for batches in examples.negative]
    rows = [mine - without[number] if without else mine for number, mine in enumerate(found)]
    return list(torch.nn.functional.normalize(torch.stack(rows, dim=1), dim=-1))


def _mean_states(model: Any, batches: Sequence[TokenBatch], last: bool, ffn: bool) -> Tensor:
    """Return the mean over prompts: (layers, d) float64."""
    import torch

    from harmonia.models.mixture.mixture import positions

    layers = model.model.layers
    seen: dict[int, Tensor] = {}
    hooks = []
    for number, layer in enumerate(layers):

        def keep(_: Any, args: tuple[Any, ...], options: dict[str, Any], number: int = number) -> None:
            seen[number] = args[0] if args else options["hidden_states"]

        place = layer.mlp if ffn else layer
        hooks.append(place.register_forward_pre_hook(keep, with_kwargs=True))
    total = torch.zeros(len(layers), model.config.hidden_size, dtype=torch.float64)
    count = 0
    try:
        for batch in batches:
            with torch.no_grad():
                model.model(
                    input_ids=batch.ids,
                    attention_mask=batch.mask,
                    position_ids=positions(batch.mask),
                    use_cache=False,
                )
            shown = batch.mask.bool()
            if last:
                places = torch.arange(shown.shape[1], device=shown.device)
                shown = shown & (places == (shown * places).amax(dim=1, keepdim=True))
            share = shown.double() / shown.double().sum(dim=1, keepdim=True).clamp_min(1)
            for number in range(len(layers)):
                total[number] += (seen[number].double() * share[..., None]).sum(dim=(0, 1)).cpu()
            count += int(shown.any(dim=1).sum())
    finally:
        for hook in hooks:
            hook.remove()
    return total / max(count, 1)
