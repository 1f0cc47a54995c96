"""What a person looks at: self-contained pages and tables for the terminal, drawn from stored figures alone."""

from __future__ import annotations

from harmonia.core.verb import callable_package
from harmonia.report.pages import report as run

__all__ = ["run"]

callable_package(__name__)
