"""The samples of one stream of an XDF file, gathered in arrays that grow with what the file turns out to hold."""

from __future__ import annotations

from array import array
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from storage.xdf_bytes import FileBytes, Int64
from storage.xdf_header import NUMPY_TYPES
from storage.xdf_rows import Float64, Rows, read_stamps, read_values
from storage.xdf_texts import Texts
from storage.xdf_walk import WalkedStream

_MARGIN: Final = 1.01  # room beyond what the file so far lets expect
_TELLING: Final = 1 / 32  # part of the file from which on it lets the rest be expected
_IN_PLACE: Final = 1.25  # arrays that grow by more get new memory, of which only what is filled is ever touched


class StreamContent:
    """What of a stream was read and not yet handed over: ``held`` samples, the first of which has index ``first``."""

    def __init__(self, stream: WalkedStream) -> None:
        """Begin with a stream of which nothing was read."""
        self.stream = stream
        self.first = self.held = 0
        self._last = 0.0  # as in the format's reference implementations
        self._channels = stream.header.channel_count or 0
        self._texts: list[str] = []
        self._letters = 0
        self._ends: array[int] = array("q")
        self._empty()

    @property
    def held_bytes(self) -> int:
        """About how much memory the samples take."""
        return self._letters + self.held * (8 + self._values.dtype.itemsize * self._channels)

    def _empty(self) -> None:
        sample_format = self.stream.header.format or "double64"
        dtype = np.dtype(object if sample_format == "string" else NUMPY_TYPES[sample_format])
        self._stamps: Float64 = np.empty(0)
        self._values: npt.NDArray[Any] = np.empty((0, self._channels), dtype=dtype)

    def read(self, file: FileBytes, samples: Rows | Texts, part: float) -> None:
        """Read further samples; ``part`` of the file have been read with them, for how much more is to be expected."""
        begin, interval_s = self.held, self.stream.interval_s
        if isinstance(samples, Texts):
            self.held += len(samples.stamps)
            self._room(self.held, part)
            self._stamps[begin : self.held] = samples.all_stamps(self._last, interval_s)
            self._texts += samples.texts
            self._letters += sum(map(len, samples.texts))
            self._ends.extend(end + self.first + begin for end in samples.ends)
        else:
            self.held += len(samples.places)
            self._room(self.held, part)
            read_stamps(file, samples, self._last, interval_s, self._stamps[begin : self.held])
            read_values(file, samples, self._values[begin : self.held])
            self._ends.frombytes((samples.ends + (self.first + begin)).tobytes())
        self._last = float(self._stamps[self.held - 1])

    def _room(self, samples: int, part: float) -> None:
        """Make the arrays large enough, for all of the file where it goes on as it began."""
        had = len(self._stamps)
        if samples <= had:
            return
        # Early on, the file says little about itself; what is copied from small arrays costs little.
        room = max(int(samples / part * _MARGIN), samples) if part > _TELLING else 2 * samples
        try:
            self._stamps = _grown(self._stamps, self.held, room)
            if self._values.dtype != object:
                self._values = _grown(self._values, self.held, room)
        except MemoryError:  # of a system that gives no room on credit
            self._stamps = _grown(self._stamps, self.held, samples)
            self._values = _grown(self._values, self.held, samples)

    def hand_over(self) -> tuple[Float64, npt.NDArray[Any], Int64]:
        """Return stamps (held,), values (held, channels) and the index of each chunk's last sample; hold none of them.

        The index counts from the stream's first sample.
        """
        stamps, values = self._stamps, self._values
        if values.dtype == object:
            values = np.empty(self.held * self._channels, dtype=object)
            values[:] = self._texts
            values = values.reshape(self.held, self._channels)
        else:
            values.resize((self.held, self._channels), refcheck=False)
        stamps.resize(self.held, refcheck=False)
        ends = np.array(self._ends, dtype=np.int64)
        del self._ends[:]
        self.first += self.held
        self.held = self._letters = 0
        self._texts = []
        self._empty()
        return stamps, values, ends


def _grown(old: npt.NDArray[Any], held: int, room: int) -> npt.NDArray[Any]:
    if held and room <= _IN_PLACE * len(old):
        old.resize((room, *old.shape[1:]), refcheck=False)  # nothing else sees it
        return old
    new = np.empty((room, *old.shape[1:]), old.dtype)
    new[: min(held, len(old))] = old[: min(held, len(old))]
    return new
