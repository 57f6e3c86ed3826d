"""How much disk the next take needs: as measured, as the takes before it, or by an assumption that is named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from capture.readiness.size_in_words import size_in_words
from capture.rig_file import BoundRig
from lab.errors import FlexCaptureError
from lab.streams import StreamSpec
from lab.take import SESSION, SUBJECT, TAKE
from storage.take_folder import read_record

#: Bytes a pixel and frame of what cameras send, at least and at most. MJPEG: a dark wall, and noise at quality 95;
#: the others: an empty room, and noise at constant quality (docs/performance.md has measured ones between).
_VIDEO_BYTES_A_PIXEL: Final[dict[str, tuple[float, float]]] = {
    "mjpeg": (0.02, 0.5),
    "h264": (0.0005, 0.2),
    "hevc": (0.0005, 0.2),
    "av1": (0.0005, 0.2),
    "vp9": (0.0005, 0.2),
}
_UNCOMPRESSED: Final = (1.0, 3.0)
#: Seconds of a repetition with what comes before and after it, at least, usually, and at most.
_REPETITION_S: Final = (2.0, 6.0, 8.0)
_STAMP_BYTES: Final = 9
_VALUE_BYTES: Final = {"float32": 4, "double64": 8, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "string": 64}
_CLOCK_ROW_BYTES: Final = _STAMP_BYTES + 3 * 8
_FRAME_ROW_BYTES: Final = _STAMP_BYTES + 5 * 8 + 64

_TAKES_COMPARED: Final = 5
_TAKES_LOOKED_AT: Final = 20
#: Fewer takes than this may all have been short trials: they do not say how long a take becomes.
_ENOUGH_TAKES: Final = 3
_SHORTEST_S: Final = 0.5
#: What simulated devices are told of the performance changes from take to take and says nothing of the rig.
_OF_THE_PERFORMANCE: Final = frozenset({"seed", "action", "repetitions", "skill", "partial", "failed", "paused"})


@dataclass(frozen=True)
class Span:
    """A quantity that is known to lie between two bounds, and what it usually is."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True)
class PastSize:
    """What an earlier take with this rig came to."""

    bytes: int
    seconds: float
    repetitions: int | None

    def seconds_for(self, repetitions: int) -> float:
        """Return how long it would have lasted with so many repetitions."""
        return self.seconds * repetitions / self.repetitions if self.repetitions else self.seconds


@dataclass(frozen=True)
class TakeSize:
    """How large the next raw take will be. ``rate_basis`` and ``time_basis`` say where the figures come from."""

    bytes_a_second: Span
    seconds: Span
    rate_basis: str
    time_basis: str

    @property
    def least_bytes(self) -> float:
        """What it takes in any case."""
        return self.bytes_a_second.low * self.seconds.low

    @property
    def likely_bytes(self) -> float:
        """What it probably takes."""
        return self.bytes_a_second.likely * self.seconds.likely

    @property
    def most_bytes(self) -> float:
        """What it may take at most, as far as can be told."""
        return self.bytes_a_second.high * self.seconds.high

    @property
    def basis(self) -> str:
        """Where the figures come from, in words."""
        return f"{self.rate_basis}, {self.time_basis}"


def take_size(
    specs: Sequence[StreamSpec],
    past: Sequence[PastSize],
    repetitions: int,
    *,
    duration_s: float | None = None,
    measured_bytes_a_second: float | None = None,
    unmeasured: Sequence[str] = (),
) -> TakeSize:
    """Estimate the next raw take of streams ``specs``.

    Bytes a second: as measured, else as in the takes ``past``, else streams as promised and video within what its codec
    and size can come to. Seconds: as the past takes lasted, else by the repetitions; ``duration_s`` ends it.
    ``unmeasured`` names what was missing when it was measured.
    """
    if measured_bytes_a_second is not None:
        rate = Span(0.8 * measured_bytes_a_second, measured_bytes_a_second, 1.2 * measured_bytes_a_second)
        rate_basis = f"{size_in_words(measured_bytes_a_second)}/s measured"
        rate_basis += f" without {', '.join(unmeasured)}" if unmeasured else ""
    elif past:
        rates = [take.bytes / take.seconds for take in past]
        rate = Span(min(rates), median(rates), max(rates))
        rate_basis = f"{size_in_words(rate.likely)}/s as in {_last(past)}"
    else:
        rate, rate_basis = _assumed_rate(specs)
    assumed = Span(*(repetitions * each_s for each_s in _REPETITION_S))
    if past:
        lasted = [take.seconds_for(repetitions) for take in past]
        longest_s = max(lasted) if len(past) >= _ENOUGH_TAKES else max(*lasted, assumed.high)
        seconds = Span(min(lasted), median(lasted), longest_s)
        time_basis = f"{_seconds(seconds)} as in {_last(past)}"
    else:
        seconds = assumed
        time_basis = f"{_seconds(seconds)} assumed for {repetitions} repetitions"
    if duration_s is not None:
        seconds = Span(min(seconds.low, duration_s), min(seconds.likely, duration_s), min(seconds.high, duration_s))
        if seconds.likely == duration_s:
            time_basis = f"{duration_s:.0f} s asked for"
    return TakeSize(rate, seconds, rate_basis, time_basis)


def _seconds(seconds: Span) -> str:
    likely, high = f"{seconds.likely:.0f}", f"{seconds.high:.0f}"
    return f"{likely} s" if likely == high else f"{likely} to {high} s"


def _last(past: Sequence[PastSize]) -> str:
    return "the last take" if len(past) == 1 else f"the last {len(past)} takes"


def _assumed_rate(specs: Sequence[StreamSpec]) -> tuple[Span, str]:
    streams = sum(_stream_rate(spec) for spec in specs)
    low = high = streams
    codecs = []
    for spec in specs:
        if spec.video is None:
            continue
        least, most = _VIDEO_BYTES_A_PIXEL.get(spec.video.codec, _UNCOMPRESSED)
        pixels = spec.video.width * spec.video.height * max(spec.rate_hz, 1.0)
        low, high = low + least * pixels, high + most * pixels
        codecs.append(f"{spec.video.codec} {spec.video.width}x{spec.video.height}")
    if not codecs:
        return Span(low, low, 1.1 * high), f"{size_in_words(low)}/s as the streams promise"
    kinds = ", ".join(sorted(set(codecs)))
    return Span(
        low, high, high
    ), f"at most {size_in_words(high)}/s assumed for {len(codecs)} x {kinds}, never measured here"


def _stream_rate(spec: StreamSpec) -> float:
    if spec.video is not None:
        return spec.rate_hz * _FRAME_ROW_BYTES
    columns = len(spec.channels) + spec.counted
    # a chunk a sample at most
    return (
        spec.rate_hz * (_STAMP_BYTES + columns * _VALUE_BYTES[spec.format]) + min(spec.rate_hz, 100) * _CLOCK_ROW_BYTES
    )


def past_sizes(raw: Path, rig: BoundRig) -> list[PastSize]:
    """Return the sizes of the newest takes under ``raw`` that were recorded with this rig, five at most.

    Only a few take.json are opened, those of the sessions that changed last: a lab has hundreds. What cannot be read is
    passed over.
    """
    wanted = _kind_of_rig(rig.as_recorded())
    sizes: list[PastSize] = []
    with contextlib.suppress(OSError):
        for looked_at, folder in enumerate(_newest_takes(raw), start=1):
            with contextlib.suppress(FlexCaptureError, OSError):
                size = _past_size(folder, wanted)
                sizes += [] if size is None else [size]
            if looked_at == _TAKES_LOOKED_AT or len(sizes) == _TAKES_COMPARED:
                break
    return sizes


def _newest_takes(raw: Path) -> Iterator[Path]:
    sessions = [
        session
        for subject in raw.iterdir()
        if SUBJECT.fullmatch(subject.name) and subject.is_dir()
        for session in subject.iterdir()
        if SESSION.fullmatch(session.name) and session.is_dir()
    ]
    for session in sorted(sessions, key=_changed_s, reverse=True):
        takes = [take for take in session.iterdir() if TAKE.fullmatch(take.name)]
        yield from sorted(takes, key=_changed_s, reverse=True)


def _changed_s(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _past_size(folder: Path, wanted: Any) -> PastSize | None:
    record = read_record(folder)
    if record.imported is not None:
        return None  # its file may hold many takes
    if record.state != "complete" or record.stopped is None or _kind_of_rig(record.rig) != wanted:
        return None
    began_s = record.started.session_s if record.recording_s is None else record.recording_s
    seconds = record.stopped.session_s - began_s
    if not seconds > _SHORTEST_S:
        return None
    size = sum(entry.stat().st_size for entry in folder.iterdir() if entry.is_file())
    return PastSize(size, seconds, record.expected_repetitions)


def _kind_of_rig(rig: dict[str, Any]) -> Any:
    """Return what of a rig, as ``take.json`` has it, decides how much it sends."""
    devices = [
        (
            device.get("name"),
            device.get("driver"),
            {key: value for key, value in device.get("config", {}).items() if key not in _OF_THE_PERFORMANCE},
        )
        for device in rig.get("device", [])
    ]
    return devices, [
        (stream.get("name"), stream.get("source_id"), stream.get("query")) for stream in rig.get("stream", [])
    ]
