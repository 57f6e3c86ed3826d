"""Streams listened to for a while without recording them: what comes, when, and what the clock of its host says.

Each stream is subscribed to, probed and pulled by threads of its own, so that one that does not answer hides no other.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from capture.lsl_settings import ClockProbe, probe_clock
from capture.stream_state import ExpectedStream
from capture.visible_streams import SeenStream, visible_streams
from lab.streams import CLOCK_SUFFIX
from storage.xdf_header import StreamHeader, parse_header

_LOOK_S: Final = 0.3
_OPEN_S: Final = 5.0
_PULL_PERIOD_S: Final = 0.02
_PROBE_PERIOD_S: Final = 0.5
_PULL_SAMPLES: Final = 16384
_PULL_VALUES: Final = 4_000_000
_INLET_BUFFER_S: Final = 30
_INLET_SAMPLES: Final = 10_000_000
_MOST_COUNTS: Final = 2**62
_STAMP_BYTES: Final = 9
#: Arrivals that are kept of a stream; the rate needs no more.
_MOST_POINTS: Final = 200_000
#: Columns of a ``.clock`` row and of a camera's row.
_CLOCK_ARRIVAL: Final = 1
_FRAME_ENCODED: Final = 4

Float64 = npt.NDArray[np.float64]


@dataclass
class HeardStream:
    """What was heard of one stream; written by its threads, read when they have ended.

    ``points`` are rows of count, host time of arrival as the publisher stamped it, and session time at which it was
    pulled. ``lost`` and ``odd_steps`` are by its counter: samples left out, and steps that no counter makes.
    ``missing`` says in words why nothing can be heard, ``others`` that it is there more than once. ``ended_s`` is the
    session time at which listening ended, ``finished`` whether its replay was over by then.
    """

    expected: ExpectedStream
    info: Any = None
    header: StreamHeader | None = None
    missing: str = ""
    others: str = ""
    samples: int = 0
    lost: int = 0
    odd_steps: int = 0
    bytes: int = 0
    not_encoded: int = 0
    ended_s: float = math.nan
    gone: bool = False
    finished: bool = False
    probe: ClockProbe | None = None
    points: list[tuple[float, float, float]] = field(default_factory=list)
    last_count: int | None = None
    counted: int = 0

    @property
    def channel_count(self) -> int:
        """How many channels it has, the counter's included; 0 where it has not said."""
        return 0 if self.header is None else self.header.channel_count or 0


class Listening:
    """Listens to streams between ``find`` and ``close``."""

    def __init__(self, expected: Sequence[ExpectedStream]) -> None:
        """Prepare to listen; nothing is opened yet."""
        self.streams = tuple(HeardStream(stream, stream.info) for stream in expected)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._opened = {id(heard): threading.Event() for heard in self.streams}

    def find(self, timeout_s: float) -> None:
        """Look for every stream by its source id, say of each that is not there what is, and subscribe to the rest.

        Returns when each has been subscribed to, or has not answered.
        """
        self._look(timeout_s)
        for heard in self.streams:
            if heard.info is not None:
                self._spawn(f"listen-{heard.expected.name}", self._listen, heard)
        deadline_s = time.monotonic() + 2 * _OPEN_S + 1.0
        for heard in self.streams:
            if heard.info is not None:
                self._opened[id(heard)].wait(max(0.0, deadline_s - time.monotonic()))

    def close(self) -> None:
        """End all threads; what was heard stays."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _look(self, timeout_s: float) -> None:
        ours = [heard for heard in self.streams if heard.info is None]
        deadline_s = time.monotonic() + timeout_s
        seen: list[SeenStream] = []
        while ours:
            seen = visible_streams(_LOOK_S)
            there = {stream.source_id for stream in seen}
            if all(heard.expected.source_id in there for heard in ours) or time.monotonic() > deadline_s:
                break
        by_source: dict[str, list[SeenStream]] = {}
        for stream in seen:
            by_source.setdefault(stream.source_id, []).append(stream)
        for heard in ours:
            found = by_source.get(heard.expected.source_id, [])
            if not found:
                heard.missing = _not_there(heard.expected, seen, timeout_s)
                continue
            heard.info = found[0].info
            if len(found) > 1:
                heard.others = ", ".join(str(stream) for stream in found)

    def _spawn(self, name: str, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self, heard: HeardStream) -> None:
        import pylsl

        opened = self._opened[id(heard)]
        try:
            inlet = _inlet(heard.info)
            heard.header = parse_header(inlet.info(_OPEN_S).as_xml())
            inlet.open_stream(_OPEN_S)
        except (RuntimeError, UnicodeDecodeError) as error:  # pylsl's errors all are RuntimeErrors
            heard.missing = (
                f"stream '{heard.expected.name}' can be seen, but does not answer ({error}); check its publisher, and"
                " the firewall for UDP and TCP ports 16571 to 16699"
            )
            return
        finally:
            opened.set()
        prober = threading.Thread(
            target=self._probe, args=(heard, inlet), name=f"probe-{heard.expected.name}", daemon=True
        )
        prober.start()
        try:
            while not self._stop.wait(_PULL_PERIOD_S):
                _pull(heard, inlet)
            _pull(heard, inlet)
            heard.ended_s = float(pylsl.local_clock())
        except (pylsl.util.LostError, ValueError, RuntimeError):
            heard.gone = True
        prober.join()

    def _probe(self, heard: HeardStream, inlet: Any) -> None:
        while heard.probe is None and not self._stop.is_set():
            heard.probe = probe_clock(inlet, 1.0)
            self._stop.wait(_PROBE_PERIOD_S if heard.probe is None else 0.0)


def _not_there(stream: ExpectedStream, seen: Sequence[SeenStream], timeout_s: float) -> str:
    named = [str(other) for other in seen if not other.name.endswith(CLOCK_SUFFIX)]
    there = f"there are {'; '.join(named[:8])}" if named else "no stream can be seen at all"
    return (
        f"stream '{stream.name}' of device '{stream.device}' did not appear on the network within {timeout_s:.0f} s;"
        f" {there}; check the firewall for UDP and TCP ports 16571 to 16699"
    )


def _inlet(info: Any) -> Any:
    import pylsl

    rate_hz = max(info.nominal_srate(), 0.0)
    buffer_s = max(1, min(_INLET_BUFFER_S, int(_INLET_SAMPLES / max(rate_hz, 1.0))))
    if 0 < rate_hz < 1:  # with room for fewer than two samples liblsl 1.18 never comes back from pulling
        buffer_s = int(_INLET_BUFFER_S / rate_hz)
    return pylsl.StreamInlet(info, max_buflen=buffer_s, recover=False, as_numpy=True)


def _pull(heard: HeardStream, inlet: Any) -> None:
    import pylsl

    most = max(1, min(_PULL_SAMPLES, _PULL_VALUES // max(1, inlet.channel_count)))
    while (available := inlet.samples_available()) > 0:
        values, stamps = inlet.pull_chunk(timeout=0.0, max_samples=min(int(available), most))
        if len(stamps) == 0:
            return
        account(heard, values, stamps, float(pylsl.local_clock()))


def account(heard: HeardStream, values: Any, stamps: Float64, now_s: float) -> None:
    """Take in samples (samples, channels) with their stamps (samples,), pulled at session time ``now_s``."""
    heard.samples += len(stamps)
    texts = not isinstance(values, np.ndarray) or values.dtype == object
    heard.bytes += len(stamps) * _STAMP_BYTES + (_text_bytes(values) if texts else values.nbytes)
    is_clock = heard.expected.spec is None and heard.expected.name.endswith(CLOCK_SUFFIX)
    if not texts and is_clock:
        if values.shape[1] > _CLOCK_ARRIVAL:
            heard.points += [(float(row[0]), float(row[_CLOCK_ARRIVAL]), now_s) for row in values]
    else:
        _count(heard, None if texts else values)
        heard.points.append((float(heard.counted), float(stamps[-1]), now_s))
        spec = heard.expected.spec
        if not texts and spec is not None and spec.video is not None and values.shape[1] > _FRAME_ENCODED:
            heard.not_encoded += int(np.sum(values[:, _FRAME_ENCODED] == 0))
    del heard.points[:-_MOST_POINTS]


def _count(heard: HeardStream, values: Any) -> None:
    """Go on with the count and, by the counter, find what is lost; without one every sample counts one."""
    counting = heard.expected.counting
    if counting is None or values is None or counting.column >= values.shape[1]:
        heard.counted = heard.samples
        return
    column = values[:, counting.column]
    counts = column[np.abs(column) < _MOST_COUNTS].astype(np.int64)  # others may send anything
    heard.odd_steps += len(column) - len(counts)
    if not len(counts):
        return
    before = counts[0] - 1 if heard.last_count is None else heard.last_count
    steps = np.diff(counts, prepend=before)
    if counting.modulus:
        steps %= counting.modulus
        odd = (steps == 0) | (steps > counting.modulus // 2)
    else:
        odd = steps <= 0
    heard.odd_steps += int(odd.sum())
    steps[odd] = 1
    heard.lost += int(np.sum(steps - 1))
    heard.counted += int(np.sum(steps))
    heard.last_count = int(counts[-1])


def _text_bytes(values: Any) -> int:
    return sum(len(str(cell)) + 2 for row in values for cell in row)
