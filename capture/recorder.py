"""LSL inlets into ``streams.xdf``: one thread pulls all streams, one each probes their clocks, one syncs the disk.

Stamps are stored as they come, no inlet processes anything. A stream that falls silent or disappears stops no other.
What the threads notice on the way (a gap, a clock that jumped, a recorder that stood still) they hand on as events.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from capture.inlet_buffer import InletBuffer
from capture.lsl_settings import ClockProbe, probe_clock
from capture.stream_state import RENEW_AFTER_S, ExpectedStream, StreamState
from capture.visible_streams import successor, visible_streams
from lab.errors import DeviceError, TakeError
from lab.streams import CLOCK_SUFFIX, MARKERS_LABELS, MARKERS_NAME, MARKERS_SOURCE, PROBES_LABELS, PROBES_NAME, Channel
from lab.take import Event
from storage.xdf_header import build_header, footer_xml
from storage.xdf_writer import XdfWriter

_PULL_PERIOD_S: Final = 0.045
_PROBE_PERIOD_S: Final = 1.0
#: No clock drifts or is measured wrong by so much from one probe to the next, whatever their round trips.
_CLOCK_JUMP_S: Final = 0.05
#: Pulling takes milliseconds; a pause this long is of a computer, or a program, that stood still.
_STALL_S: Final = 1.0
_SYNC_PERIOD_S: Final = 1.0
_OTHERS_GRACE_S: Final = 1.0
_OPEN_S: Final = 10.0
_LOOK_S: Final = 0.5
#: Samples that an inlet may keep, whatever a stream says of itself.
_INLET_SAMPLES: Final = 10_000_000
_LEAST_SAMPLES: Final = 16
_LONGEST_BUFFER_S: Final = 1_000_000_000
#: Minutes of data that an inlet keeps while the recorder is busy; overflow would be seen by counter.
_INLET_BUFFER_S: Final = 180


class Recorder:
    """Subscribes to streams and records them into one XDF file."""

    def __init__(self, expected: Sequence[ExpectedStream]) -> None:
        """Prepare for these streams; nothing is opened yet."""
        self._expected = tuple(expected)
        self._inlets: list[Any] = []
        self._buffers: dict[int, InletBuffer] = {}
        self._headers: list[str] = []
        self.streams: list[StreamState] = []
        self._writer: XdfWriter | None = None
        self._threads: list[threading.Thread] = []
        self._stop_probing = threading.Event()
        self._stop_pulling = threading.Event()
        self._probes = 0
        self._probes_id = 0
        self._marks = 0
        self._marks_id = 0
        self._noticed: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.failure: str | None = None
        self.disk_full = False

    # -- before the take ---------------------------------------------------------------------------------------

    def connect(self, timeout_s: float) -> None:
        """Find every expected stream by its source id and subscribe.

        Raises DeviceError with one sentence a stream that is missing or there twice.
        """
        ours = [stream for stream in self._expected if not stream.of_others]
        found: dict[str, list[Any]] = {}
        deadline_s = time.monotonic() + timeout_s
        while True:
            found = {stream.source_id: [] for stream in ours}
            for seen in visible_streams(0.3) if ours else ():
                if seen.source_id in found:
                    found[seen.source_id].append(seen.info)
            if all(found.values()) or time.monotonic() > deadline_s:
                break
        problems = []
        for stream in ours:
            infos = found[stream.source_id]
            if not infos:
                problems.append(
                    f"stream '{stream.name}' of device '{stream.device}' did not appear on the network within "
                    f"{timeout_s:.0f} s; check the firewall for UDP and TCP ports 16571 to 16699"
                )
            elif len({info.uid() for info in infos}) > 1:
                hosts = ", ".join(sorted({info.hostname() for info in infos}))
                problems.append(
                    f"stream '{stream.name}' is there twice under one source id ({hosts}); stop one of them"
                )
        if problems:
            raise DeviceError(*problems)
        for number, stream in enumerate(self._expected, start=1):
            self._subscribe(number, stream, stream.info if stream.of_others else found[stream.source_id][0])

    def _subscribe(self, stream_id: int, stream: ExpectedStream, info: Any) -> None:
        inlet = _inlet(info)
        try:
            full = inlet.info(_OPEN_S)
        except RuntimeError as error:
            raise _not_opened(stream, error) from error
        if not stream.of_others:
            _open(stream, inlet)
        self._inlets.append(inlet)
        self._headers.append(full.as_xml())
        self.streams.append(StreamState(stream_id, stream, full.nominal_srate(), uid=full.uid()))

    # -- the take ----------------------------------------------------------------------------------------------

    def start(self, path: Path, make_room: Callable[[], bool] | None = None) -> None:
        """Create the XDF file, write the headers and begin to record. Raises TakeError, or DeviceError.

        Only now are streams of others subscribed to: what they send before the take belongs to no take. ``make_room``
        is called where the disk is full and says whether it made some; ``disk_full`` is set in any case.
        """
        for state, inlet in zip(self.streams, self._inlets, strict=True):
            if state.expected.of_others:
                _open(state.expected, inlet)

        def full() -> bool:
            self.disk_full = True
            return make_room is not None and make_room()

        writer = XdfWriter(path, make_room=full)
        self._writer = writer
        self._probes_id, self._marks_id = len(self.streams) + 1, len(self.streams) + 2
        for state, header in zip(self.streams, self._headers, strict=True):
            writer.stream_header(state.stream_id, header)
        channels = tuple(
            Channel(label, unit, "Clock") for label, unit in zip(PROBES_LABELS, ("", "s", "s", "s"), strict=True)
        )
        writer.stream_header(
            self._probes_id,
            build_header(
                name=PROBES_NAME,
                content_type="Clock",
                channels=channels,
                rate_hz=0.0,
                sample_format="double64",
                source_id=f"flex-capture/{PROBES_NAME}",
            ),
        )
        writer.stream_header(
            self._marks_id,
            build_header(
                name=MARKERS_NAME,
                content_type="Markers",
                channels=tuple(Channel(label, "", "Marker") for label in MARKERS_LABELS),
                rate_hz=0.0,
                sample_format="string",
                source_id=MARKERS_SOURCE,
            ),
        )
        self._spawn("puller", self._pull_all)
        self._spawn("disk-sync", self._sync_disk)
        for state, inlet in zip(self.streams, self._inlets, strict=True):
            state.last_probe_s = time.monotonic()
            self._spawn(f"probe-{state.expected.name}", self._probe, state, inlet)

    def all_delivered(self) -> bool:
        """Whether every stream has delivered a sample, but for those that may be silent."""
        return all(state.samples > 0 or state.expected.may_be_silent for state in self.streams)

    def mark(self, event: Event) -> None:
        """Write an event into ``FlexMarkers``; one that the disk refuses is noticed as every failed write is."""
        if self._writer is None:
            return
        try:
            self._writer.samples(self._marks_id, np.array([event.session_s]), [[event.marker]])
            self._marks += 1
        except TakeError as error:
            self.failure = self.failure or str(error)

    def noticed(self) -> list[Event]:
        """Return what the threads noticed since the last call."""
        events = []
        while True:
            try:
                events.append(self._noticed.get_nowait())
            except queue.Empty:
                return events

    def source_died(self, device: str) -> None:
        """Take the next sample of each of the device's streams for the end of a gap.

        Call it when all has arrived that the device sent before it died.
        """
        for state in self.streams:
            if state.expected.device == device:
                state.broken = state.samples > 0

    def drain(self, published: dict[str, int], grace_s: float, stop_s: float = -math.inf) -> list[str]:
        """Keep pulling until each stream has as many samples as were published; name those that have not.

        ``published`` counts samples by stream name. A stream of others is pulled until it has passed ``stop_s``
        (session time), a second at most: nobody knows whether it has more to send.
        """
        began_s = time.monotonic()
        while (waited_s := time.monotonic() - began_s) < grace_s:
            others_s = stop_s if waited_s < _OTHERS_GRACE_S else -math.inf
            if all(
                state.samples >= published.get(state.expected.name, 0) and not state.is_before(others_s)
                for state in self.streams
            ):
                break
            time.sleep(_PULL_PERIOD_S)
        return [
            f"stream '{state.expected.name}': {missing} samples did not arrive within {grace_s:.0f} s of the stop"
            for state in self.streams
            if (missing := published.get(state.expected.name, 0) - state.samples) > 0
        ]

    def close(self) -> None:
        """Stop all threads, write the footers, sync and close the file."""
        self._stop_probing.set()
        self._stop_pulling.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._writer is not None:
            try:
                for state in self.streams:
                    self._writer.stream_footer(
                        state.stream_id,
                        footer_xml(state.first_stamp_s, state.last_stamp_s, state.samples, state.offsets),
                    )
                self._writer.stream_footer(self._probes_id, footer_xml(math.nan, math.nan, self._probes, []))
                self._writer.stream_footer(self._marks_id, footer_xml(math.nan, math.nan, self._marks, []))
                self._writer.sync()
            finally:
                self._writer.close()
                self._writer = None
        self._inlets.clear()
        self._buffers.clear()

    # -- threads -----------------------------------------------------------------------------------------------

    def _spawn(self, name: str, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=self._guarded, args=(target, *args), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, target: Any, *args: Any) -> None:
        try:
            target(*args)
        except TakeError as error:
            self.failure = self.failure or str(error)
        except Exception as error:  # noqa: BLE001 - a thread that dies must be seen by the operator
            self.failure = self.failure or f"the recorder failed: {type(error).__name__}: {error}"

    def _notice(self, kind: str, text: str) -> None:
        import pylsl

        self._noticed.put(Event(session_s=pylsl.local_clock(), kind=kind, text=text))

    def _pull_all(self) -> None:
        before_s = time.monotonic()
        while True:
            last_round = self._stop_pulling.is_set()
            now_s = time.monotonic()
            if now_s - before_s > _STALL_S:
                self._notice(
                    "recorder_stalled",
                    f"the recorder stood still for {now_s - before_s:.1f} s; devices kept what they sent meanwhile",
                )
            before_s = now_s
            chunks: list[bytes] = []
            for state, inlet in zip(self.streams, self._inlets, strict=True):
                if not state.gone:
                    self._pull(state, inlet, chunks)
            self._write(chunks)
            if last_round:
                return
            self._stop_pulling.wait(_PULL_PERIOD_S)

    def _pull(self, state: StreamState, inlet: Any, chunks: list[bytes]) -> None:
        """Add what has come of a stream to ``chunks``; where that is much, what they hold is written."""
        import pylsl

        assert self._writer is not None
        try:
            buffer = self._buffers.get(state.stream_id)
            if buffer is None or buffer.inlet is not inlet:
                buffer = self._buffers[state.stream_id] = InletBuffer(inlet)
            more = True
            while more:
                values, stamps, more = buffer.pull()
                if len(stamps):
                    chunks.append(self._writer.samples_chunk(state.stream_id, stamps, values))
                    self._account(state, values, stamps)
                if more:
                    self._write(chunks)
        except pylsl.util.LostError:
            state.gone = True
        except (ValueError, RuntimeError):
            if not state.expected.of_others:
                raise
            state.gone = True  # what cannot be read of one stranger must not end the recording of all

    def _write(self, chunks: list[bytes]) -> None:
        """Write a round's chunks at once: a write for each of them takes as long as the pull."""
        assert self._writer is not None
        self._writer.append(chunks)
        chunks.clear()

    def _account(self, state: StreamState, values: Any, stamps: Any) -> None:
        gap_s = state.gap_s(float(stamps[0]))
        state.broken = False
        if gap_s is not None and not state.expected.name.endswith(CLOCK_SUFFIX):
            self._notice("gap", f"stream '{state.expected.name}' has a gap of {gap_s:.2f} s; it is back")
        state.account(values, stamps)

    def _probe(self, state: StreamState, inlet: Any) -> None:
        assert self._writer is not None
        previous: ClockProbe | None = None
        import pylsl

        look_again_s = time.monotonic() + RENEW_AFTER_S
        while not self._stop_probing.is_set():
            if state.seems_lost() and time.monotonic() > look_again_s:
                inlet = self._renewed(state, inlet)
                look_again_s = time.monotonic() + RENEW_AFTER_S
            probe = probe_clock(inlet, 1.0)
            if probe is not None and probe.differs_from(previous):
                self._note_jump(state, previous, probe)
                previous = probe
                state.last_probe_s = time.monotonic()
                self._writer.clock_offset(state.stream_id, probe.host_s, probe.offset_s)
                row = np.array([[state.stream_id, probe.host_s, probe.offset_s, probe.round_trip_s]])
                self._writer.samples(self._probes_id, np.array([pylsl.local_clock()]), row)
                state.offsets.append((probe.host_s, probe.offset_s))
                self._probes += 1
            self._stop_probing.wait(_PROBE_PERIOD_S)

    def _note_jump(self, state: StreamState, before: ClockProbe | None, now: ClockProbe) -> None:
        """Notice a clock of a host that was set, or a host that was started anew."""
        if before is None or state.expected.name.endswith(CLOCK_SUFFIX):
            return
        jump_s = now.offset_s - before.offset_s
        spread_s = sum(trip_s for trip_s in (before.round_trip_s, now.round_trip_s) if math.isfinite(trip_s))
        if abs(jump_s) > _CLOCK_JUMP_S + spread_s:
            self._notice(
                "clock_jump", f"the clock of the host of stream '{state.expected.name}' jumped by {-jump_s:.3f} s"
            )

    def _renewed(self, state: StreamState, inlet: Any) -> Any:
        """Return a new inlet for a stream of others that is back; ``inlet`` where it is not.

        liblsl recovers inlets by itself, but none whose name or source id holds a quote: its query for it is none then.
        """
        stream = state.expected
        back = successor(stream.info, _LOOK_S)
        if back is None or back.uid == state.uid or not state.seems_lost():
            return inlet
        try:
            renewed = _inlet(back.info)
            _open(stream, renewed)
        except (DeviceError, RuntimeError):
            return inlet  # it may have gone again
        if not state.seems_lost():
            return inlet  # liblsl found it in the meantime; what the old inlet holds must not be lost
        self._inlets[self.streams.index(state)] = renewed
        state.gone, state.uid = False, back.uid
        return renewed

    def _sync_disk(self) -> None:
        assert self._writer is not None
        while not self._stop_probing.wait(_SYNC_PERIOD_S):
            self._writer.boundary()
            self._writer.sync()


def _inlet(info: Any) -> Any:
    import pylsl

    rate_hz = info.nominal_srate()
    buffer_s = max(1, min(_INLET_BUFFER_S, int(_INLET_SAMPLES / max(rate_hz, 1.0))))
    if rate_hz > 0:  # liblsl 1.18 never returns from a pull where its buffer has no room for two samples
        buffer_s = max(buffer_s, min(_LONGEST_BUFFER_S, math.ceil(_LEAST_SAMPLES / rate_hz)))
    return pylsl.StreamInlet(info, max_buflen=buffer_s, recover=True, as_numpy=True)


def _open(stream: ExpectedStream, inlet: Any) -> None:
    try:
        inlet.open_stream(_OPEN_S)
    except RuntimeError as error:  # pylsl's errors all are
        raise _not_opened(stream, error) from error


def _not_opened(stream: ExpectedStream, error: Exception) -> DeviceError:
    return DeviceError(f"stream '{stream.name}' of device '{stream.device}' cannot be opened ({error})")
