"""What writing a take again would change: repetitions as the dataset has them beside those found now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.repetitions import Repetition, Segmentation
from storage.flex import PlannedClip, TakeEntry

#: Start, turn and end in seconds of session time.
Bounds = tuple[float, float, float]
_BOUNDS: Final = ("start", "turn", "end")
#: Differences below this many milliseconds are not shown as a change.
_NOTHING_MS: Final = 0.0005


@dataclass(frozen=True)
class RepetitionChange:
    """One repetition as it is in the dataset and as it is found now: its number and bounds, None where it is not."""

    old_number: int | None
    new_number: int | None
    old: Bounds | None
    new: Bounds | None

    @property
    def difference_ms(self) -> Bounds | None:
        """How much later start, turn and end are now, in milliseconds; None for one that comes or goes."""
        if self.old is None or self.new is None:
            return None
        start, turn, end = ((after - before) * 1e3 for before, after in zip(self.old, self.new, strict=True))
        return start, turn, end

    @property
    def is_same(self) -> bool:
        """Whether number and bounds stay."""
        difference = self.difference_ms
        same_number = self.old_number == self.new_number
        return difference is not None and same_number and all(abs(one) < _NOTHING_MS for one in difference)


@dataclass(frozen=True)
class TakeChange:
    """What would change of a take: counts are None where the dataset has none; ``cut`` are clips cut again."""

    take_id: str
    is_new: bool
    old_found: int | None
    new_found: int
    old_expected: int | None
    new_expected: int | None
    repetitions: tuple[RepetitionChange, ...]
    cut: tuple[str, ...]
    kept: int

    @property
    def changed(self) -> tuple[RepetitionChange, ...]:
        """The repetitions that do not stay as they are."""
        return tuple(one for one in self.repetitions if not one.is_same)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "take_id": self.take_id,
            "new": self.is_new,
            "found": {"old": self.old_found, "new": self.new_found},
            "expected": {"old": self.old_expected, "new": self.new_expected},
            "repetitions": [
                {
                    "old": _plain(one.old_number, one.old),
                    "new": _plain(one.new_number, one.new),
                    "difference_ms": None if one.difference_ms is None else _named(one.difference_ms, "{}"),
                }
                for one in self.repetitions
            ],
            "clips": {"cut": list(self.cut), "kept": self.kept},
        }

    def lines(self) -> list[str]:
        """Say it to an operator."""
        asked = "" if self.new_expected is None else f" of {self.new_expected}"
        if self.is_new:
            return [f"not in the dataset yet: {self.new_found}{asked} repetitions, {len(self.cut)} clips to cut"]
        count = f"{self.new_found}{asked} repetitions"
        if self.old_found != self.new_found:
            count = f"{self.old_found} -> {self.new_found}{asked} repetitions"
        video = f"{len(self.cut)} clips to cut, {self.kept} stay" if self.cut or self.kept else "no clips"
        moved = f"{len(self.changed)} change" if self.changed else "the same bounds"
        return [f"{count}, {moved}; {video}", *(f"  {_line(one)}" for one in self.changed)]


def change_of(
    before: TakeEntry | None, take_id: str, segmentation: Segmentation, clips: Sequence[PlannedClip]
) -> TakeChange:
    """Compare a take as the dataset has it with what is found now; ``clips`` say what would be cut."""
    old = [] if before is None else [(row["repetition"], _bounds_in(row)) for row in before.repetitions]
    new = [(number, _bounds_of(one)) for number, one in enumerate(segmentation.repetitions, start=1)]
    return TakeChange(
        take_id=take_id,
        is_new=before is None,
        old_found=None if before is None else before.take["found"],
        new_found=segmentation.found,
        old_expected=None if before is None else before.take["expected"],
        new_expected=segmentation.expected,
        repetitions=_paired(old, new),
        cut=tuple(f"rep_{clip.repetition:02d}_{clip.view}" for clip in clips if clip.kept is None),
        kept=sum(clip.kept is not None for clip in clips),
    )


def _paired(old: list[tuple[int, Bounds]], new: list[tuple[int, Bounds]]) -> tuple[RepetitionChange, ...]:
    """Pair the repetitions that overlap most, each once, in order of time."""
    overlaps = sorted(
        ((_overlap_s(was, found), i, k) for i, (_, was) in enumerate(old) for k, (_, found) in enumerate(new)),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    of_new: dict[int, int] = {}
    taken: set[int] = set()
    for overlap_s, i, k in overlaps:
        if overlap_s > 0 and k not in of_new and i not in taken:
            of_new[k] = i
            taken.add(i)
    out = [
        RepetitionChange(old[of_new[k]][0], number, old[of_new[k]][1], bounds)
        if k in of_new
        else RepetitionChange(None, number, None, bounds)
        for k, (number, bounds) in enumerate(new)
    ]
    out += [RepetitionChange(number, None, bounds, None) for i, (number, bounds) in enumerate(old) if i not in taken]
    return tuple(sorted(out, key=lambda one: (one.new or one.old or (0.0,))[0]))


def _overlap_s(one: Bounds, other: Bounds) -> float:
    return min(one[2], other[2]) - max(one[0], other[0])


def _bounds_in(row: dict[str, Any]) -> Bounds:
    return row["start_s"], row["turn_s"], row["end_s"]


def _bounds_of(repetition: Repetition) -> Bounds:
    return repetition.start_s, repetition.turn_s, repetition.end_s


def _named(bounds: Bounds, pattern: str) -> dict[str, float]:
    return {pattern.format(name): round(value, 3) for name, value in zip(_BOUNDS, bounds, strict=True)}


def _plain(number: int | None, bounds: Bounds | None) -> dict[str, float | int] | None:
    if number is None or bounds is None:
        return None
    return {"repetition": number} | {f"{name}_s": value for name, value in zip(_BOUNDS, bounds, strict=True)}


def _line(change: RepetitionChange) -> str:
    if change.old is None and change.new is not None:
        return f"repetition {change.new_number} is new: {change.new[0]:.2f} to {change.new[2]:.2f} s"
    if change.new is None and change.old is not None:
        return f"repetition {change.old_number} goes: {change.old[0]:.2f} to {change.old[2]:.2f} s"
    moved = change.difference_ms or (0.0, 0.0, 0.0)
    number = (
        f"{change.new_number}"
        if change.old_number == change.new_number
        else f"{change.old_number}, now {change.new_number}"
    )
    return f"repetition {number}: " + ", ".join(
        f"{name} {value:+.0f} ms" for name, value in zip(_BOUNDS, moved, strict=True)
    )
