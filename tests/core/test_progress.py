"""The bar: silent where nobody looks, and with words behind it where somebody does."""

from __future__ import annotations

import io

from harmonia.core import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(monkeypatch):
    """Let the test's stderr be a terminal; pytest takes stderr back between a fixture and its test."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    return screen


def test_words_stand_behind_the_bar_until_there_are_others(monkeypatch):
    terminal = watched(monkeypatch)
    with progress.bar("rounds", 3) as advance:
        advance(1, "accuracy 12.5 %")
        advance(1)
    assert "accuracy 12.5 %" in terminal.getvalue() and "2/3" in terminal.getvalue()


def test_a_bar_without_words_has_none(monkeypatch):
    terminal = watched(monkeypatch)
    with progress.bar("reading", 2) as advance:
        advance(2)
    assert "2/2" in terminal.getvalue() and "None" not in terminal.getvalue()


def test_no_bar_where_nobody_looks(monkeypatch):
    quiet = io.StringIO()
    monkeypatch.setattr("sys.stderr", quiet)
    with progress.bar("rounds", 3) as advance:
        advance(1, "accuracy 12.5 %")
    assert quiet.getvalue() == ""
