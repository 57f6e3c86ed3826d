"""What was heard of a stream, compared with what it promised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from capture.readiness.lab_report import Camera, StreamRow
from capture.readiness.preflight import channel_problem, clock_problem
from capture.readiness.stream_listening import HeardStream
from capture.readiness.stream_rate import MeasuredRate, measure_rate
from lab.streams import CLOCK_SUFFIX, COUNTER_MODULUS

#: A rate that is further from the promised one than this, and than it is uncertain, is a finding.
_RATE_TOLERANCE: Final = 0.01
#: Fewer samples than this tell no rate.
_FEWEST_SAMPLES: Final = 8
#: A counter of whose steps more than this part are none does not count.
_ODD_STEPS: Final = 0.02
#: Stamps that are this far from the clock they are said to be of, or pass so much faster or slower, are of another.
_STAMP_LIMIT_S: Final = 2.0
_STAMP_TOLERANCE: Final = 0.05
_QUEUE_LIMIT: Final = 0.5
#: A stream is over that sent nothing at the end, for this long and for so many of its usual pauses.
_OVER_S: Final = 1.0
_OVER_PAUSES: Final = 5.0


@dataclass(frozen=True)
class CameraFacts:
    """What a camera wrote, and how full its queue became, 0 to 1."""

    bytes: int
    queue_fill: float


def stream_rows(
    streams: Sequence[HeardStream], cameras: Mapping[str, CameraFacts], listened_s: float
) -> list[StreamRow]:
    """Return a row for each stream; what is wrong with a ``.clock`` stands in the row of the stream it runs beside."""
    clocks = {heard.expected.name.removesuffix(CLOCK_SUFFIX): heard for heard in streams if _is_clock(heard)}
    return [
        _row(heard, clocks.get(heard.expected.name), cameras.get(heard.expected.device), listened_s)
        for heard in streams
        if not _is_clock(heard)
    ]


def _is_clock(heard: HeardStream) -> bool:
    return heard.expected.spec is None and heard.expected.name.endswith(CLOCK_SUFFIX)


def _row(heard: HeardStream, clock: HeardStream | None, facts: CameraFacts | None, listened_s: float) -> StreamRow:
    stream, probe = heard.expected, heard.probe
    promised_hz = 0.0 if stream.spec is None else stream.spec.rate_hz
    rate, note = _rate(heard, clock, promised_hz, listened_s)
    problems = _problems(heard, rate, promised_hz, listened_s)
    if clock is not None and (clock.missing or clock.others):
        problems.append(clock.missing or _twice(clock))
    counts = stream.counting is not None and heard.samples > 0 and not _counts_badly(heard)
    camera = None
    if facts is not None and stream.spec is not None and stream.spec.video is not None:
        kept = heard.samples - heard.not_encoded
        camera = Camera(facts.bytes / kept if kept > 0 else math.nan, facts.queue_fill, heard.not_encoded)
        problems += _camera_problems(heard, facts)
    return StreamRow(
        name=stream.name,
        device=stream.device,
        source_id=stream.source_id,
        state=_state(heard, problems),
        rate_promised_hz=promised_hz,
        rate_measured_hz=math.nan if rate is None else rate.rate_hz,
        rate_note=note,
        channels=heard.channel_count,
        samples=heard.samples,
        lost=heard.lost if counts else None,
        clock_offset_s=math.nan if probe is None else probe.offset_s,
        round_trip_s=math.nan if probe is None else probe.round_trip_s,
        camera=camera,
        problems=tuple(problems),
    )


def _state(heard: HeardStream, problems: Sequence[str]) -> str:
    if heard.missing:
        return "MISSING"
    if heard.samples == 0:
        return "quiet" if heard.expected.may_be_silent and not problems else "SILENT"
    return "FOUND" if problems else "ok"


def _rate(
    heard: HeardStream, clock: HeardStream | None, promised_hz: float, listened_s: float
) -> tuple[MeasuredRate | None, str]:
    """Return the rate, and what to say where it could not be measured.

    By the arrivals of chunks at the device's host where a ``.clock`` tells them, else by the stamps of what was pulled,
    or, where those are no times, by when it was pulled.
    """
    if promised_hz <= 0:
        return None, "irregular"
    if heard.samples == 0:
        return None, ""
    if heard.samples < _FEWEST_SAMPLES:
        return None, f"too slow to measure in {listened_s:.0f} s"
    source = clock if clock is not None and len(clock.points) >= 3 else heard
    points = np.array(source.points)
    counting = heard.expected.counting
    if source is clock and counting is not None and 0 < counting.modulus < COUNTER_MODULUS:
        # of a short count the rows say no more than the samples do
        points[:, 0] = np.cumsum(np.diff(points[:, 0], prepend=points[0, 0]) % counting.modulus)
    by_stamps, by_pulls = measure_rate(points[:, 0], points[:, 1]), measure_rate(points[:, 0], points[:, 2])
    return (by_pulls if _stamps_problem(heard) else by_stamps or by_pulls), ""


def _problems(heard: HeardStream, rate: MeasuredRate | None, promised_hz: float, listened_s: float) -> list[str]:
    stream = heard.expected
    if heard.missing:
        return [heard.missing]
    who = f"stream '{stream.name}'" if stream.of_others else f"device '{stream.device}', stream '{stream.name}'"
    device = "its publisher" if stream.of_others else "the device and its cable"
    problems = [_twice(heard)] if heard.others else []
    wrong = channel_problem(stream, heard.channel_count)
    problems += [wrong] if wrong else []
    if heard.probe is None:
        problems.append(clock_problem(stream))
    if heard.samples == 0 and not stream.may_be_silent:
        problems.append(f"{who} sent nothing in {listened_s:.0f} s; check {device}")
    if heard.gone:
        problems.append(f"{who} went away while it was listened to; check {device}")
    elif (pause_s := _over_s(heard)) > 0:
        problems.append(f"{who} sent nothing in the last {pause_s:.1f} s; check {device}")
    problems += _rate_problems(heard, rate, promised_hz, listened_s, who)
    if _counts_badly(heard):
        problems.append(f"{who}: its counter does not count; correct 'counter' and 'counter_modulus' in the rig")
    elif heard.lost:
        problems.append(
            f"{who} lost {heard.lost:,} of {heard.samples + heard.lost:,} samples by its counter; check {device}, its"
            " radio link if it has one, and whether this computer has too much to do"
        )
    stamps = _stamps_problem(heard)
    problems += [f"{who}: {stamps}; correct its publisher"] if stamps else []
    return problems


def _rate_problems(
    heard: HeardStream, rate: MeasuredRate | None, promised_hz: float, listened_s: float, who: str
) -> list[str]:
    stream = heard.expected
    unit = "frames/s" if stream.spec is not None and stream.spec.video is not None else "Hz"
    if stream.of_others:
        advice = "correct its publisher, or give its 'rate_hz' in the rig"
    elif unit == "Hz":
        advice = "correct the device's settings or its rate in the rig"
    else:
        advice = "check its exposure time and its USB port, and whether this computer has too much to do"
    if rate is None:
        few = 0 < heard.samples < _FEWEST_SAMPLES and promised_hz * listened_s > 2 * _FEWEST_SAMPLES
        return (
            [f"{who} promises {promised_hz:g} {unit}, but sent {heard.samples} samples in {listened_s:.0f} s; {advice}"]
            if few
            else []
        )
    if abs(rate.rate_hz / promised_hz - 1) <= _RATE_TOLERANCE + rate.uncertainty:
        return []
    return [f"{who} promises {promised_hz:g} {unit}, but sends {rate.rate_hz:.4g}; {advice}"]


def _camera_problems(heard: HeardStream, facts: CameraFacts) -> list[str]:
    device = heard.expected.device
    problems = []
    if heard.not_encoded:
        problems.append(
            f"device '{device}': {heard.not_encoded} of {heard.samples} frames could not be kept; the disk or this"
            " computer does not keep up: name a faster disk with --out, or lower the frame rate or size"
        )
    elif facts.queue_fill > _QUEUE_LIMIT:
        problems.append(
            f"device '{device}': its queue of frames was {facts.queue_fill:.0%} full; the disk hardly keeps up: name a"
            " faster one with --out"
        )
    return problems


def _counts_badly(heard: HeardStream) -> bool:
    return heard.odd_steps > 1 + _ODD_STEPS * heard.samples


def _over_s(heard: HeardStream) -> float:
    """Return for how long a regular stream had sent nothing at the end, 0 where that was no longer than usual."""
    spec = heard.expected.spec
    if spec is None or spec.rate_hz <= 0 or heard.finished or len(heard.points) < 2 or math.isnan(heard.ended_s):
        return 0.0
    pulled_s = np.asarray(heard.points)[:, 2]
    pauses_s = np.diff(pulled_s)
    usual_s = max(float(np.median(pauses_s)), 1 / spec.rate_hz)
    pause_s = heard.ended_s - float(pulled_s[-1])
    return pause_s if pause_s > max(_OVER_S, _OVER_PAUSES * usual_s) else 0.0


def _stamps_problem(heard: HeardStream) -> str:
    """Say that the stamps of a stream of others are no readings of its host's clock; empty where they may be."""
    spec = heard.expected.spec
    if not heard.expected.of_others or spec is None or heard.probe is None or len(heard.points) < 3:
        return ""
    points = np.asarray(heard.points)
    late_s = points[:, 2] - (points[:, 1] + heard.probe.offset_s)
    if not bool(np.all(np.isfinite(late_s))):
        return "it sends stamps that are no times"
    typical_s = float(np.median(late_s))
    if abs(typical_s) > _STAMP_LIMIT_S:
        way = "behind" if typical_s > 0 else "ahead of"
        return f"its stamps are {abs(typical_s):,.1f} s {way} the clock of its computer"
    if spec.rate_hz > 0:
        stamped, pulled = measure_rate(points[:, 0], points[:, 1]), measure_rate(points[:, 0], points[:, 2])
        if stamped is not None and pulled is not None:
            off = stamped.rate_hz / pulled.rate_hz - 1
            if abs(off) > _STAMP_TOLERANCE + pulled.uncertainty + stamped.uncertainty:
                return f"its stamps pass {1 / (1 + off):.3g} times as fast as the clock of its computer"
    return ""


def _twice(heard: HeardStream) -> str:
    return f"stream '{heard.expected.name}' is there more than once: {heard.others}; stop all but one"
