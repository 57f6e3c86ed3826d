"""What the recorder expects of a stream, and what it has seen of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from drivers.publish import counting_channel
from lab.streams import CountingChannel, StreamSpec

#: A clock is probed every two seconds; a stream of others without an answer for this long is looked for.
RENEW_AFTER_S: Final = 6.0
#: A stream of others that sent nothing for this long, and for the time of so many samples, has a gap.
_GAP_S: Final = 1.0
_GAP_SAMPLES: Final = 10
_MOST_COUNTS: Final = 2**62


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
    """What is known of a stream while it is recorded; read by the console, written by the puller.

    ``broken`` is set when its source died: the next sample ends a gap.
    """

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
    broken: bool = False
    offsets: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Look once for the counter, which every piece is asked for."""
        self._counting = self.expected.counting

    def is_before(self, session_s: float) -> bool:
        """Whether this is a regular stream of others that will yet send what it sampled before ``session_s``."""
        offset_s = self.offsets[-1][1] if self.offsets else 0.0
        coming = self.expected.of_others and not self.expected.may_be_silent and not self.gone
        return coming and self.last_stamp_s + offset_s < session_s

    def seems_lost(self) -> bool:
        """Whether this is a stream of others that sent nothing for long, and should have, or does not answer either."""
        now_s = time.monotonic()
        if not self.expected.of_others or now_s - self.last_seen_s <= RENEW_AFTER_S:
            return False
        return not self.expected.may_be_silent or now_s - self.last_probe_s > RENEW_AFTER_S

    def gap_s(self, stamp_s: float) -> float | None:
        """Return how long the gap is that ends with a sample stamped ``stamp_s``; None where there is none.

        That a device of ours died is known (``broken``). A stream of others has a gap where nothing came for long, and
        its stamps passed over that time as well: one that only stood still sends what it kept.
        """
        passed_s, step_s = time.monotonic() - self.last_seen_s, stamp_s - self.last_stamp_s
        if not self.expected.of_others:
            return step_s if self.broken else None
        usual_s = 1 / self.rate_measured_hz() if self.samples > 1 else math.nan
        silent = not self.expected.may_be_silent and passed_s > max(_GAP_S, _GAP_SAMPLES * usual_s)
        if not self.broken and (not silent or 0 <= step_s < passed_s / 2):
            return None
        return step_s if 0 < step_s < passed_s + _GAP_S else passed_s  # the clock of its host may begin anew

    def rate_measured_hz(self) -> float:
        """Return samples a second over the whole take so far, from stamps in session time; NaN before there are two."""
        jumped_s = self.offsets[-1][1] - self.offsets[0][1] if self.offsets else 0.0
        span_s = self.last_stamp_s - self.first_stamp_s + jumped_s
        return (self.samples - 1) / span_s if self.samples > 1 and span_s > 0 else math.nan

    def account(self, values: Any, stamps: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Count samples and, by the counter, losses."""
        self.samples += len(stamps)
        self.last_seen_s = time.monotonic()
        self.last_stamp_s = float(stamps[-1])
        if math.isnan(self.first_stamp_s):
            self.first_stamp_s = float(stamps[0])
        counting = self._counting
        if counting is None or values.dtype == object:
            return
        column = values[:, counting.column]
        if self.last_count is not None and _counts_on(column, self.last_count + 1, counting.modulus):
            self.last_count += len(column)
            return
        counts = column[np.abs(column) < _MOST_COUNTS].astype(np.int64)  # others may send anything
        if not len(counts):
            return
        before = counts[0] - 1 if self.last_count is None else self.last_count
        steps = np.diff(counts, prepend=before)
        if counting.modulus:
            steps %= counting.modulus
            steps[steps > counting.modulus // 2] = 1  # a device that counts anew, not a loss of half its counter
        self.lost += int(np.sum(np.maximum(steps - 1, 0)))
        self.last_count = int(counts[-1])


def _counts_on(column: Any, first: int, modulus: int) -> bool:
    """Whether these counts go on from ``first`` one by one, without a wrap: nearly always, so that it must be cheap."""
    after = first + len(column)
    if modulus and after > modulus:
        return False
    return bool((column == np.arange(first, after)).all())
