import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.report.plots import Scale, Series, histogram, intervals, lines


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_linear_ticks_are_round_inside_and_even(low, span):
    ticks = Scale(low, low + span, 0, 100).ticks()
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-6 * span <= t <= low + span * (1 + 1e-6) for t in ticks)
    steps = np.diff(ticks)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6, atol=1e-9 * max(abs(low), 1))
    assert f"{steps[0]:.6e}".rstrip("0e+-123456789")[0] in "125" or f"{steps[0]:e}"[0] in "1259"


@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e6))
def test_log_scale_is_monotone_and_hits_its_ends(low, times):
    scale = Scale(low, low * times, 10, 110, log=True)
    assert scale(low) == pytest.approx(10) and scale(low * times) == pytest.approx(110)
    assert scale(low * math.sqrt(times)) == pytest.approx(60, abs=1e-6)
    assert all(low * (1 - 1e-6) <= t <= low * times * (1 + 1e-6) for t in scale.ticks())


def test_a_scale_holds_values_inside():
    assert Scale(0, 1, 0, 10)(5) == 10 and Scale(1, 10, 0, 10, log=True)(0) == 0


def parsed(markup):
    return ElementTree.fromstring(str(markup))


def test_a_band_runs_along_its_lower_end_and_back_along_its_upper():
    series = Series("a", "c0", [5.0, 5.0, 5.0], ([4.0, 0.0, math.nan], [6.0, 10.0, math.nan]))
    svg = parsed(lines([series], [0, 1, 2], x_label="x", y_label="y", describe="d", y_range=(0.0, 10.0)))
    (band,) = (path.get("d") for path in svg.iter() if (path.get("class") or "").startswith("around"))
    points = [tuple(map(float, pair.split(","))) for pair in band.strip("MZ").split("L")]
    up = Scale(0, 10, 270 - 44, 12)
    assert [y for _, y in points] == pytest.approx([up(4), up(0), up(10), up(6)], abs=0.06)
    assert points[0][0] == points[3][0] < points[1][0] == points[2][0]


def test_the_axis_has_room_for_a_band():
    alone = str(lines([Series("a", "c0", [1.0, 2.0])], [0, 1], x_label="x", y_label="y", describe="d"))
    wide = Series("a", "c0", [1.0, 2.0], ([1.0, 0.0], [1.0, 40.0]))
    banded = str(lines([wide], [0, 1], x_label="x", y_label="y", describe="d"))
    assert ">40<" in banded and ">40<" not in alone


def test_small_figures_at_an_axis_are_short():
    drawn = str(lines([Series("a", "c0", [0.0, 1.0])], [0.0, 0.5], x_label="seconds", y_label="y", describe="d"))
    assert ">0.2<" in drawn and "0.2000" not in drawn


def test_lines_draw_the_data_where_they_are():
    svg = parsed(lines([Series("a", "pool", [0.0, 5.0, 10.0])], [0, 1, 2], x_label="x", y_label="y", describe="d"))
    path = next(e for e in svg.iter("path") if e.get("class") == "line pool").get("d")
    (x0, y0), (x1, y1), (x2, y2) = [tuple(map(float, p.split(","))) for p in path[1:].split("L")]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11) and y0 - y1 == pytest.approx(y1 - y2, abs=0.11) and y0 > y1
    bands = list(svg.iter("rect"))
    assert len(bands) == 3 and bands[1].get("data-tip") == "x 1 a: 5.000"
    assert svg.get("role") == "img" and svg.get("aria-label") == "d"


def test_lines_survive_gaps_short_series_and_zeros_on_a_log_axis():
    svg = lines(
        [Series("a", "pool", [1.0, math.nan, 0.0, 0.1]), Series("b", "picks", [0.5])],
        [1, 2, 3, 4],
        x_label="x",
        y_label="y",
        describe="d",
        log_y=True,
    )
    assert "nan" not in re.sub(r'data-tip="[^"]*"', "", str(svg))
    parsed(svg)
    assert "nothing to draw" in lines([Series("a", "pool", [])], [], x_label="x", y_label="y", describe="d")
    assert "nothing to draw" in lines([Series("a", "pool", [math.nan])], [1], x_label="x", y_label="y", describe="d")


def test_histograms_compare_shares_not_counts():
    svg = parsed(
        histogram(
            [0, 1, 2], [Series("pool", "pool", [10, 30]), Series("picks", "picks", [1, 3])], x_label="x", describe="d"
        )
    )
    fill, line = (
        next(e for e in svg.iter("path") if e.get("class") == c).get("d") for c in ("fill pool", "line picks")
    )
    assert fill.rstrip("Z") == line
    tips = [e.get("data-tip") for e in svg.iter("rect")]
    assert tips[0] == "0 to 1.000 pool: 25.0 % picks: 25.0 %"
    assert "nothing to draw" in histogram([0, 1], [Series("pool", "pool", [0])], x_label="x", describe="d")


def test_words_in_plots_are_escaped():
    for drawn in (
        lines([Series("<b>", "pool", [1, 2])], [1, 2], x_label="<i>", y_label="<u>", describe='"<s>', mark=(1, "<q>")),
        histogram([0, 1], [Series("<b>", "pool", [1])], x_label="<i>", describe='"<s>'),
        *intervals([(1, 0, 2, "good", '"<b>')], (0, 2)),
    ):
        assert not {e.tag for e in parsed(drawn).iter()} & set("biusq")


def test_an_interval_without_an_estimate_is_an_empty_row():
    drawn, empty = intervals([(1.0, 0.5, 1.5, "good", "a"), (math.nan, math.nan, math.nan, "even", "b")], (0, 2))
    assert "circle" in drawn and "circle" not in empty and "zero" in empty
