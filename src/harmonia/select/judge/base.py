"""The judge axis: what a selection is worth, measured on held-out documents of every source."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harmonia.core.errors import InputError
from harmonia.core.part import Part


@dataclass(frozen=True)
class Exam:
    """What is the same for every selection that is compared.

    Attributes:
        held_out: source -> texts that no selection could take (see ``hold_out``).
        vocabulary: texts of the pool from which a shared tokenizer is learned; the same for every selection.
        seed: seed of the training.
        folder: where judges keep what selections share, and checkpoints to resume from.
    """

    held_out: Mapping[str, Sequence[str]]
    vocabulary: Sequence[str]
    seed: int
    folder: Path


class Judge(Part):
    """Measures a selection."""

    @abstractmethod
    def judge(self, name: str, texts: Sequence[str], exam: Exam) -> dict[str, float]:
        """Return the measures of one selection.

        Args:
            name: of the selection; it may become the name of a folder inside ``exam.folder``.
            texts: the selected documents, in any order.
            exam: what the selection is measured on.

        Returns:
            ``bpb/<source>``, ``bpb/mean`` and ``bpb/worst``, bits per byte where less is better, and facts of the
            training such as ``epochs``.

        Raises:
            InputError: the selection or the held-out part holds no text.
            MissingExtraError: the library it needs is not installed.
        """


def summary(bits: Mapping[str, float]) -> dict[str, float]:
    """Return bits per byte of each source with their mean and the worst, every source counting the same.

    Raises:
        InputError: there is no source.

    >>> summary({"law": 2.0, "mail": 3.0})
    {'bpb/law': 2.0, 'bpb/mail': 3.0, 'bpb/mean': 2.5, 'bpb/worst': 3.0}
    """
    if not bits:
        raise InputError("there are no held-out documents to judge on; hold out at least one source")
    values = list(bits.values())
    return {
        **{f"bpb/{source}": value for source, value in bits.items()},
        "bpb/mean": sum(values) / len(values),
        "bpb/worst": max(values),
    }
