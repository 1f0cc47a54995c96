"""Weights of experts that differ from tensor to tensor: patterns of names, the first that matches decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harmonia.core.errors import InputError

Patterns = Mapping[str, Sequence[float]]
"""Regular expression, found anywhere in a tensor's name -> w_i, one for each expert."""


def read_patterns(path: str | Path) -> dict[str, list[float]]:
    """Read patterns from a YAML or JSON file, a mapping of pattern to weights, in the order of the file.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    try:
        record = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: weights of tensors cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(record, dict) or not record or not all(map(_are_numbers, record.values())):
        raise InputError(
            f"{path}: a mapping of patterns to the experts' weights is needed, for instance layers.0: [1, 0.5, 0]"
        )
    return {str(pattern): [float(x) for x in counts] for pattern, counts in record.items()}


def counts_of(patterns: Patterns, names: Iterable[str], experts: int) -> dict[str, list[float]]:
    r"""Return the weights of every tensor that a pattern matches.

    Args:
        patterns: the first that matches a name decides.
        names: of the tensors that are merged.
        experts: n.

    Raises:
        InputError: a pattern that is none, that matches no tensor or only what others matched before, or whose weights
            are not one for each expert.

    >>> counts_of({r"layers\.0\.": [1, 0], "layers": [0, 1]}, ["embed", "layers.0.up", "layers.1.up"], 2)
    {'layers.0.up': [1.0, 0.0], 'layers.1.up': [0.0, 1.0]}
    """
    compiled = {}
    for pattern, counts in patterns.items():
        try:
            compiled[pattern] = re.compile(pattern)
        except re.error as error:
            raise InputError(f"weights of {pattern!r}: not a regular expression ({error})") from error
        if len(counts) != experts:
            raise InputError(f"weights of {pattern!r}: {len(counts)} for {experts} experts; give one for each")
    found, used, names = {}, set(), list(names)
    for name in names:
        first = next((pattern for pattern, way in compiled.items() if way.search(name)), None)
        if first is not None:
            found[name] = [float(count) for count in patterns[first]]
            used.add(first)
    idle = next((pattern for pattern in patterns if pattern not in used), None)
    if idle is not None:
        why = "earlier patterns match all that it does" if any(map(compiled[idle].search, names)) else "matches none"
        raise InputError(f"weights of {idle!r}: {why} of the tensors, which are called like {names[0]}")
    return found


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(x, int | float) and not isinstance(x, bool) for x in value)
