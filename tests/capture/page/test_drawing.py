"""What is drawn is what was measured: no spike is lost, no gap is bridged, no text becomes markup."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.page.markup import LONGEST_TEXT, Markup, element, escape
from capture.page.panels import Line, Row, frames_panel, lines_panel, rows_panel
from capture.page.stick_figure import stick_figure
from capture.page.time_axis import TimeAxis, number_text, round_numbers, round_up
from capture.page.traces import gaps_of, path_data, trace_of
from lab.joints import JOINTS

AXIS = TimeAxis(100.0, 110.0, 100.0, 50.0, 40.0)


def points(data: str) -> list[list[tuple[int, int]]]:
    """Read a path back: the points of each of its lines, in tenths of a unit."""
    lines = []
    for piece in data.split("M")[1:]:
        start, _, rest = piece.partition("h" if "h" in piece else "l")
        x, y = (int(number) for number in start.split())
        line = [(x, y)]
        if "l" in piece:
            numbers = [int(number) for number in re.findall(r"-?\d+", rest)]
            for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
                x, y = x + dx, y + dy
                line.append((x, y))
        lines.append(line)
    return lines


@given(st.integers(0, 2**32 - 1), st.integers(1, 5000))
def test_each_column_reaches_as_far_as_its_samples(seed, count):
    rng = np.random.default_rng(seed)
    time_s = np.sort(rng.uniform(100.0, 110.0, count))
    values = rng.standard_cauchy(count)
    values[rng.random(count) < 0.1] = np.nan
    trace = trace_of(AXIS, time_s, values, np.inf)
    column, kept = (np.floor((when - 100.0) / 10.0 * 40).astype(int) for when in (time_s, trace.time_s))
    for number in np.unique(column[np.isfinite(values)]):
        here = values[(column == number) & np.isfinite(values)]
        drawn = trace.values[kept == number]
        assert (drawn.min(), drawn.max()) == (here.min(), here.max())
        assert (drawn[0], drawn[-1]) == (here[0], here[-1])
    assert trace.time_s.size <= max(4 * 41, np.count_nonzero(np.isfinite(values)) * (count <= 4 * 40))


def test_a_line_breaks_at_gaps_and_absent_values_and_nowhere_else():
    time_s = 100.0 + np.arange(100) / 10
    values = np.zeros(100)
    values[30] = np.nan
    present = np.r_[0:60, 62:100]
    trace = trace_of(AXIS, time_s[present], values[present], 0.15)
    assert trace.time_s[trace.breaks].tolist() == pytest.approx([100.0, 103.1, 106.2])
    many = 100.0 + np.arange(10_000) / 1000
    trace = trace_of(AXIS, np.delete(many, np.r_[4000:4500]), np.sin(np.delete(many, np.r_[4000:4500])), 0.0015)
    assert trace.time_s.size <= 4 * 40 + 4
    assert trace.time_s[trace.breaks].tolist() == pytest.approx([100.0, 104.5])


def test_a_path_says_where_its_points_are():
    x, y = np.array([0.0, 1.04, 5.0, 7.0, 9.0]), np.array([3.0, -2.0, 8.0, 8.0, 1.0])
    breaks = np.array([False, False, True, False, True])
    data = path_data(x, y, breaks)
    assert points(data) == [[(0, 30), (10, -20)], [(50, 80), (70, 80)], [(90, 10)]]
    assert data.endswith("M90 10h1")
    assert path_data(x[:0], y[:0], breaks[:0]) == ""


def test_gaps_within_a_column_become_one():
    time_s = np.r_[100.0:104.0:0.01, 105.0:110.0:0.01]
    assert gaps_of(AXIS, time_s, 0.02) == [pytest.approx((50 + 3.99 * 4, 70.0))]
    assert len(gaps_of(AXIS, time_s[::2], 0.015)) == 1
    assert gaps_of(AXIS, time_s[:1], 0.02) == []


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(1, 12))
def test_numbers_of_an_axis_lie_on_it_and_are_few(low, span, most):
    numbers = round_numbers(low, low + span, most)
    assert len(numbers) <= most + 1
    rounding = span * 1e-6 + 4 * np.spacing(abs(low) + span)
    assert all(low - rounding <= number <= low + span + rounding for number in numbers)


def test_numbers_are_written_as_people_write_them():
    assert [number_text(value, 0.5) for value in (-0.5, 0.0, 1.5)] == ["\u22120.5", "0.0", "1.5"]
    assert [number_text(value, 20.0) for value in (-20.0, 40.0)] == ["\u221220", "40"]
    assert [round_up(value) for value in (0.03, 1.0, 2.1, 70.0, 0.0, np.nan)] == [0.05, 1.0, 5.0, 100.0, 1.0, 1.0]
    assert round_numbers(np.nan, 1.0, 3) == round_numbers(2.0, 1.0, 3) == []


@given(st.text(st.characters(), max_size=200))
def test_no_text_becomes_markup(text):
    made = element("p", text, title=text)
    assert made.count("<") == 2
    assert made.count('"') == 2
    made.encode()
    assert not re.search("[\x00-\x08\u202e]", made)


def test_a_text_without_end_is_cut_and_markup_is_left_alone():
    assert len(escape("x" * 10**6)) == LONGEST_TEXT
    assert element("b", Markup("<i>x</i>"), class_=None, data_x=1) == '<b data-x="1"><i>x</i></b>'
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def line(values, rate_hz=100.0, label="one"):
    return Line(label, 100.0 + np.arange(len(values)) / rate_hz, np.asarray(values, dtype=float), 1.5 / rate_hz)


@pytest.mark.parametrize(
    "values", [[], [np.nan] * 50, [5.0], [1e300, -1e300, 0.0], [0.0] * 1000, [np.inf, 1.0, -np.inf]]
)
def test_panels_draw_whatever_there_is(values):
    with np.errstate(over="ignore", invalid="ignore"):
        panels = (
            lines_panel(AXIS, "title", "m", [line(values), line([1.0, 2.0])]),
            rows_panel(AXIS, "title", "m", [Row(line(values), line([1.0, 2.0]))], shared_scale=True, row_height=30.0),
            rows_panel(AXIS, "title", "m", [Row(line(values))], shared_scale=False, row_height=30.0),
            frames_panel(AXIS, [("view1", np.asarray(values)[np.isfinite(values)], 0.04)]),
        )
    for panel in panels:
        assert panel.height > 0
        assert "nan" not in panel.body.lower()
        assert "inf" not in panel.body.lower()


def test_an_outlier_is_marked_and_does_not_flatten_its_row():
    values = np.random.default_rng(1).normal(0, 10, 1000)
    calm = rows_panel(AXIS, "sEMG", "µV", [Row(line(values))], shared_scale=True, row_height=30.0)
    assert "beyond" not in calm.body
    values[500] = 5000.0
    loud = rows_panel(AXIS, "sEMG", "µV", [Row(line(values))], shared_scale=True, row_height=30.0)
    assert 'class="beyond"' in loud.body
    assert "\u00b15,000" in loud.body
    reach = float(re.search("reaches \u00b1([\\d.]+)", loud.body)[1])
    assert 30 < reach < 100


def test_a_stick_figure_stands_on_its_feet_and_lacks_what_is_absent():
    positions_m = np.full((len(JOINTS), 3), np.nan)
    assert "no pose" in stick_figure(positions_m, 100.0, "pose")
    positions_m[JOINTS.index("right_hip")] = (0.0, -0.1, 0.9)
    positions_m[JOINTS.index("left_hip")] = (0.0, 0.1, 0.9)
    positions_m[JOINTS.index("right_knee")] = (0.1, -0.1, 0.5)
    figure = stick_figure(positions_m, 100.0, "pose")
    assert figure.count('class="bone"') == 2  # from the front and from the side
    assert figure.count('class="bone left"') == 2
    assert "circle" not in figure
    assert "nan" not in figure
