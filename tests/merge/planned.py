"""Small fine-tunes of one small base, and the plan to merge them."""

from __future__ import annotations

import torch
from tests.data.checkpoints.saved import drawn, moved, saved

from harmonia.data.checkpoints import open_checkpoint
from harmonia.merge.plan import plan

SHAPES = {"embed_tokens.weight": (50, 9), **{f"layers.{i}.weight": (31, 9) for i in range(6)}, "norm.weight": (9,)}


def models(tmp_path, dtype=torch.float32, experts=3, shapes=SHAPES, shards=1):
    base = drawn(0, shapes, dtype)
    held = [base, *(moved(base, i + 1) for i in range(experts))]
    return held, [open_checkpoint(saved(tmp_path / f"m{i}", t, shards)) for i, t in enumerate(held)]


def planned(tmp_path, **options):
    held, (base, *experts) = models(tmp_path, **options)
    return held, plan(experts, base)
