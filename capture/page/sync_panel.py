"""One stream's evidence as a panel: how late its arrivals came, and how far its clock probes are from the fit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from capture.page.markup import Markup, element, joined
from capture.page.panels import Panel
from capture.page.time_axis import TimeAxis, number_text, round_numbers, round_up
from lab.aligned import StreamReport, SyncEvidence
from lab.clock_map import ClockMap

Float64 = npt.NDArray[np.float64]

_HEAD: Final = 34.0
_DELAYS: Final = 74.0
_PROBES: Final = 64.0
_NOTHING: Final = 28.0
_BETWEEN: Final = 14.0
#: Up to so many arrivals are dots; more are drawn as what lies in each column: all, the middle 80 %, the median.
_DOTS: Final = 1500
_COLUMN: Final = 2.0
#: The delay that 99 % stay below does not set the scale if it is so many times the one that 90 % do.
_FAR: Final = 5.0
_TICKS: Final = 5
_LONGEST_NAME: Final = 40
_BAND_POINTS: Final = 240
#: Times beyond this (3,000 years) are no clock readings.
_CLOCK_LIMIT_S: Final = 1e11


@dataclass(frozen=True)
class _Scale:
    """``low`` to ``high`` (seconds) from ``bottom`` up to ``top``, written in ``unit`` of ``unit_s`` seconds."""

    low: float
    high: float
    top: float
    bottom: float
    unit: str
    unit_s: float

    def place(self, values: npt.ArrayLike) -> Float64:
        """Return the heights of values, none beyond the ends."""
        share = (np.clip(np.asarray(values, dtype=np.float64), self.low, self.high) - self.low) / (self.high - self.low)
        return np.asarray(self.bottom - share * (self.bottom - self.top))

    def at(self, value: float) -> float:
        """Return the height of one value."""
        return float(self.place(value))


def _scale(low: float, high: float, top: float, bottom: float) -> _Scale:
    reach = max(abs(low), abs(high))
    unit, unit_s = next(((name, size) for name, size in (("s", 1.0), ("ms", 1e-3)) if reach >= size), ("\u00b5s", 1e-6))
    return _Scale(low, high, top, bottom, unit, unit_s)


def sync_panel(axis: TimeAxis, evidence: SyncEvidence, report: StreamReport) -> Panel:
    """Draw a stream.

    Above, what each arrival was later than the fitted time of its sample; below, each clock probe's offset less the
    fitted one, with half its round trip as a bar: the truth lies within it. Red bands are gaps. What lies beyond a
    scale is drawn at its edge, as a triangle.
    """
    arrived, probed = bool(evidence.arrival_s.size), bool(evidence.probe_s.size)
    top, middle = _HEAD, _HEAD + (_DELAYS if arrived else _NOTHING)
    low = middle + _BETWEEN
    height = low + (_PROBES if probed else _NOTHING) + 8
    parts = _heading(axis, report)
    parts += _delays(axis, evidence, top, middle)
    parts += _probes(axis, evidence, low, height - 8)
    for left, right in _gaps(axis, evidence.gaps_s):
        parts.append(
            element(
                "rect",
                element("title", "gap"),
                class_="gap",
                x=f"{left:.1f}",
                y=f"{top:.0f}",
                width=f"{right - left:.1f}",
                height=f"{middle - top:.0f}",
            )
        )
    if not report.in_sync:
        mark = element("rect", class_="out", x=0, y=0, width=4, height=f"{height - 6:.0f}")
        wash = element("rect", class_="wash", x=0, y=0, width=f"{axis.right + 96:.0f}", height=f"{height - 6:.0f}")
        parts = [wash, mark, *parts]
    return Panel(height, joined(parts))


def is_time(seconds: Float64) -> npt.NDArray[np.bool_]:
    """Tell, for each number, whether it can be a time or a difference of two."""
    return np.asarray(np.abs(seconds) < _CLOCK_LIMIT_S)


def _heading(axis: TimeAxis, report: StreamReport) -> list[Markup]:
    name = report.stream if len(report.stream) <= _LONGEST_NAME else report.stream[: _LONGEST_NAME - 1] + "\u2026"
    facts = [f"time from {report.method}", f"{report.samples:,} samples"]
    if report.lost or report.gaps or report.lost_ambiguous:
        gaps = f"{report.gaps} gap{'s' if report.gaps != 1 else ''}"
        facts.append(f"lost {'about ' if report.lost_ambiguous else ''}{report.lost:,} in {gaps}")
    if np.isfinite(report.uncertainty_p99_ms):
        facts.append(f"error p50 {report.uncertainty_p50_ms:.3g} ms, p99 {report.uncertainty_p99_ms:.3g} ms")
    elif report.samples:
        facts.append("nothing bounds its error")
    if np.isfinite(report.drift_ppm):
        facts.append(f"drift {round(report.drift_ppm):+d} ppm".replace("-", "\u2212"))
    if report.latency_s:
        facts.append(f"{report.latency_s * 1e3:g} ms latency subtracted")
    word, style = ("in sync", "good") if report.in_sync else ("OUT OF SYNC", "bad")
    said = element("tspan", word, class_=style, dx=10)
    title = element("title", report.stream)
    return [
        element("text", title, name, said, class_="panel", x=10, y=14),
        element("text", " \u00b7 ".join(facts), class_="facts", x=axis.left + 130, y=14),
    ]


def _gaps(axis: TimeAxis, gaps_s: Float64) -> list[tuple[float, float]]:
    """Return (from, to) places of gaps; those within a column become one, and each is wide enough to be seen."""
    out: list[tuple[float, float]] = []
    for from_s, to_s in gaps_s.tolist():
        if not axis.shows(from_s, to_s):
            continue
        left, right = axis.at(from_s), axis.at(to_s)
        middle, half = (left + right) / 2, max((right - left) / 2, 1.0)
        if out and middle - half <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], middle + half)
        else:
            out.append((middle - half, middle + half))
    return out


def _delays(axis: TimeAxis, evidence: SyncEvidence, top: float, bottom: float) -> list[Markup]:
    parts = [element("text", "arrivals", class_="channel", x=axis.left - 52, y=f"{top + 12:.0f}")]
    parts.append(element("text", "late by", class_="channel quiet", x=axis.left - 52, y=f"{top + 26:.0f}"))
    shown = is_time(evidence.arrival_s) & is_time(evidence.delay_s)
    time_s, delay_s = evidence.arrival_s[shown], evidence.delay_s[shown]
    if not time_s.size:
        return [*parts, _nothing(axis, top, bottom, "no arrivals to fit: the stamps are taken as they are")]
    scale = _delay_scale(delay_s, top, bottom)
    parts += _frame(axis, scale)
    x = axis.place(time_s)
    inside = (x >= axis.left - 1) & (x <= axis.right + 1)
    x, delay_s = x[inside], delay_s[inside]
    if x.size <= _DOTS:
        parts.append(_path("dots", _dots(x, scale.place(delay_s))))
    else:
        parts += _columns(x, delay_s, scale)
    beyond = delay_s > scale.high * (1 + 1e-9)
    early = delay_s < scale.low - 1e-12
    parts.append(_triangles(x[beyond], top, down=False))
    parts.append(_triangles(x[early], bottom, down=True))
    largest = element("text", f"latest {_short(float(delay_s.max(initial=0.0)))}", class_="number start")
    return [*parts, _moved(largest, axis.right + 8, top + 10)]


def _delay_scale(delay_s: Float64, top: float, bottom: float) -> _Scale:
    """Reach a little beyond the delay that 99 % stay below, or as far as shows the others where that one is far away.

    A few that came far too early do not set it either.
    """
    most, all_but_some = (float(np.quantile(delay_s, share)) for share in (0.9, 0.99))
    high = 1.15 * (min(all_but_some, _FAR * most) if most > 0 else all_but_some)
    low = min(0.0, 1.15 * float(np.quantile(delay_s, 0.01)))
    return _scale(low, max(high, low + 1e-5, 1e-6), top, bottom)


def _columns(x: Float64, delay_s: Float64, scale: _Scale) -> list[Markup]:
    """Draw many arrivals: all of a column as a light bar, the middle 80 % as a dark one, the median as a line."""
    order = np.lexsort((delay_s, np.floor(x / _COLUMN)))
    column, delay_s = np.floor(x / _COLUMN)[order], delay_s[order]
    starts = np.flatnonzero(np.diff(column, prepend=-np.inf))
    counts = np.diff(np.append(starts, column.size))
    at = column[starts] * _COLUMN

    def ranked(share: float) -> Float64:
        return np.asarray(scale.place(delay_s[starts + np.round(share * (counts - 1)).astype(np.intp)]))

    def bars(low: Float64, high: Float64) -> str:
        return "".join(
            f"M{left:.0f} {bottom:.1f}h{_COLUMN:.0f}V{top:.1f}h-{_COLUMN:.0f}z"
            for left, bottom, top in zip(at.tolist(), (low + 0.4).tolist(), (high - 0.4).tolist(), strict=True)
        )

    middle = "".join(f"M{left:.0f} {y:.1f}h{_COLUMN:.0f}" for left, y in zip(at.tolist(), ranked(0.5), strict=True))
    return [
        _path("all", bars(ranked(0.0), ranked(1.0))),
        _path("most", bars(ranked(0.1), ranked(0.9))),
        _path("median", middle),
    ]


def _probes(axis: TimeAxis, evidence: SyncEvidence, top: float, bottom: float) -> list[Markup]:
    parts = [element("text", "clock probes", class_="channel", x=axis.left - 52, y=f"{top + 12:.0f}")]
    parts.append(element("text", "less the fit", class_="channel quiet", x=axis.left - 52, y=f"{top + 26:.0f}"))
    shown = is_time(evidence.probe_s) & is_time(evidence.probe_error_s)
    if not shown.any():
        return [*parts, _nothing(axis, top, bottom, "no clock probes: its host's time was taken for session time")]
    error_s, used = evidence.probe_error_s[shown], evidence.probe_used[shown]
    half_s = np.where(is_time(evidence.round_trip_s[shown]), evidence.round_trip_s[shown] / 2, 0.0)
    x = axis.place(evidence.probe_s[shown])
    time_s, se_s = _standard_error(axis, evidence.clock)
    scale = _probe_scale(error_s, half_s, used, se_s, top, bottom)
    parts += _frame(axis, scale)
    if np.isfinite(se_s).any():
        parts.append(_path("band", _band(axis.place(time_s), se_s, scale)))
    parts.append(element("line", class_="fit", x1=axis.left, x2=axis.right, y1=_f(scale.at(0)), y2=_f(scale.at(0))))
    inside = (x >= axis.left - 1) & (x <= axis.right + 1)
    for kind, chosen in (("used", used & inside), ("unused", ~used & inside)):
        held = chosen & (np.abs(error_s) <= scale.high)
        bars = "".join(
            f"M{place:.1f} {low:.1f}V{high:.1f}"
            for place, low, high in zip(
                x[held].tolist(),
                scale.place(error_s[held] - half_s[held]).tolist(),
                scale.place(error_s[held] + half_s[held]).tolist(),
                strict=True,
            )
        )
        parts.append(_path(f"bars {kind}", bars))
        parts.append(_path(f"probe {kind}", _dots(x[held], scale.place(error_s[held]))))
    parts.append(_triangles(x[inside & (error_s > scale.high)], top, down=False))
    parts.append(_triangles(x[inside & (error_s < scale.low)], bottom, down=True))
    unused = int(np.count_nonzero(~used))
    lines = [f"{used.size} probes"]
    lines += [f"{np.count_nonzero(~inside)} not shown here"] if not inside.all() else []
    lines += [f"{unused} not believed"] if unused else []
    lines += [] if half_s.any() else ["round trips", "not known"]
    for number, line in enumerate(lines):
        parts.append(_moved(element("text", line, class_="number start"), axis.right + 8, top + 10 + 13 * number))
    return parts


def _probe_scale(
    error_s: Float64, half_s: Float64, used: npt.NDArray[np.bool_], se_s: Float64, top: float, bottom: float
) -> _Scale:
    """Reach as far to both sides as 95 % of the probes that were believed, with their bars, and as the fit's error."""
    reach = np.abs(error_s) + half_s
    wide = [float(np.quantile(reach[used] if used.any() else reach, 0.95))]
    wide += [float(np.median(se_s[np.isfinite(se_s)]))] if np.isfinite(se_s).any() else []
    held = max(1.2 * max(wide), 1e-6)
    return _scale(-held, held, top, bottom)


def _standard_error(axis: TimeAxis, clock: ClockMap) -> tuple[Float64, Float64]:
    """Return times over the axis and the standard error of the clock map there; both in seconds."""
    time_s = np.linspace(axis.from_s, axis.to_s, _BAND_POINTS)
    ends = [(piece.knot_s[[0, -1]] + piece.offset_s[[0, -1]]) for piece in clock.pieces]
    borders = [float(before[1] + after[0]) / 2 for before, after in pairwise(ends)]
    owner = np.searchsorted(np.maximum.accumulate(borders) if borders else np.zeros(0), time_s)
    out = np.empty(time_s.size)
    for number, piece in enumerate(clock.pieces):
        own = owner == number
        host_s = time_s[own] - piece.offset_s[0]
        for _ in range(3):  # the offset changes by some ppm of a second: this is soon exact
            host_s = time_s[own] - piece.offset(host_s)
        out[own] = piece.standard_error(host_s)
    return time_s, out


def _band(x: Float64, se_s: Float64, scale: _Scale) -> str:
    se_s = np.nan_to_num(se_s, posinf=scale.high)
    over = [f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), scale.place(se_s).tolist(), strict=True)]
    under = [f"{a:.1f} {b:.1f}" for a, b in zip(x[::-1].tolist(), scale.place(-se_s[::-1]).tolist(), strict=True)]
    return "M" + "L".join([*over, *under]) + "z"


def _frame(axis: TimeAxis, scale: _Scale) -> list[Markup]:
    """Draw the ground of a scale with its numbers."""
    parts = [
        element(
            "rect", class_="ground", x=_f(axis.left), y=_f(scale.top), width=_f(axis.width),
            height=_f(scale.bottom - scale.top),
        )
    ]  # fmt: skip
    low, high = scale.low / scale.unit_s, scale.high / scale.unit_s
    step = round_up((high - low) / _TICKS)
    for number in round_numbers(low, high, _TICKS):
        y = scale.at(number * scale.unit_s)
        parts.append(element("line", class_="grid", x1=_f(axis.left), x2=_f(axis.right), y1=_f(y), y2=_f(y)))
        text = f"{number_text(number, step)} {scale.unit}"
        parts.append(element("text", text, class_="number", x=_f(axis.left - 6), y=_f(y + 3.5)))
    return parts


def _nothing(axis: TimeAxis, top: float, bottom: float, text: str) -> Markup:
    return element("text", text, class_="quiet", x=_f(axis.left + 8), y=_f((top + bottom) / 2 + 4))


def _moved(text: Markup, x: float, y: float) -> Markup:
    return element("g", text, transform=f"translate({x:.1f} {y:.1f})")


def _dots(x: Float64, y: Float64) -> str:
    places = dict.fromkeys((f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True)))
    return "".join(f"M{place}h0" for place in places)


def _triangles(x: Float64, y: float, *, down: bool) -> Markup:
    turn = 5 if down else -5
    base = y - turn
    marks = "".join(f"M{place - 3:.0f} {base:.0f}h6l-3 {turn}z" for place in np.unique(np.round(x)).tolist())
    return _path("beyond", marks)


def _path(style: str, data: str) -> Markup:
    return element("path", class_=style, d=Markup(data)) if data else Markup()


def _f(value: float) -> str:
    return f"{value:.1f}"


def _short(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} \u00b5s"
