"""Frames as they came -> frames in order: datagrams overtake each other, come twice, or not at all."""

from __future__ import annotations

from typing import Final, NamedTuple

from drivers.optitrack.frame_codec import MocapFrame

#: A missing frame is waited for until so many later ones have come, or for so long.
_MOST_HELD: Final = 4
_LONGEST_HELD_S: Final = 0.05
#: One that is further behind than this was counted anew, if others follow it.
_FURTHEST_BEHIND: Final = 100
_BEHIND_IN_A_ROW: Final = 3
#: The frame number is u32.
_MODULUS: Final = 2**32


class Arrived(NamedTuple):
    """A frame in its place, its number unwrapped, and when it and all before it were there, in host time."""

    frame: MocapFrame
    number: int
    arrival_s: float


class FrameOrder:
    """Hands on each frame once and in order. What comes after its gap was given up is lost, and counted in ``late``.

    ``restarted`` is set when the server began to count anew: then nothing more comes out.
    """

    def __init__(self) -> None:
        self.late = self.repeated = 0
        self.restarted = False
        self._last: int | None = None
        self._last_arrival_s = 0.0
        self._behind = 0
        self._held: dict[int, Arrived] = {}

    def add(self, frame: MocapFrame, arrival_s: float) -> list[Arrived]:
        """Return the frames whose turn it is, now that this one has come."""
        if self._last is None:
            self._last = frame.number - 1
        step = (frame.number - self._last + _MODULUS // 2) % _MODULUS - _MODULUS // 2
        number = self._last + step
        if step <= 0:
            self._count_behind(step)
            return self.due(arrival_s)
        self._behind = 0
        if number in self._held:
            self.repeated += 1
        else:
            self._held[number] = Arrived(frame, number, arrival_s)
        return self._run() + self.due(arrival_s)

    def due(self, now_s: float) -> list[Arrived]:
        """Return frames that have waited long enough for those ahead of them."""
        ready: list[Arrived] = []
        while self._held:
            waited_s = now_s - min(arrived.arrival_s for arrived in self._held.values())
            if len(self._held) <= _MOST_HELD and waited_s < _LONGEST_HELD_S:
                break
            self._last = min(self._held) - 1  # this gap is given up, one behind it is not yet
            ready += self._run()
        return ready

    def _run(self) -> list[Arrived]:
        """Take out what follows the last frame without a gap."""
        assert self._last is not None
        ready = []
        while (following := self._held.pop(self._last + 1, None)) is not None:
            ready.append(self._placed(following))
        return ready

    def _placed(self, arrived: Arrived) -> Arrived:
        self._last = arrived.number
        self._last_arrival_s = max(self._last_arrival_s, arrived.arrival_s)
        return arrived._replace(arrival_s=self._last_arrival_s)

    def _count_behind(self, step: int) -> None:
        if step == 0:
            self.repeated += 1
        elif step > -_FURTHEST_BEHIND:
            self.late += 1
        else:
            self.late += 1
            self._behind += 1
            self.restarted = self._behind >= _BEHIND_IN_A_ROW
