"""Target texts: the few examples of a domain that an objective compares the pool with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonia.core.seeds import stable_hash
from harmonia.select.context import Context
from harmonia.select.examples import examples
from harmonia.select.features.base import AligningEncoder, Encoder
from harmonia.select.pool import Pool


def targets_of(paths: Sequence[str], texts: Sequence[str], encoder: Encoder, what: str) -> list[str]:
    """Return the target texts of an objective: its own, or those that the encoder was tuned on.

    Args:
        paths: files of target texts.
        texts: target texts given directly.
        encoder: the encoder of the pool's features.
        what: kind of the objective, for messages.

    Raises:
        InputError: there are none, or a file cannot be read.
    """
    if not paths and not texts and isinstance(encoder, AligningEncoder) and encoder.targets:
        return list(encoder.targets)
    return examples(paths, texts, f"{what}.target")


def warn_of_overlap(targets: list[str], pool: Pool, context: Context, what: str) -> None:
    """Warn when a document of the pool is a target: it would be chosen for being itself."""
    if pool.texts is None:
        return
    wanted = stable_hash(targets)
    rows = np.concatenate(
        [
            np.zeros(0, np.int64),
            *(np.flatnonzero(np.isin(stable_hash(texts), wanted)) + block.start for block, texts in pool.texts()),
        ]
    )
    if len(rows):
        names = ", ".join(repr(pool.name_of(int(row))) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
        context.warn(
            f"{what}: {len(rows)} document{'s' * (len(rows) > 1)} of the pool ({names}) "
            "are in the target too; drop them if the target is also a test set"
        )
