"""Plots as inline SVG: no script is needed to read them, and a hover band per point carries its numbers.

Every function returns markup in which all words are escaped; colours come from the page's CSS classes
(``pool``, ``picks``, ``random``, ...), so one drawing serves the light and the dark theme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harmonia.report.numbers import short, value, visible

WIDTH, HEIGHT = 480.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 14.0, 12.0, 44.0
COLOURS = 8
"""Curves with a colour of their own; the others share one."""


@dataclass(frozen=True)
class Scale:
    """Data to pixels along one axis, linear or logarithmic."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, x: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        x = min(max(x, self.low), self.high)
        return self.start + (self.stop - self.start) * ((math.log(x) if self.log else x) - low) / ((high - low) or 1.0)

    def ticks(self, at_most: int = 6) -> list[float]:
        """Return round numbers inside the range.

        >>> Scale(0, 10, 0, 1).ticks(), Scale(1, 1000, 0, 1, log=True).ticks()
        ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [1.0, 10.0, 100.0, 1000.0])
        """
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            step = max(1, math.ceil((high - low) / (at_most - 1)))
            first = math.ceil(low - 1e-9)
            powers = [10.0**e for e in range(first, math.floor(high + 1e-9) + 1, step)]
            if len(powers) >= 2:
                return powers
            return [
                m * 10.0**e
                for e in range(math.floor(low), math.ceil(high) + 1)
                for m in (1, 2, 5)
                if self.low <= m * 10.0**e <= self.high
            ]
        span = (self.high - self.low) or 1.0
        raw = span / (at_most - 1)
        power = 10.0 ** math.floor(math.log10(raw))
        step_size = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step_size - 1e-9)
        return [i * step_size for i in range(first, math.floor(self.high / step_size + 1e-9) + 1)]


@dataclass(frozen=True)
class Series:
    """One line or histogram.

    Attributes:
        name: what it is.
        role: its CSS class.
        y: its heights.
        band: lower and upper ends of what is drawn around a line, or None.
    """

    name: str
    role: str
    y: Sequence[float]
    band: tuple[Sequence[float], Sequence[float]] | None = None


def roles(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the CSS class of each name, in order: a colour each while there are any."""
    return [(f"c{min(place, COLOURS)}", name) for place, name in enumerate(names)]


def lines(
    series: Sequence[Series],
    x: Sequence[float],
    *,
    x_label: str,
    y_label: str,
    describe: str,
    log_x: bool = False,
    log_y: bool = False,
    mark: tuple[float, str] | None = None,
    y_range: tuple[float, float] | None = None,
    y_words: Callable[[float], str] = value,
    whole_x: bool = False,
) -> Markup:
    """Return curves over common x values; a series may be shorter than ``x``.

    Args:
        series: the curves.
        x: (n,) ascending values.
        x_label: words under the x axis.
        y_label: words beside the y axis.
        describe: what the plot shows, for readers who do not see it.
        log_x: logarithmic x axis.
        log_y: logarithmic y axis; values of 0 and below are left out.
        mark: a vertical line at an x value, with its label.
        y_range: fixed range of the y axis.
        y_words: how a y value is written.
        whole_x: x values are counts, so only whole numbers stand at the axis.
    """
    drawn = [ys for s in series for ys in (s.y, *(s.band or ()))]
    heights = [y for ys in drawn for y in ys if math.isfinite(y) and (y > 0 or not log_y)]
    if not heights or len(x) == 0:
        return nothing("nothing to draw")
    low, high = y_range or (min(heights), max(heights))
    if log_y:
        low = max(low, high * 1e-6)
    elif y_range is None:
        low = min(low, 0.0) if low < 0.5 * high else low
        pad = 0.04 * ((high - low) or abs(high) or 1.0)
        low, high = (low if low == 0 else low - pad), high + pad
    across = Scale(x[0], x[-1] if x[-1] > x[0] else x[0] + 1, LEFT, WIDTH - RIGHT, log_x)
    up = Scale(low, high if high > low else low * 1.1 + 1e-12, HEIGHT - BOTTOM, TOP, log_y)
    body = Markup("")
    for s in series:
        if s.band:
            ends = [(across(a), up(y), up(z)) for a, y, z in zip(x, *s.band, strict=False) if math.isfinite(y + z)]
            path = "L".join(
                f"{a:.1f},{b:.1f}" for a, b in [*((a, y) for a, y, _ in ends), *((a, z) for a, _, z in reversed(ends))]
            )
            body += Markup('<path class="around {}" d="{}"/>').format(s.role, f"M{path}Z" if ends else "")
    for s in series:
        points = [
            (across(a), up(y)) for a, y in zip(x, s.y, strict=False) if math.isfinite(y) and (y >= up.low or not log_y)
        ]
        path = "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in points)
        body += Markup('<path class="line {}" d="{}"/>').format(s.role, path)
        if len(points) == 1:
            body += Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(s.role, *points[0])
    if mark is not None:
        at = across(mark[0])
        side = "end" if at > WIDTH * 0.6 else "start"
        body += Markup(
            '<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
            '<text class="mark" x="{3:.1f}" y="{4}" text-anchor="{5}">{6}</text>'
        ).format(at, TOP, HEIGHT - BOTTOM, at + (-6 if side == "end" else 6), TOP + 10, side, mark[1])
    for i, a in enumerate(x):
        left = across(a) if i == 0 else (across(x[i - 1]) + across(a)) / 2
        right = across(a) if i == len(x) - 1 else (across(a) + across(x[i + 1])) / 2
        measured = (s for s in series if i < len(s.y) and math.isfinite(s.y[i]))
        tip = "\n".join([f"{x_label} {short(a)}", *(f"{s.name}: {y_words(s.y[i])}" for s in measured)])
        body += _band(left, max(right - left, 1.0), tip)
    return _framed(
        body,
        across,
        up,
        x_label=x_label,
        y_label=y_label,
        describe=describe,
        y_words=y_words,
        whole_x=whole_x,
    )


def histogram(
    edges: Sequence[float],
    series: Sequence[Series],
    *,
    x_label: str,
    describe: str,
    log_x: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> Markup:
    """Return overlaid histograms, each as shares of its own total, so that sets of unequal size compare.

    Args:
        edges: (bins + 1,) ascending.
        series: counts per bin; the first is filled, the others are outlines.
        x_label: words under the x axis.
        describe: what the plot shows.
        log_x: logarithmic x axis.
        marks: (mean, CSS class) drawn as ticks on the axis.
    """
    shares = [[c / (sum(s.y) or 1) for c in s.y] for s in series]
    top = max((y for share in shares for y in share), default=0.0)
    if top == 0 or len(edges) < 2:
        return nothing("nothing to draw")
    across = Scale(edges[0], edges[-1], LEFT, WIDTH - RIGHT, log_x)
    up = Scale(0.0, top * 1.06, HEIGHT - BOTTOM, TOP)
    body = Markup("")
    for index, (s, share) in enumerate(zip(series, shares, strict=True)):
        if not any(share):
            continue
        path = (
            f"M{across(edges[0]):.1f},{up(0):.1f}"
            + "".join(f"V{up(y):.1f}H{across(edges[i + 1]):.1f}" for i, y in enumerate(share))
            + f"V{up(0):.1f}"
        )
        kind, end = ("fill", "Z") if index == 0 else ("line", "")
        body += Markup('<path class="{} {}" d="{}{}"/>').format(kind, s.role, path, end)
    for at, role in marks:
        a = across(at)
        body += Markup('<path class="dot {}" d="M{:.1f},{:.1f}l-5,9h10Z"/>').format(role, a, HEIGHT - BOTTOM)
    for i in range(len(edges) - 1):
        tip = "\n".join(
            [
                f"{value(edges[i])} to {value(edges[i + 1])}",
                *(f"{s.name}: {100 * share[i]:.1f} %" for s, share in zip(series, shares, strict=True)),
            ]
        )
        left = across(edges[i])
        body += _band(left, across(edges[i + 1]) - left, tip)
    return _framed(
        body,
        across,
        up,
        x_label=x_label,
        y_label="share of documents",
        describe=describe,
        y_words=lambda y: f"{100 * y:g} %",
    )


def intervals(rows: Sequence[tuple[float, float, float, str, str]], span: tuple[float, float]) -> list[Markup]:
    """Return one row of a forest plot each: a point with its interval on a scale common to all rows.

    Args:
        rows: (estimate, low, high, CSS class, tip); an estimate of nan draws an empty row.
        span: range of the common scale; 0 is drawn where it lies inside.
    """
    width, height = 260.0, 26.0
    across = Scale(span[0], span[1] if span[1] > span[0] else span[0] + 1, 8, width - 8)
    drawn = []
    for estimate, low, high, role, words in rows:
        tip = visible(words)
        body = Markup('<line class="grid zero" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"/>').format(across(0.0), height)
        if math.isfinite(estimate):
            if math.isfinite(low) and math.isfinite(high):
                body += Markup('<line class="interval {}" x1="{:.1f}" x2="{:.1f}" y1="13" y2="13"/>').format(
                    role, across(low), across(high)
                )
            body += Markup('<circle class="dot {}" cx="{:.1f}" cy="13" r="4.5"/>').format(role, across(estimate))
        drawn.append(
            Markup('<svg class="forest" viewBox="0 0 {} {}" role="img" aria-label="{}" data-tip="{}">{}</svg>').format(
                width, height, tip, tip, body
            )
        )
    return drawn


def spark(shares: Sequence[float], words: str, mark: int | None = None) -> Markup:
    """Return a curve of shares small enough for a line of a table, on a scale from 0 to 1.

    Args:
        shares: heights along the curve.
        words: what it shows, with its figures.
        mark: index of the point that is marked.
    """
    width, height = 120.0, 26.0
    across, up = Scale(0, max(len(shares) - 1, 1), 5, width - 5), Scale(0.0, 1.0, height - 4, 4)
    points = [(across(i), up(y)) for i, y in enumerate(shares) if math.isfinite(y)]
    tip = visible(words)
    body = Markup('<line class="grid" x1="0" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(f"{width:g}", up(0), up(0))
    if points:
        path = "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in points)
        body += Markup('<path class="line picks" d="{}"/>').format(path)
    if mark is not None and math.isfinite(shares[mark]):
        body += Markup('<circle class="dot picks" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(
            across(mark), up(shares[mark])
        )
    return Markup('<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}" data-tip="{}">{}</svg>').format(
        f"{width:g}", f"{height:g}", tip, tip, body
    )


def nothing(why: str) -> Markup:
    """Return a quiet line in the place of a plot."""
    return Markup('<p class="quiet">{}</p>').format(why)


def _band(left: float, width: float, tip: str) -> Markup:
    return Markup('<rect class="band" x="{:.1f}" y="{}" width="{:.1f}" height="{}" data-tip="{}"/>').format(
        left, TOP, width, HEIGHT - TOP - BOTTOM, visible(tip)
    )


def _framed(
    body: Markup,
    across: Scale,
    up: Scale,
    *,
    x_label: str,
    y_label: str,
    describe: str,
    y_words: Callable[[float], str],
    whole_x: bool = False,
) -> Markup:
    left, right, bottom = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    axes = Markup("")
    for y in up.ticks():
        axes += Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
            '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        ).format(left, right, up(y), up(y), left - 6, up(y) + 4, _tick(y, up, y_words))
    for x in across.ticks(6):
        if whole_x and abs(x - round(x)) > 1e-9:
            continue
        axes += Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            across(x), bottom + 22, _tick(x, across, short)
        )
    axes += Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, right, bottom, bottom)
    axes += Markup('<text class="label" x="{}" y="{}" text-anchor="end">{}</text>').format(right, HEIGHT - 4, x_label)
    axes += Markup('<text class="label" x="{}" y="{}">{}</text>').format(2, HEIGHT - 4, f"↑ {y_label}")
    return Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        f"{WIDTH:g}", f"{HEIGHT:g}", describe, axes, body
    )


def _tick(x: float, scale: Scale, words: Callable[[float], str]) -> str:
    if scale.log and x < 1:
        return f"{x:.0e}".replace("e-0", "e-") if x < 0.001 else f"{x:g}"
    if words in (value, short):
        words = short if abs(x) >= 1000 else lambda y: f"{y:.3g}"
    if words is short and abs(x) >= 1000:
        digits, letter = short(x).split()
        return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits} {letter}"
    return words(float(f"{x:.6g}"))
