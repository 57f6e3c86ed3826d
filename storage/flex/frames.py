"""The frames table of a take: a row per frame of the reference view within each repetition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lab.actions import ACTIONS
from lab.aligned import AlignedStream, AlignedTake
from lab.repetitions import Repetition
from lab.streams import Channel
from storage.flex.columns import FRAMES, STANDARD_VIEWS, EmgColumn, arrow_schema, expand
from storage.flex.parquet import parquet_bytes
from storage.flex.resample import hold_last, interpolate_each
from storage.flex.versions import MAX_GAP_S, MAX_HOLD_S
from storage.flex.view_frames import ViewFrames

if TYPE_CHECKING:
    import pyarrow as pa

Float64 = npt.NDArray[np.float64]

_POSE_COLUMNS: Final = tuple(column.name for column in expand([c for c in FRAMES if c.each == "joint"]))


@dataclass(frozen=True)
class FrameRows:
    """The rows of one repetition: ``time_s`` (rows,), raw ``frame`` (rows,) or -1, ``turned`` (rows,) bool."""

    time_s: Float64
    frame: npt.NDArray[np.int64]
    turned: npt.NDArray[np.bool_]


def emg_columns(channels: Sequence[Channel]) -> tuple[EmgColumn, ...]:
    """Name a column for each sEMG channel: lower case, a-z, 0-9 and _, each one once.

    Lower case because some readers do not tell ``emg_L1`` from ``emg_l1``.
    """
    taken: set[str] = set()
    out = []
    for number, channel in enumerate(channels, start=1):
        plain = re.sub(r"[^a-z0-9_]+", "_", channel.label.lower()).strip("_") or f"channel{number}"
        name, again = f"emg_{plain}", 2
        while name in taken:
            name, again = f"emg_{plain}_{again}", again + 1
        taken.add(name)
        out.append(EmgColumn(name, channel.label))
    return tuple(out)


def all_views(present: Sequence[str]) -> tuple[str, ...]:
    """Return the standard views and whatever other views there are, in order."""
    return tuple(sorted({*STANDARD_VIEWS, *present}))


def frame_rows(take: AlignedTake, reference: ViewFrames | None, repetition: Repetition) -> FrameRows:
    """Choose the rows of a repetition: reference frames, else pose samples, else none."""
    positions = reference.positions_of(repetition) if reference is not None else None
    if reference is not None and positions is not None:
        start, turn, end = positions
        chosen = slice(start, end + 1)
        frame = reference.index[chosen]
        return FrameRows(reference.time_s[chosen], frame, frame >= reference.index[turn])
    if take.pose is None:
        empty = np.empty(0)
        return FrameRows(empty, empty.astype(np.int64), empty.astype(np.bool_))
    time_s = take.pose.time_s
    time_s = time_s[(time_s >= repetition.start_s) & (time_s <= repetition.end_s)]
    return FrameRows(time_s, np.full(len(time_s), -1, dtype=np.int64), time_s >= repetition.turn_s)


def _floats(values: Float64) -> pa.Array:
    import pyarrow as pa

    return pa.array(values.astype(np.float32), mask=~np.isfinite(values))


def _frames(values: npt.NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, mask=values < 0)


def _held(stream: AlignedStream | None, at_s: Float64) -> pa.Array:
    if stream is None:
        return _floats(np.full(len(at_s), np.nan))
    return _floats(hold_last(stream.time_s, stream.values[:, 0].astype(np.float64), at_s, MAX_HOLD_S))


def _repetition_table(
    take: AlignedTake, views: dict[str, ViewFrames], number: int, rows: FrameRows, schema: pa.Schema
) -> pa.Table:
    import pyarrow as pa

    at_s, count = rows.time_s, len(rows.time_s)
    action = ACTIONS[take.record.action]
    phases, keysteps = action.phases, action.phase_keysteps or (None, None)
    columns: dict[str, Any] = {
        "take_id": pa.array([take.record.id] * count, pa.string()),
        "repetition": pa.array(np.full(count, number, dtype=np.int64)),
        "frame": _frames(rows.frame),
        "time_s": pa.array(at_s),
        "phase": pa.array([phases[turned] for turned in rows.turned.tolist()], pa.string()),
        "keystep": pa.array([keysteps[turned] for turned in rows.turned.tolist()], pa.string()),
        "heart_rate": _held(take.heart_rate, at_s),
        "breath_rate": _held(take.breath_rate, at_s),
    }
    if take.pose is not None:
        positions_m = interpolate_each(take.pose.time_s, take.pose.positions_m, at_s, MAX_GAP_S).reshape(count, -1)
        columns |= {name: _floats(positions_m[:, place]) for place, name in enumerate(_POSE_COLUMNS)}
    if take.emg is not None and take.emg_envelope is not None:
        envelopes_uv = interpolate_each(take.emg.time_s, take.emg_envelope[:, :, None], at_s, MAX_GAP_S)[:, :, 0]
        named = enumerate(emg_columns(take.emg.channels))
        columns |= {column.name: _floats(envelopes_uv[:, index]) for index, column in named}
    columns |= {f"{name}_frame": _frames(view.index_at(at_s)) for name, view in views.items()}
    missing = [field for field in schema if field.name not in columns]
    columns |= {field.name: pa.nulls(count, field.type) for field in missing}
    return pa.table([columns[field.name] for field in schema], schema=schema)


def frames_bytes(
    take: AlignedTake,
    views: dict[str, ViewFrames],
    repetitions: Sequence[FrameRows],
    metadata: dict[str, str],
) -> bytes:
    """Encode the frames table: a row group per repetition that has rows, in order; ``metadata`` goes with it."""
    emg = emg_columns(take.emg.channels) if take.emg is not None and take.emg_envelope is not None else ()
    schema = arrow_schema(expand(FRAMES, all_views(list(views)), emg), metadata)
    return parquet_bytes(
        schema,
        (_repetition_table(take, views, number, rows, schema) for number, rows in enumerate(repetitions, start=1)),
    )
