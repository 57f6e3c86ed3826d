"""The strap's calendar without its midnights, and its short count made long by that clock."""

from __future__ import annotations

from typing import Final

from drivers.zephyr.bioharness_codec import DAY_S

_MODULUS: Final = 256


class StrapClock:
    """The strap's time, which goes on over midnight even where its date was never set or changes late."""

    def __init__(self) -> None:
        self._last_s: float | None = None

    def time_s(self, stamped_s: float) -> float:
        """Return the time that a stamp means. Stamps of several kinds of packets may come out of order."""
        time_s, last_s = stamped_s, self._last_s
        if last_s is not None and time_s < last_s - DAY_S / 2:
            time_s += DAY_S * round((last_s - time_s) / DAY_S)
        self._last_s = time_s if last_s is None else max(last_s, time_s)
        return time_s


class PacketCount:
    """Number of a packet since the strap's calendar began, from its 8-bit count and its time.

    The time alone gives the number to within some packets, the count says which one it is. So a driver that is started
    again goes on where the strap is, and a gap of more than 256 packets is counted exactly. What tells is that no
    strap's packets drift from its clock by half a turn, 128 packets, within a gap: 166 ppm in the recording, at which
    that takes nine days.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last: tuple[int, float] | None = None

    def number(self, sequence: int, time_s: float) -> int | None:
        """Return the packet's number, larger than the last one's; None of a packet that came twice."""
        if self._last is None:
            number = _nearest(sequence, time_s / self._period_s)
        else:
            last, last_s = self._last
            ahead = (time_s - last_s) / self._period_s
            step = (sequence - last) % _MODULUS
            if step == 0 and abs(ahead) < _MODULUS / 2:
                return None
            # a clock that was set back tells nothing: then it is the smallest step forward
            step = max(_nearest(step, ahead), step or _MODULUS)
            number = last + step
        self._last = number, time_s
        return number


def _nearest(residue: int, value: float) -> int:
    """Return the number nearest to ``value`` that is ``residue`` modulo 256, and not below 0."""
    return max(residue + _MODULUS * round((value - residue) / _MODULUS), residue)
