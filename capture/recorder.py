"""LSL inlets into ``streams.xdf``: one thread pulls all streams, one each probes their clocks, one syncs the disk.

Stamps are stored as they come, no inlet processes anything. A stream that falls silent or disappears stops no other.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from capture.lsl_settings import ClockProbe, probe_clock
from capture.visible_streams import successor, visible_streams
from drivers.publish import counting_channel
from lab.errors import DeviceError, TakeError
from lab.streams import PROBES_LABELS, PROBES_NAME, Channel, CountingChannel, StreamSpec
from storage.xdf_header import build_header, footer_xml
from storage.xdf_writer import XdfWriter

_PULL_PERIOD_S: Final = 0.03
_PULL_SAMPLES: Final = 16384
_PROBE_PERIOD_S: Final = 1.0
_SYNC_PERIOD_S: Final = 1.0
_OTHERS_GRACE_S: Final = 1.0
_OPEN_S: Final = 10.0
_LOOK_S: Final = 0.5
#: A clock is probed every two seconds; a stream of others without an answer for this long is looked for.
_RENEW_AFTER_S: Final = 6.0
_MOST_COUNTS: Final = 2**62
#: Values that one pull may hold, and samples that an inlet may keep, whatever a stream says of itself.
_PULL_VALUES: Final = 4_000_000
_INLET_SAMPLES: Final = 10_000_000
#: Minutes of data that an inlet keeps while the recorder is busy; overflow would be seen by counter.
_INLET_BUFFER_S: Final = 600


@dataclass(frozen=True)
class ExpectedStream:
    """A stream the recorder waits for: found by ``source_id``, never by name alone.

    ``spec`` is None for a ``.clock`` stream. ``info`` is set for a stream of others, which was found already: its
    ``counter`` is the channel that counts its samples, if it has one. One that ``may_be_silent`` holds up no take.
    """

    name: str
    device: str
    source_id: str
    spec: StreamSpec | None
    info: Any = None
    counter: CountingChannel | None = None
    may_be_silent: bool = False

    @property
    def of_others(self) -> bool:
        """Whether somebody else publishes it."""
        return self.info is not None

    @property
    def counting(self) -> CountingChannel | None:
        """The channel that counts its samples; None for a stream that has none, such as ``.clock``."""
        if self.of_others:
            return self.counter
        return None if self.spec is None else counting_channel(self.spec)


@dataclass
class StreamState:
    """What is known of a stream while it is recorded; read by the console, written by the puller."""

    stream_id: int
    expected: ExpectedStream
    rate_hz: float
    samples: int = 0
    lost: int = 0
    first_stamp_s: float = math.nan
    last_stamp_s: float = math.nan
    last_seen_s: float = math.nan
    last_count: int | None = None
    gone: bool = False
    last_probe_s: float = math.nan
    uid: str = ""
    offsets: list[tuple[float, float]] = field(default_factory=list)

    def is_before(self, session_s: float) -> bool:
        """Whether this is a regular stream of others that will yet send what it sampled before ``session_s``."""
        offset_s = self.offsets[-1][1] if self.offsets else 0.0
        coming = self.expected.of_others and not self.expected.may_be_silent and not self.gone
        return coming and self.last_stamp_s + offset_s < session_s

    def seems_lost(self) -> bool:
        """Whether this is a stream of others that has not answered for long, or should have sent something."""
        now_s = time.monotonic()
        silent = not self.expected.may_be_silent and now_s - self.last_seen_s > _RENEW_AFTER_S
        return self.expected.of_others and (silent or now_s - self.last_probe_s > _RENEW_AFTER_S)

    def rate_measured_hz(self) -> float:
        """Return samples a second over the whole take so far, from stamps; NaN before there are two."""
        span_s = self.last_stamp_s - self.first_stamp_s
        return (self.samples - 1) / span_s if self.samples > 1 and span_s > 0 else math.nan


class Recorder:
    """Subscribes to streams and records them into one XDF file."""

    def __init__(self, expected: Sequence[ExpectedStream]) -> None:
        """Prepare for these streams; nothing is opened yet."""
        self._expected = tuple(expected)
        self._inlets: list[Any] = []
        self._headers: list[str] = []
        self.streams: list[StreamState] = []
        self._writer: XdfWriter | None = None
        self._threads: list[threading.Thread] = []
        self._stop_probing = threading.Event()
        self._stop_pulling = threading.Event()
        self._probes = 0
        self._probes_id = 0
        self.failure: str | None = None

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

    def start(self, path: Path) -> None:
        """Create the XDF file, write the headers and begin to record. Raises TakeError, or DeviceError.

        Only now are streams of others subscribed to: what they send before the take belongs to no take.
        """
        for state, inlet in zip(self.streams, self._inlets, strict=True):
            if state.expected.of_others:
                _open(state.expected, inlet)
        writer = XdfWriter(path)
        self._writer = writer
        self._probes_id = len(self.streams) + 1
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
        self._spawn("puller", self._pull_all)
        self._spawn("disk-sync", self._sync_disk)
        for state, inlet in zip(self.streams, self._inlets, strict=True):
            state.last_probe_s = time.monotonic()
            self._spawn(f"probe-{state.expected.name}", self._probe, state, inlet)

    def all_delivered(self) -> bool:
        """Whether every stream has delivered a sample, but for those that may be silent."""
        return all(state.samples > 0 or state.expected.may_be_silent for state in self.streams)

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
                self._writer.sync()
            finally:
                self._writer.close()
                self._writer = None
        self._inlets.clear()

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

    def _pull_all(self) -> None:
        while True:
            last_round = self._stop_pulling.is_set()
            for state, inlet in zip(self.streams, self._inlets, strict=True):
                if not state.gone:
                    self._pull(state, inlet)
            if last_round:
                return
            self._stop_pulling.wait(_PULL_PERIOD_S)

    def _pull(self, state: StreamState, inlet: Any) -> None:
        import pylsl

        assert self._writer is not None
        try:
            most = max(1, min(_PULL_SAMPLES, _PULL_VALUES // max(1, inlet.channel_count)))
            while (available := inlet.samples_available()) > 0:
                values, stamps = inlet.pull_chunk(timeout=0.0, max_samples=min(int(available), most))
                if len(stamps) == 0:
                    return
                self._writer.samples(state.stream_id, stamps, values)
                _account(state, values, stamps)
        except pylsl.util.LostError:
            state.gone = True
        except (ValueError, RuntimeError):
            if not state.expected.of_others:
                raise
            state.gone = True  # what cannot be read of one stranger must not end the recording of all

    def _probe(self, state: StreamState, inlet: Any) -> None:
        assert self._writer is not None
        previous: ClockProbe | None = None
        import pylsl

        look_again_s = time.monotonic() + _RENEW_AFTER_S
        while not self._stop_probing.is_set():
            if state.seems_lost() and time.monotonic() > look_again_s:
                inlet = self._renewed(state, inlet)
                look_again_s = time.monotonic() + _RENEW_AFTER_S
            probe = probe_clock(inlet, 1.0)
            if probe is not None and probe.differs_from(previous):
                previous = probe
                state.last_probe_s = time.monotonic()
                self._writer.clock_offset(state.stream_id, probe.host_s, probe.offset_s)
                row = np.array([[state.stream_id, probe.host_s, probe.offset_s, probe.round_trip_s]])
                self._writer.samples(self._probes_id, np.array([pylsl.local_clock()]), row)
                state.offsets.append((probe.host_s, probe.offset_s))
                self._probes += 1
            self._stop_probing.wait(_PROBE_PERIOD_S)

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

    buffer_s = max(1, min(_INLET_BUFFER_S, int(_INLET_SAMPLES / max(info.nominal_srate(), 1.0))))
    return pylsl.StreamInlet(info, max_buflen=buffer_s, recover=True, as_numpy=True)


def _open(stream: ExpectedStream, inlet: Any) -> None:
    try:
        inlet.open_stream(_OPEN_S)
    except RuntimeError as error:  # pylsl's errors all are
        raise _not_opened(stream, error) from error


def _not_opened(stream: ExpectedStream, error: Exception) -> DeviceError:
    return DeviceError(f"stream '{stream.name}' of device '{stream.device}' cannot be opened ({error})")


def _account(state: StreamState, values: Any, stamps: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """Count samples and, by the counter, losses."""
    state.samples += len(stamps)
    state.last_seen_s = time.monotonic()
    state.last_stamp_s = float(stamps[-1])
    if math.isnan(state.first_stamp_s):
        state.first_stamp_s = float(stamps[0])
    counting = state.expected.counting
    if counting is None or values.dtype == object:
        return
    column = values[:, counting.column]
    counts = column[np.abs(column) < _MOST_COUNTS].astype(np.int64)  # others may send anything
    if not len(counts):
        return
    before = counts[0] - 1 if state.last_count is None else state.last_count
    steps = np.diff(counts, prepend=before)
    if counting.modulus:
        steps %= counting.modulus
        steps[steps > counting.modulus // 2] = 1  # a device that counts anew, not a loss of half its counter
    state.lost += int(np.sum(np.maximum(steps - 1, 0)))
    state.last_count = int(counts[-1])
