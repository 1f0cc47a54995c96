"""Small dense experts in folders, and the mixtures that they make."""

from __future__ import annotations

import torch
from tests.models.pruned import tiny

from harmonia.data.checkpoints import open_checkpoint
from harmonia.merge.bridging import NoBridging
from harmonia.merge.mixture.building import build_mixture
from harmonia.merge.routing.examples import Examples
from harmonia.merge.weights import Linear
from harmonia.models.mixture.folder import load

PAIR = Examples([[tiny.batch(seed=1)], [tiny.batch(seed=2)]])
TRIPLE = Examples([[tiny.batch(seed=seed)] for seed in (1, 2, 3)])


def kept(model, folder):
    model.save_pretrained(folder)
    return open_checkpoint(folder)


def family(tmp_path, experts=3, moved=0.05, kind="llama", **options):
    """Return a base and fine-tunes of it, as models and as checkpoints."""
    base = tiny.llama(kind, **options)
    models = [base]
    for number in range(experts):
        model = tiny.llama(kind, **options)
        noise = torch.Generator().manual_seed(number + 1)
        for tensor in model.parameters():
            tensor.add_(moved * torch.randn(tensor.shape, generator=noise))
        models.append(model)
    return models, [kept(model, tmp_path / f"m{number}") for number, model in enumerate(models)]


def built(tmp_path, experts, routing, *, base=None, rule=None, bridging=None, name="mixture", **options):
    """Return a mixture of experts, loaded."""
    done = build_mixture(
        experts,
        tmp_path / name,
        rule=rule or Linear(),
        routing=routing,
        bridging=bridging or NoBridging(),
        base=base,
        **options,
    )
    return load(done.folder)


def logits(model, batch):
    with torch.no_grad():
        return model(input_ids=batch.ids, attention_mask=batch.mask).logits


def shown(logits, batch):
    """Return the logits of tokens that are no padding."""
    return logits[batch.mask.bool()]
