"""OptiTrack Motive, or any NatNet server from 2.1 to 4.2, over unicast or multicast."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np

from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.optitrack.device_time import MID_EXPOSURE, NO_TIME, device_time_s, moment_of
from drivers.optitrack.frame_codec import FrameFlag, MocapFrame
from drivers.optitrack.frame_order import Arrived, FrameOrder
from drivers.optitrack.layout import RowFiller, differences, layout_of
from drivers.optitrack.model_codec import Models
from drivers.optitrack.natnet_codec import Echo
from drivers.optitrack.natnet_session import NatNetConfig, NatNetSession, Received
from drivers.optitrack.natnet_streams import described, time_code_row
from drivers.optitrack.server_settings import rate_hz_of, unit_mm_of, up_axis_of
from drivers.optitrack.wire import LABELLED, NEWEST
from lab.errors import DeviceError
from lab.streams import Chunk, StreamSpec

_MM: Final = 1000.0
#: How the latency is measured at the beginning: so many echoes, and the frames of so long.
_FIRST_ECHOES: Final = 8
_ECHO_PAUSE_S: Final = 0.02
_LATENCY_S: Final = 0.4
#: Arrivals are never early, but late on a computer that is busy: more than this is no latency of a camera.
_HIGHEST_LATENCY_S: Final = 0.1
#: What is tracked is asked again so often, and at once where a frame says or shows that it changed.
_MODELS_S: Final = 10.0
_MODELS_AGAIN_S: Final = 0.2
_LONGEST_DOUBT_S: Final = 2.0
_MOST_IN_DOUBT: Final = 4096
#: Datagrams that may have waited when a take begins.
_MOST_WAITING: Final = 10_000


class OptitrackNatNet:
    """``markers``, ``rigid_bodies``, ``skeletons`` and ``timecode``, as far as the server has any, and ``echo``.

    Counters are the server's frame numbers. Device time is the server's own clock in seconds, and says when the cameras
    were in the middle of their exposure, or what comes next to it (``details``: ``device_time``). ``echo`` compares
    that clock with the host's: ``offset`` added to a device time is the host time of that moment, certain to half the
    ``round_trip``. Each row of it rests on one question; no line is laid through them here.
    """

    Config: ClassVar[type[DriverConfig]] = NatNetConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, NatNetConfig)
        self._clock = clock
        self.remarks: tuple[str, ...] = ()
        self._session: NatNetSession | None = None
        self._forget()

    def _forget(self) -> None:
        self._specs: tuple[StreamSpec, ...] = ()
        self._filler: RowFiller | None = None
        self._moment = NO_TIME
        self._order = FrameOrder()
        self._chunks: deque[Chunk] = deque()
        self._in_doubt: deque[Arrived] = deque()
        self._doubted_s: float | None = None
        self._asked_s = self._last_frame_s = self._next_models_s = self._trust_until_s = 0.0
        self._changing = False

    def open(self) -> None:
        """Connect, learn what is tracked, and wait for the first frame. Raises DeviceError."""
        self.close()
        session = NatNetSession(self._settings, self._clock)
        self._session = session
        try:
            session.open()
            models = session.models()
            if models is None:
                raise DeviceError(
                    f"{session.what} does not say what it tracks{_failed_checks(session)}; restart its streaming"
                )
            self._learn(session, models)
        except DeviceError:
            self.close()
            raise

    def _learn(self, session: NatNetSession, models: Models) -> None:
        layout = layout_of(models, labelled=session.info.version >= LABELLED)
        if not (layout.markers or layout.bodies or layout.segments):
            raise DeviceError(f"{session.what} tracks nothing: no asset is there; load or create one in Motive")
        rate_hz = rate_hz_of(session, self._settings.rate_hz)
        unit_mm, remarks = unit_mm_of(session), []
        if unit_mm is None:
            unit_mm = _MM
            remarks.append(f"{session.what} does not say its unit of length; metres are taken")
        up = up_axis_of(session)
        if models.analogue:
            remarks.append(f"{session.what} has {len(models.analogue)} force plates or analogue devices: not recorded")
        if session.info.version > NEWEST:
            remarks.append(f"{session.what} speaks NatNet {session.info.version}, later than what was tried ({NEWEST})")
        first = self._first_frame(session)
        if (
            any(number for number, _ in layout.marker_ids)
            and not len(first.markers)
            and any(len(said) for _, said in first.marker_sets)
        ):
            raise DeviceError(
                f"{session.what} sends no labelled markers; turn 'Labeled Markers' on in its streaming settings"
            )
        self._filler = RowFiller(layout, unit_mm / _MM)
        if not self._filler.fits(first):
            remarks.append(f"{session.what} sends markers or bodies that it does not describe: they are left out")
        self._moment = moment_of(first, ticking=session.echo is not None)
        self._specs = described(session, layout, rate_hz, up, self._moment, models, coded=any(first.time_code))
        self._next_models_s = self._clock.now_s() + _MODELS_S
        latency_s = self._latency_s(session) if self._moment == MID_EXPOSURE else math.nan
        if latency_s < _HIGHEST_LATENCY_S:
            remarks.append(
                f"{session.what}: frames arrive {latency_s * 1e3:.1f} ms after mid-exposure, by its own clock;"
                " that is the latency_s of the rig"
            )
            said = {"latency_by_echo_s": f"{latency_s:.6f}"}
            self._specs = tuple(replace(spec, details=spec.details | said) for spec in self._specs)
        self.remarks = tuple(remarks)

    def _latency_s(self, session: NatNetSession) -> float:
        """Return the least time from mid-exposure to arrival, by echoes; NaN where the server answers none in time."""
        offsets: list[tuple[float, float]] = []
        arrived: list[tuple[float, float]] = []
        end_s = self._clock.now_s() + _LATENCY_S
        while (now_s := self._clock.now_s()) < end_s:
            if len(offsets) < _FIRST_ECHOES:
                session.compare_clocks()
            self._take_in(session.receive(min(_ECHO_PAUSE_S, end_s - now_s)))
            while self._chunks:
                chunk = self._chunks.popleft()
                if chunk.stream == "echo":
                    offsets.append((float(chunk.values[0, 3]), float(chunk.values[0, 2])))
                elif math.isfinite(chunk.device_time_s):
                    arrived.append((chunk.arrival_s, chunk.device_time_s))
        if not offsets or not arrived:
            return math.nan
        offset_s = min(offsets)[1]
        return max(0.0, min(arrival_s - device_s for arrival_s, device_s in arrived) - offset_s)

    def _first_frame(self, session: NatNetSession) -> MocapFrame:
        end_s = self._clock.now_s() + self._settings.stall_s
        while self._clock.now_s() < end_s:
            received = session.receive(0.1)
            if received is not None and isinstance(received.packet, MocapFrame):
                self._last_frame_s = received.arrival_s
                return received.packet
        raise DeviceError(f"{session.what} answers, but {self._no_frames(session)}")

    def _no_frames(self, session: NatNetSession) -> str:
        found = f"no frame came within {self._settings.stall_s:g} s{_failed_checks(session)}"
        if session.codec.skipped:
            return f"{found}; what it sends does not read as NatNet {session.info.version}"
        found += "; check that it is live or plays"
        if session.multicast:
            found += ", 'interface' in the rig, and whether the network passes multicast on"
            if session.strangers:
                found += f" (frames came from {', '.join(sorted(session.strangers))}: is that Motive's address?)"
        return found

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return what the server tracks; valid once open."""
        return self._specs

    def start(self, take: TakeStart) -> None:
        """Drop what has waited since before the take: it belongs to none, and would be stamped as arriving now."""
        session = self._session
        if session is None:
            raise DeviceError(f"device '{take.device}' was started before it was opened; open it first")
        for _ in range(_MOST_WAITING):
            received = session.receive(0)
            if received is None:
                break
            self._take_in(received)
        self._chunks.clear()

    def read(self) -> Chunk | None:
        """Return a frame of a stream or an echo, None after about 0.2 s without one.

        Raises DeviceError where no frame came for ``stall_s``, the server began to count anew, or tracks something else
        than when it was opened.
        """
        session = self._session
        if session is None or self._filler is None:
            raise DeviceError("the NatNet server is not open; open it first")
        if not self._chunks:
            self._take_in(session.receive())
            self._watch(session)
        return self._chunks.popleft() if self._chunks else None

    def close(self) -> None:
        """Let go of the server; any number of times."""
        if self._session is not None:
            self._session.close()
        self._session = None
        self._forget()

    def _take_in(self, received: Received | None) -> None:
        session = self._session
        assert session is not None
        if received is None:
            for arrived in self._order.due(self._clock.now_s()):
                self._hand_on(arrived)
            return
        packet, arrival_s = received
        if isinstance(packet, MocapFrame):
            for arrived in self._order.add(packet, arrival_s):
                self._hand_on(arrived)
        elif isinstance(packet, Echo):
            row = None if session.echo is None else session.echo.answer(packet, arrival_s)
            if row is not None:
                self._chunks.append(Chunk("echo", row, np.zeros(1, np.int64), arrival_s))
        elif isinstance(packet, Models):
            self._compare(packet)

    def _hand_on(self, arrived: Arrived) -> None:
        """Turn a frame into chunks, unless it is open what its ids mean."""
        assert self._filler is not None
        self._last_frame_s = arrived.arrival_s
        changing = bool(arrived.frame.flags & FrameFlag.MODELS_CHANGED)
        if (changing and not self._changing) or (
            arrived.arrival_s > self._trust_until_s and not self._filler.fits(arrived.frame)
        ):
            self._doubted_s = self._doubted_s or arrived.arrival_s
        self._changing = changing
        if self._doubted_s is not None:
            self._in_doubt.append(arrived)
            if len(self._in_doubt) > _MOST_IN_DOUBT:
                raise DeviceError(self._unsaid)
            return
        self._append(arrived)

    def _append(self, arrived: Arrived) -> None:
        filler, frame = self._filler, arrived.frame
        assert filler is not None
        info_hz = self._session.info.clock_hz if self._session is not None else 0
        counters = np.array([arrived.number], dtype=np.int64)
        device_s = device_time_s(frame, self._moment, info_hz)
        for spec in self._specs:
            if spec.name == "markers":
                row = filler.markers(frame)
            elif spec.name == "rigid_bodies":
                row = filler.bodies(frame)
            elif spec.name == "skeletons":
                row = filler.segments(frame)
            elif spec.name == "timecode":
                row = time_code_row(*frame.time_code)
            else:
                continue
            self._chunks.append(Chunk(spec.name, row[None], counters, arrived.arrival_s, device_s))

    def _compare(self, models: Models) -> None:
        assert self._filler is not None
        assert self._session is not None
        if self._doubted_s is not None and self._asked_s < self._doubted_s:
            return  # an answer to an earlier question
        changed = differences(self._filler.layout, layout_of(models, labelled=self._session.info.version >= LABELLED))
        if changed:
            raise DeviceError(
                f"{self._session.what} tracks something else than when it was opened ({changed}); it is opened anew"
            )
        self._doubted_s = None
        self._next_models_s = self._clock.now_s() + _MODELS_S
        self._trust_until_s = self._next_models_s  # what no model explains is left out until then
        while self._in_doubt:
            self._append(self._in_doubt.popleft())

    @property
    def _unsaid(self) -> str:
        what = "Motive" if self._session is None else self._session.what
        return f"{what} changed what it tracks and does not say to what; check Motive's assets"

    def _watch(self, session: NatNetSession) -> None:
        now_s = self._clock.now_s()
        if self._order.restarted:
            raise DeviceError(f"{session.what} began to count its frames anew; it is opened anew")
        if self._doubted_s is not None:
            if now_s - self._doubted_s > _LONGEST_DOUBT_S:
                raise DeviceError(self._unsaid)
            if now_s - self._asked_s >= _MODELS_AGAIN_S:
                self._asked_s = now_s
                session.request_models()
        elif now_s >= self._next_models_s:
            self._next_models_s = now_s + _MODELS_S
            session.request_models()
        if now_s - self._last_frame_s > self._settings.stall_s:
            raise DeviceError(f"{session.what}: {self._no_frames(session)}")


def _failed_checks(session: NatNetSession) -> str:
    skipped = session.codec.skipped
    if not skipped:
        return ""
    reason, count = skipped.most_common(1)[0]
    return f" ({count} packets failed their checks, most of them: {reason})"
