"""``harmonia cite``: the references of what was used."""

from __future__ import annotations

from harmonia.cli.common import Speech


def cite(what: str, *, speech: Speech | None = None) -> None:
    """Print the BibTeX of what a run or a recipe uses.

    Parameters
    ----------
    what
        A run folder, a recipe's name or a recipe's YAML file.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.stages import citation

    record = citation(what)
    speech.say(record, lambda: record["bibtex"])
