"""Numbers as people read them: counts, shares, bytes and durations in words short enough for a table."""

from __future__ import annotations

import math
import unicodedata
from typing import Any, TypeGuard

NOTHING = "–"


def known(x: Any) -> TypeGuard[float]:
    """Return whether ``x`` is a finite number."""
    return isinstance(x, int | float) and math.isfinite(x)


def count(x: Any) -> str:
    """Return a whole number with separators.

    >>> count(1234567), count(None)
    ('1,234,567', '–')
    """
    return f"{round(x):,}" if known(x) else NOTHING


def short(x: Any) -> str:
    """Return a count to three digits with a unit letter.

    >>> short(950), short(12_345), short(1.5e9), short(999_999)
    ('950', '12.3 k', '1.50 G', '1.00 M')
    """
    if not known(x):
        return NOTHING
    if abs(x) < 999.5:
        return value(x) if x != round(x) else str(round(x))
    for scale, letter in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        digits = abs(x) / scale
        if digits < 999.5 or letter == "T":
            return f"{x / scale:.{2 if digits < 9.995 else 1 if digits < 99.95 else 0}f} {letter}"
    raise AssertionError


def value(x: Any) -> str:
    """Return a real number to four significant digits.

    >>> value(0.123456), value(1234.5), value(0.00001234), value(float("nan")), value(0.99999)
    ('0.1235', '1,234', '1.234e-05', '–', '1.000')
    """
    if not known(x):
        return NOTHING
    if x == 0:
        return "0"
    if not 1e-4 <= abs(x) < 1e7:
        return f"{x:.4g}"
    x = float(f"{x:.4g}")
    return f"{x:,.{max(0, 3 - math.floor(math.log10(abs(x))))}f}"


def brief(x: Any) -> str:
    """Return a real number to two significant digits, for crowded tables.

    >>> brief(0.0683), brief(12.3), brief(0.99999), brief(1234)
    ('0.068', '12', '1', '1,234')
    """
    return NOTHING if not known(x) else f"{x:,.0f}" if abs(x) >= 99.5 else f"{x:.2g}"


def signed(x: Any) -> str:
    """Return a real number with its sign.

    >>> signed(0.5), signed(-0.25)
    ('+0.5000', '−0.2500')
    """
    return NOTHING if not known(x) else ("−" if x < 0 else "+") + value(abs(x))


def cosine(x: Any) -> str:
    """Return a cosine to two digits.

    >>> cosine(0.123), cosine(-0.5), cosine(-0.001)
    ('0.12', '−0.50', '0.00')
    """
    return f"{x:.2f}".replace("-0.00", "0.00").replace("-", "−") if known(x) else NOTHING


def percent(share: Any) -> str:
    """Return a share as a percentage to about three digits.

    >>> percent(0.015625), percent(0.5), percent(0.00004), percent(0), percent(-0.5)
    ('1.56 %', '50.0 %', '< 0.01 %', '0 %', '−50.0 %')
    """
    if not known(share):
        return NOTHING
    if share == 0:
        return "0 %"
    if 0 < share < 1e-4:
        return "< 0.01 %"
    return f"{100 * share:.{2 if abs(share) < 0.0995 else 1}f} %".replace("-", "−")


def points(difference: Any) -> str:
    """Return a difference of shares in percentage points, with its sign.

    >>> points(0.125), points(-0.0301), points(0.0)
    ('+12.5', '−3.0', '+0.0')
    """
    return (
        NOTHING
        if not known(difference)
        else ("−" if round(1000 * difference) < 0 else "+") + (f"{abs(100 * difference):.1f}")
    )


def bounds(low: float, high: float) -> str:
    """Return the ends of an interval of a share.

    >>> bounds(0.1, 0.25)
    '[10.0, 25.0] %'
    """
    return f"[{100 * low:.1f}, {100 * high:.1f}] %"


def rounded(share: Any) -> str:
    """Return a share in whole percent, for tables that say so.

    >>> rounded(0.567), rounded(None)
    ('57', '–')
    """
    return f"{100 * share:.0f}" if known(share) else NOTHING


def ratio(part: Any, whole: Any) -> str:
    """Return how many times ``whole`` goes into ``part``.

    >>> ratio(3, 2), ratio(1, 0)
    ('× 1.50', '–')
    """
    return f"× {part / whole:.2f}" if known(part) and known(whole) and whole else NOTHING


def size(amount: Any) -> str:
    """Return bytes in binary units.

    >>> size(512), size(3 * 2**20)
    ('512 B', '3.00 MiB')
    """
    if not known(amount):
        return NOTHING
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    step = min(int(math.log2(amount) // 10), 4) if amount >= 1 else 0
    digits = amount / 2 ** (10 * step)
    places = 0 if step == 0 or digits >= 99.95 else 1 if digits >= 9.995 else 2
    return f"{digits:.{places}f} {units[step]}"


def duration(seconds: Any) -> str:
    """Return a time span in its two largest units.

    >>> duration(0.0123), duration(12.34), duration(125), duration(7384)
    ('12 ms', '12.3 s', '2 min 5 s', '2 h 3 min')
    """
    if not known(seconds):
        return NOTHING
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def visible(text: str) -> str:
    r"""Return a text without control characters and direction overrides, which could disguise what stands beside it.

    >>> visible("a\u202eb\x00c\nd")
    'abc\nd'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c
        for c in text
        if c in "\n\t" or not (unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in _STEERING)
    )


_STEERING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))


def excerpt(text: str, length: int) -> str:
    r"""Return the start of a text on one line, with an ellipsis where it was cut.

    >>> excerpt("two  words\nand more", 10)
    'two words…'
    """
    line = " ".join(visible(text[: 4 * length]).split())
    return line if len(line) <= length and len(text) <= 4 * length else line[:length].rstrip() + "…"


def middle(word: str, length: int) -> str:
    """Return a long identifier with its middle cut out, both ends kept.

    >>> middle("shard-0001/part-17.parquet#00042", 17)
    'shard-00…et#00042'
    """
    word = visible(word)
    if len(word) <= length:
        return word
    head = (length - 1) // 2
    return f"{word[:head]}…{word[len(word) - (length - 1 - head) :]}"
