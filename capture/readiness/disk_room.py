"""Whether the next take fits on its disk, and how many after it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from capture.disk_watch import STOP_BYTES
from capture.readiness.size_in_words import size_in_words
from capture.readiness.take_size import TakeSize
from storage.reserve import RESERVE_BYTES

#: What a take needs besides its bytes: what it holds for its end, what is left when it is stopped, and a little more.
LEFT_FREE_BYTES: Final = RESERVE_BYTES + STOP_BYTES + (8 << 20)
#: The dataset's clips are cut from the take's video without encoding it again: it needs the take's bytes once more.
_WITH_DATASET: Final = 2


@dataclass(frozen=True)
class DiskRoom:
    """Whether the next take fits on its disk; ``free_bytes`` are those of ``folder``."""

    folder: Path
    free_bytes: int
    size: TakeSize

    @property
    def cannot_fit(self) -> bool:
        """Whether not even the smallest raw take has room."""
        return self.free_bytes < self.size.least_bytes + LEFT_FREE_BYTES

    @property
    def may_not_fit(self) -> bool:
        """Whether the largest take that is to be expected, and its part of the dataset, has no room."""
        return self.free_bytes < _WITH_DATASET * self.size.most_bytes + LEFT_FREE_BYTES

    @property
    def takes_left(self) -> int:
        """How many takes of the likely size fit, with their parts of the dataset."""
        return int(self._room / max(1.0, _WITH_DATASET * self.size.likely_bytes))

    @property
    def minutes_left(self) -> float:
        """How many minutes can be recorded, with their parts of the dataset."""
        return self._room / max(1.0, _WITH_DATASET * self.size.bytes_a_second.likely) / 60

    @property
    def _room(self) -> float:
        return max(0.0, self.free_bytes - LEFT_FREE_BYTES)

    @property
    def problem(self) -> str:
        """The sentence about a disk on which the next take cannot or may not fit; empty where it fits."""
        size, free = self.size, size_in_words(self.free_bytes)
        advice = "make room, or name a folder on another disk with --out"
        if self.cannot_fit:
            needed = f"{size_in_words(size.least_bytes)} ({size.basis}) and {size_in_words(LEFT_FREE_BYTES)}"
            return (
                f"the next take does not fit on the disk of {self.folder}: it needs at least {needed} that stay free,"
                f" but {free} are free; {advice}"
            )
        if self.may_not_fit:
            needed = f"{size_in_words(size.most_bytes)} ({size.basis}) and as much again for the dataset"
            return (
                f"the next take may not fit on the disk of {self.folder}: it may need {needed}, but {free} are free;"
                f" {advice}"
            )
        return ""

    @property
    def sentence(self) -> str:
        """What is to be said of a disk with room enough."""
        needed = f"about {size_in_words(self.size.likely_bytes)} ({self.size.basis}) and as much for the dataset"
        left = f"room for {self.takes_left:,} more takes, {self.minutes_left:,.0f} minutes"
        return f"the next take fits: {needed}; {size_in_words(self.free_bytes)} free, {left}"


def disk_room(folder: Path, size: TakeSize) -> DiskRoom:
    """Look how much is free on the disk of ``folder``, which need not exist yet. Raises OSError."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return DiskRoom(folder, shutil.disk_usage(existing).free, size)
