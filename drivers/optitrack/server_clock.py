"""The server's clock against the host's: echoes, as in Cristian's algorithm.

The host sends its time as a token, the server answers with the token and its own clock. It read that clock at some
moment between the sending and the arrival: ``offset`` is host time less server time for the middle of the two, and
certain to half the ``round_trip``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.optitrack.natnet_codec import Echo, echo_request
from lab.streams import Channel

#: Requests that nobody has answered are forgotten beyond this many.
_MOST_OPEN: Final = 16
_NS: Final = 1e9

ECHO_CHANNELS: Final = (
    Channel("server_time", "seconds", "DeviceTime"),
    Channel("host_time", "seconds", "HostTime"),
    Channel("offset", "seconds", "ClockOffset"),
    Channel("round_trip", "seconds", "RoundTrip"),
)


class EchoClock:
    """Asks for the server's clock and reads the answers; ``clock_hz`` is that clock's rate in ticks."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._sent_s: dict[int, float] = {}

    def ask(self, now_s: float) -> bytes:
        """Return a request to be sent at once, at host time ``now_s``."""
        token = int(now_s * _NS) & (2**64 - 1)
        while len(self._sent_s) >= _MOST_OPEN:
            self._sent_s.pop(next(iter(self._sent_s)))
        self._sent_s[token] = now_s
        return echo_request(token)

    def answer(self, echo: Echo, arrival_s: float) -> npt.NDArray[np.float64] | None:
        """Return a row of ``ECHO_CHANNELS`` (1, 4); None for an answer to what was not asked, or the second one."""
        sent_s = self._sent_s.pop(echo.token, None)
        if sent_s is None:
            return None
        server_s, middle_s = echo.ticks / self._clock_hz, (sent_s + arrival_s) / 2
        return np.array([[server_s, middle_s, middle_s - server_s, arrival_s - sent_s]])
