"""Columns with labels and units -> signals in which repetitions can be looked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.errors import RequestError
from lab.motion_signal import MotionSignal, SignalKind
from lab.streams import COUNTER_LABEL
from sync.point_columns import is_body, metres, point_columns
from sync.signal_kinds import kind_by_words, looks_like_emg

#: How a unit of length is written, and what it is in metres.
LENGTHS: Final[dict[str, float]] = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1.0),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1e-3),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 1e-2),
}
#: Points that a gait program computes and writes among the markers; they are no places in the room.
_COMPUTED: Final = re.compile(r"(?i).*(angles?|moments?|powers?|forces?|grf|grm|cop|scores?)\d*")
_ANGLES: Final = re.compile(r"(?i).*angles?\d*")
#: Fewer points say too little about their own middle.
_FEWEST_POINTS: Final = 3
#: A point further than this, in whatever unit, is none.
_FARTHEST: Final = 1e12


@dataclass(frozen=True)
class Columns:
    """A table of channels: ``values`` (n, channels) at ``time_s`` (n,), with what is said of each channel."""

    name: str
    time_s: npt.NDArray[np.float64]
    values: npt.NDArray[Any]
    labels: tuple[str, ...]
    units: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    content_type: str = ""


def chosen(labels: Sequence[str], patterns: Sequence[str]) -> list[int]:
    """Return the indices of the labels that any of the patterns fit, in order; all where there is no pattern."""
    if not patterns:
        return list(range(len(labels)))
    return [
        index for index, label in enumerate(labels) if any(_fits(label, pattern) for pattern in patterns)
    ]  # fmt: skip


def _fits(label: str, pattern: str) -> bool:
    name, wanted = label.strip().lower(), pattern.strip().lower()
    return name == wanted or fnmatchcase(name, wanted)


def check_patterns(labels: Sequence[str], patterns: Sequence[str], where: str) -> None:
    """Raise RequestError for a pattern of ``--columns`` that fits nothing."""
    for pattern in patterns:
        if not any(_fits(label, pattern) for label in labels):
            shown = ", ".join(label[:40] for label in labels[:12] if label) or "nothing"
            raise RequestError(
                f"{where} has no column '{pattern[:60]}', but {len(labels)}: {shown}; correct --columns (* fits any)"
            )


def signals_of_points(
    name: str,
    time_s: npt.NDArray[np.float64],
    positions: npt.NDArray[Any],
    labels: Sequence[str],
    unit: str,
) -> tuple[list[MotionSignal], list[str]]:
    """Return the signals in ``positions`` (n, points, 3) of points with ``labels``, and what is to be said of them.

    A point at exactly (0, 0, 0) is absent. Points of no label (``*12``) and computed ones are no body's.
    """
    real = [index for index, label in enumerate(labels) if not _COMPUTED.fullmatch(label)]
    named = [index for index in real if not label_is_none(labels[index])]
    real = named if len(named) >= _FEWEST_POINTS else real
    angles = [index for index, label in enumerate(labels) if _ANGLES.fullmatch(label)]
    signals: list[MotionSignal] = []
    notes: list[str] = []
    if real:
        picked = positions[:, real].astype(np.float64)
        picked[~(picked != 0).any(axis=2) | ~(np.abs(picked) < _FARTHEST).all(axis=2)] = np.nan
        ever = np.asarray(np.isfinite(picked).any(axis=(0, 2)))
        picked = picked[:, ever]
        factor = LENGTHS.get(unit.strip().lower())
        if factor is None:
            factor, guessed = metres(picked)
            notes.append(f"{name} does not say the unit of its positions; by their size it is {guessed}.")
        own = tuple(labels[real[place]] for place in np.flatnonzero(ever).tolist())
        if own:
            kind: SignalKind = "positions" if len(own) >= _FEWEST_POINTS else "other"
            signals.append(MotionSignal(name, kind, time_s, picked.reshape(len(picked), -1) * factor, own))
    if angles:
        values = positions[:, angles].astype(np.float64).reshape(len(positions), -1)
        signals.append(MotionSignal(f"{name} angles", "angle", time_s, values, tuple(labels[one] for one in angles)))
    return signals, notes


def label_is_none(label: str) -> bool:
    """Whether a marker has no name of its own."""
    return label.startswith("*") or label.lower().startswith(("unlabeled", "unlabelled", "uname"))


def signals_of(table: Columns) -> tuple[list[MotionSignal], list[str]]:
    """Return the signals in a table, by what its columns are called or else look like, and what is to be said.

    Columns that are empty, constant or count the rows are left out.
    """
    kept = [column for column in range(table.values.shape[1]) if _says_something(table, column)]
    signals: list[MotionSignal] = []
    notes: list[str] = []
    points = _points(table, kept)
    if points:
        picked = table.values[:, [column for axes in points.values() for column in axes]].astype(np.float64)
        picked = picked.reshape(len(picked), -1, 3)
        unit = table.units[next(iter(points.values()))[0]] if table.units else ""
        if unit.strip().lower() in LENGTHS or is_body(picked):
            more, notes = signals_of_points(table.name, table.time_s, picked, tuple(points), unit)
            if any(one.kind == "positions" for one in more):
                signals += more
                taken = {column for axes in points.values() for column in axes}
                kept = [column for column in kept if column not in taken]
    by_kind: dict[SignalKind, list[int]] = {}
    rate_hz = 1 / float(np.median(np.diff(table.time_s))) if table.time_s.size > 1 else 0.0
    for column in kept:
        by_kind.setdefault(_kind(table, column, rate_hz), []).append(column)
    for kind, columns in by_kind.items():
        labels = tuple(table.labels[column] for column in columns)
        signals.append(MotionSignal(f"{table.name} {kind}", kind, table.time_s, table.values[:, columns], labels))
    return signals, notes


def _points(table: Columns, kept: list[int]) -> dict[str, tuple[int, int, int]]:
    """Return the columns of each point: by the stream's own words, else by the columns' names."""
    if table.types:
        axes: dict[str, dict[str, int]] = {}
        for column in kept:
            kind = table.types[column]
            if kind.lower().startswith("position") and kind[-1].upper() in "XYZ":
                marker = (table.markers[column] if table.markers else "") or table.labels[column][:-2]
                axes.setdefault(marker, {})[kind[-1].upper()] = column
        told = {name: (its["X"], its["Y"], its["Z"]) for name, its in axes.items() if set(its) == set("XYZ")}
        if told:
            return told
    named = point_columns([table.labels[column] for column in kept])
    named = {name: (kept[x], kept[y], kept[z]) for name, (x, y, z) in named.items()}
    return {
        name: axes
        for name, axes in named.items()
        if all(_told(table, column) == "other" for column in axes)
    }  # fmt: skip


def _told(table: Columns, column: int, rate_hz: float = 0.0) -> SignalKind:
    unit = table.units[column] if table.units else ""
    said = f"{table.types[column] if table.types else ''} {table.content_type}"
    return kind_by_words(table.labels[column], unit, said, rate_hz)


def _kind(table: Columns, column: int, rate_hz: float) -> SignalKind:
    kind = _told(table, column, rate_hz)
    if kind == "other" and looks_like_emg(table.values[:, column], rate_hz):
        return "emg"
    return kind


def _says_something(table: Columns, column: int) -> bool:
    """Whether a channel varies, and does more than count the rows."""
    if table.labels[column] == COUNTER_LABEL:
        return False
    values = table.values[:, column]
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if values.size < 10 or values.min() == values.max():
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.diff(values[: 2**16].astype(np.float64))
        return not (float(np.ptp(steps)) <= 1e-9 * abs(float(steps[0])) and steps[0] != 0)
