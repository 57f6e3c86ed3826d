"""When each packet of a file is due, and the driver that waits for it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from drivers.driver import JOIN_AFTER_S, EndOfStream, TakeStart
from drivers.host_clock import HostClock
from drivers.replay.source_file import ReplayConfig
from lab.errors import DeviceError, FlexCaptureError
from lab.streams import Chunk, StreamSpec

#: Times of two streams of one file that are meant to be equal may differ by rounding.
_ROUNDING_S: Final = 1e-9


@dataclass(frozen=True)
class Track:
    """One stream of a file, whole.

    ``values`` is (samples, channels) in the stream's format, ``counters`` int64 (samples,) the file's own
    sample numbers and ``time_s`` float64 (samples,) the file's own times; both increase strictly.
    ``chunk_samples`` is the size of its packets. ``end_s`` and ``end_count`` are time and number of the
    sample that would follow the last: where a loop goes on.

    A file that knows its packets gives ``ends``, int64 (packets,), the index after the last sample of each; then
    ``time_s`` is, for all samples of a packet, when it is due, and ``device_time_s`` (samples,) the device's own time
    of its last sample, NaN where it had none.
    """

    spec: StreamSpec
    values: npt.NDArray[Any]
    counters: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    chunk_samples: int
    end_s: float
    end_count: int
    ends: npt.NDArray[np.int64] | None = None
    device_time_s: npt.NDArray[np.float64] | None = None

    @classmethod
    def counted(
        cls, spec: StreamSpec, values: npt.NDArray[Any], counters: npt.NDArray[np.int64], chunk_samples: int
    ) -> Track:
        """Return a track whose times are its counters by the stream's rate."""
        end_count = int(counters[-1]) + 1
        return cls(
            spec=spec,
            values=values,
            counters=counters,
            time_s=counters / spec.rate_hz,
            chunk_samples=chunk_samples,
            end_s=end_count / spec.rate_hz,
            end_count=end_count,
        )

    def starting_at(self, begin_s: float) -> Track:
        """Return the track without the samples before the file's own time ``begin_s``."""
        skip = int(np.searchsorted(self.time_s, begin_s - _ROUNDING_S))
        return replace(
            self,
            values=self.values[skip:],
            counters=self.counters[skip:],
            time_s=self.time_s[skip:],
            ends=None if self.ends is None else self.ends[self.ends > skip] - skip,
            device_time_s=None if self.device_time_s is None else self.device_time_s[skip:],
        )

    @property
    def lap_count(self) -> int:
        """How far the counter is on after each loop."""
        return self.end_count - int(self.counters[0])


@dataclass(frozen=True)
class _Packet:
    """Samples ``first`` up to ``end`` of a track; the last of them stands at ``time_s`` in the file."""

    time_s: float
    track: int
    first: int
    end: int


class PacedReplay(ABC):
    """A driver over the tracks of a file. The replay of a format adds how to read them.

    Sample k is due at ``t0_s`` + (its time in the file - that of the first sample played). A packet is due
    with its last sample, and arrives when it is delivered.
    """

    #: Whether streams that begin later in the file take the beginning from those that begin earlier.
    BEGIN_TOGETHER: ClassVar[bool] = True

    def __init__(self, config: ReplayConfig, clock: HostClock) -> None:
        self._clock = clock
        self._start_s = config.start_s
        self._loop = config.loop
        self._tracks: tuple[Track, ...] = ()
        self._packets: tuple[_Packet, ...] = ()
        self._begin_s = 0.0
        self._lap_s = 0.0
        self._t0_s: float | None = None
        self._next = 0
        self._lap = 0

    @abstractmethod
    def _read_tracks(self) -> Sequence[Track]:
        """Read the file. Raises FlexCaptureError."""

    def open(self) -> None:
        """Read the whole file. Raises DeviceError with one sentence if it cannot be replayed."""
        self.close()
        try:
            tracks = self._read_tracks()
        except DeviceError:
            raise
        except FlexCaptureError as error:
            raise DeviceError(*error.problems) from error
        begin_s = min(float(track.time_s[0]) for track in tracks) + self._start_s
        for track in tracks:
            if track.time_s[-1] < begin_s - _ROUNDING_S:
                raise DeviceError(
                    f"{track.spec.details['file']} ends before {self._start_s:g} s; correct 'start_s' in the rig"
                )
        if self.BEGIN_TOGETHER:  # at a sample of the slowest: else a loop would tear the streams apart
            begin_s = max(float(track.starting_at(begin_s).time_s[0]) for track in tracks)
        self._tracks = tuple(track.starting_at(begin_s) for track in tracks)
        self._begin_s = begin_s
        self._lap_s = max(track.end_s for track in tracks) - begin_s
        packets = [packet for index, track in enumerate(self._tracks) for packet in _packets(index, track)]
        self._packets = tuple(sorted(packets, key=lambda packet: (packet.time_s, packet.track)))

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return what the file holds; valid once open."""
        if not self._loop:
            return tuple(track.spec for track in self._tracks)
        return tuple(replace(track.spec, details={**track.spec.details, "loops": "yes"}) for track in self._tracks)

    def start(self, take: TakeStart) -> None:
        """Play from the beginning, the first sample at ``take.t0_s``.

        Started more than two seconds after ``t0_s``, the replay joins in at the present. Raises DeviceError
        where it is not open.
        """
        if not self._tracks:
            raise DeviceError(f"device '{take.device}' was started before it was opened; open it first")
        self._t0_s, self._next, self._lap = take.t0_s, 0, 0
        late_s = self._clock.now_s() - take.t0_s
        if late_s > JOIN_AFTER_S:
            self._lap = int(late_s // self._lap_s) if self._loop else 0
            present_s = self._begin_s + late_s - self._lap * self._lap_s
            times_s = np.array([packet.time_s for packet in self._packets])
            self._next = int(np.searchsorted(times_s, present_s))

    def read(self) -> Chunk | None:
        """Return the next packet once it is due, or None if that is more than about 0.2 s away.

        Raises EndOfStream after the last one.
        """
        if self._t0_s is None:
            self._clock.sleep_until(self._clock.now_s() + 0.2)
            return None
        if self._next == len(self._packets):
            if not self._loop:
                raise EndOfStream
            self._next, self._lap = 0, self._lap + 1
        packet = self._packets[self._next]
        track = self._tracks[packet.track]
        time_s = packet.time_s + self._lap * self._lap_s
        if not self._clock.sleep_until(self._t0_s + (time_s - self._begin_s)):
            return None
        self._next += 1
        own_s = math.nan
        if track.device_time_s is not None:
            own_s = float(track.device_time_s[packet.end - 1]) + self._lap * self._lap_s
        return Chunk(
            stream=track.spec.name,
            values=track.values[packet.first : packet.end],
            counters=track.counters[packet.first : packet.end] + self._lap * track.lap_count,
            arrival_s=self._clock.now_s(),
            device_time_s=time_s if track.device_time_s is None else own_s,
        )

    def close(self) -> None:
        """Forget the file. May be called at any time and more than once."""
        self._tracks, self._packets, self._t0_s = (), (), None


def _packets(index: int, track: Track) -> list[_Packet]:
    """Cut a track into its packets, or into packets of ``chunk_samples`` of which the last may be shorter."""
    if track.ends is not None:
        firsts = [0, *track.ends[:-1].tolist()]
        return [
            _Packet(float(track.time_s[end - 1]), index, first, end)
            for first, end in zip(firsts, track.ends.tolist(), strict=True)
        ]
    samples, size = len(track.time_s), track.chunk_samples
    ends = [min(first + size, samples) for first in range(0, samples, size)]
    return [_Packet(float(track.time_s[end - 1]), index, (end - 1) // size * size, end) for end in ends]
