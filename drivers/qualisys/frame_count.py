"""A device's count of 32 bits without its turns, and what is not in order."""

from __future__ import annotations

from typing import Final

_MODULUS: Final = 2**32
#: A datagram that is later than this many packets is none: the count has begun anew.
_LATEST: Final = 64


class FrameCount:
    """The count of one stream.

    With ``late_allowed`` (UDP) packets may overtake each other: one that comes after its successor is passed over,
    until more in a row come from before than any network mixes up.
    """

    def __init__(self, *, late_allowed: bool) -> None:
        self._late_allowed = late_allowed
        self._next: int | None = None
        self._late_in_a_row = 0
        self.late = 0
        self.began_anew = False

    def next(self, first: int, samples: int) -> int | None:
        """Return the unwrapped count of the first of ``samples`` samples, None where they are of before.

        ``began_anew`` is then whether the device has begun to count again.
        """
        if self._next is None:
            self._next = first
        ahead = (first - self._next) % _MODULUS
        if ahead >= _MODULUS // 2:
            behind = _MODULUS - ahead
            self._late_in_a_row += 1
            self.began_anew = not self._late_allowed or behind > _LATEST * samples or self._late_in_a_row > _LATEST
            self.late += 1
            return None
        begin = self._next + ahead
        self._next = begin + samples
        self._late_in_a_row = 0
        return begin

    def next_host(self, samples: int) -> int:
        """Return the count of the first of ``samples`` samples where nothing but the host counts them."""
        begin = self._next or 0
        self._next = begin + samples
        return begin
