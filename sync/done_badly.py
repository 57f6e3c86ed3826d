"""Repetitions done badly: those that are missed between the others, and what is to be said about each.

A repetition that goes only part of the way, is given up, or needs a second attempt is a motion of the set like the
others: it leaves the same pose the same way and comes back to it. It is counted, and doubted in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from sync.candidates import PARAMETERS, Candidate, courses
from sync.drive_signal import COARSE_HZ, Body

Float64 = npt.NDArray[np.float64]

#: Parts of the others' way: where a motion has left the base pose, and where it is back. How far it goes at least
#: is ``hole_lowest``.
_LEFT: Final = 0.2
_BACK: Final = 0.08
#: Cosine from which two ways out are the same kind of motion: sides that take turns are not.
_SAME_WAY: Final = 0.7
#: At the ends of a set, where fidgets are, it must be more like the others.
_SHAPE_AT_ENDS: Final = 0.9
_FAR_AT_ENDS: Final = 0.4
_CLOSED: Final = 0.5
#: How long a motion between others, and the rest beside one at the ends, may be, in their typical length.
_LONGEST: Final = 3.2
_REST: Final = 1.0

#: What is doubted: less than this part of the others' way, as many times as long, this much more of the way undone
#: before it is done. Five per cent more than usual is undone by no unsteady hand; real sets undo one per cent.
_WHOLE: Final = 0.95
_SHALLOW: Final = 0.77
_LONG: Final = 1.45
_UNDONE: Final = 0.05
#: Coordinates that go less than this part of the widest one's way say nothing about how far it was.
_MOVED: Final = 0.15


@dataclass(frozen=True)
class Kind:
    """What alike repetitions have in common.

    ``base`` (components,) is the pose that they leave and ``way`` (components,) leads from it to their turn; ``course``
    (phases x components,) is their mean, ``length`` their median in samples of the body's grid.
    """

    base: Float64
    way: Float64
    course: Float64
    length: float

    def part_of_way(self, poses: Float64) -> Float64:
        """Return how far (n,) each pose (n, components) is on the way: 0 at the base, 1 at a usual turn."""
        return np.asarray((poses - self.base) @ self.way / (self.way @ self.way))


def with_missed(body: Body, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Return ``candidates`` and what they have missed between them, and directly before and after them, in order."""
    if len(candidates) < 2:
        return candidates
    kinds = kinds_of(body, candidates)
    missed: list[Candidate] = []
    for (one, kind), (other, next_kind) in pairwise(zip(candidates, kinds, strict=True)):
        found = motions_between(body, kind, one.last, other.first)
        if not found and next_kind is not kind:
            found = motions_between(body, next_kind, one.last, other.first)
        missed += found
    reach = [round((_LONGEST + _REST) * kind.length) for kind in (kinds[0], kinds[-1])]
    first, last = candidates[0].first, candidates[-1].last
    before = motions_between(body, kinds[0], max(0, first - reach[0]), first, at_end=True)
    after = motions_between(body, kinds[-1], last, min(body.time_s.size - 1, last + reach[1]), at_end=True)
    missed += [one for one in before[-1:] if first - one.last <= _REST * kinds[0].length]
    missed += [one for one in after[:1] if one.first - last <= _REST * kinds[-1].length]
    return tuple(sorted((*candidates, *missed), key=lambda one: one.first))


def what_is_odd(body: Body, candidates: tuple[Candidate, ...]) -> list[tuple[str, ...]]:
    """Return for each candidate in words how it differs from those of its kind."""
    if len(candidates) < 3:
        return [()] * len(candidates)
    kinds = kinds_of(body, candidates)
    ways = [kind.part_of_way(body.shape[one.first : one.last + 1]) for one, kind in zip(candidates, kinds, strict=True)]
    far = np.array([float(np.max(way)) for way in ways])
    far = far / np.median(far)
    # What goes as far as the others on the whole is not shallow, though some of it may go elsewhere.
    far = np.where(far < _WHOLE, np.minimum(far, _shortest_ways(body, candidates, kinds)), far)
    undone = np.array([_undone(way) for way in ways])
    seconds = np.array([(one.last - one.first) / COARSE_HZ for one in candidates])
    longer = seconds / np.median(seconds)
    odd = []
    for index in range(len(candidates)):
        said = []
        if far[index] < _SHALLOW:
            said.append(f"it is shallower than the others: {far[index] * 100:.0f} % of their way")
        if undone[index] > float(np.median(undone)) + _UNDONE:
            said.append("it comes back on the way and tries again")
        if longer[index] > _LONG:
            said.append(f"it takes {longer[index]:.1f} times as long as the others")
        odd.append(tuple(said))
    return odd


def kinds_of(body: Body, candidates: tuple[Candidate, ...]) -> list[Kind]:
    """Return the kind of each candidate; those of one kind share one object."""
    ends = np.array([(body.shape[one.first] + body.shape[one.last]) / 2 for one in candidates])
    ways = np.array([body.shape[one.turn] for one in candidates]) - ends
    unit = ways / (np.linalg.norm(ways, axis=1, keepdims=True) + 1e-12)
    alike = unit @ unit.T > _SAME_WAY
    every = courses(body, [(one.first, one.last) for one in candidates])
    length = np.array([one.last - one.first for one in candidates], dtype=np.float64)
    known: dict[bytes, Kind] = {}
    for row in alike:
        if row.tobytes() not in known:
            known[row.tobytes()] = Kind(
                np.median(ends[row], axis=0),
                np.median(ways[row], axis=0),
                every[row].mean(axis=0),
                float(np.median(length[row])),
            )
    return [known[row.tobytes()] for row in alike]


def motions_between(body: Body, kind: Kind, left: int, right: int, *, at_end: bool = False) -> list[Candidate]:
    """Return the motions of ``kind`` between two indices of the grid, in order.

    ``at_end`` says that fidgets may lie there: they must be more like it.
    """
    part = kind.part_of_way(body.shape[left : right + 1])
    lowest = _FAR_AT_ENDS if at_end else PARAMETERS["hole_lowest"]
    shape_at_least = _SHAPE_AT_ENDS if at_end else PARAMETERS["hole_shape"]
    longest = int(_LONGEST * kind.length) + 1
    gone = np.concatenate(([False], part > _LEFT, [False]))
    begins, ends = np.flatnonzero(np.diff(gone.astype(np.int8)) > 0), np.flatnonzero(np.diff(gone.astype(np.int8)) < 0)
    found: list[Candidate] = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        far = float(part[begin:end].max())
        # No further than the longest motion: the time must not grow with the square of a recording's length.
        earliest = max(0, begin - longest)
        below_before = np.flatnonzero(part[earliest:begin] <= _BACK * far)
        below_after = np.flatnonzero(part[end : end + longest] <= _BACK * far)
        if far < lowest or not below_before.size or not below_after.size:
            continue
        first, last = left + earliest + int(below_before[-1]), left + end + int(below_after[0])
        turn = left + begin + int(np.argmax(part[begin:end]))
        if found and first < found[-1].last:
            continue
        length = last - first
        if not PARAMETERS["shortest_s"] * COARSE_HZ <= length <= _LONGEST * kind.length:
            continue
        course = courses(body, [(first, last)])[0]
        norms = float(np.linalg.norm(course) * np.linalg.norm(kind.course)) + 1e-12
        apart = float(np.linalg.norm(body.shape[last] - body.shape[first]))
        closure = float(np.exp(-0.5 * (apart / (far * np.linalg.norm(kind.way)) / PARAMETERS["closure_width"]) ** 2))
        if float(course @ kind.course) / norms < shape_at_least or closure < _CLOSED:
            continue
        ratio = float(np.linalg.norm(course - kind.course) / np.linalg.norm(kind.course))
        likeness = float(np.exp(-0.5 * (ratio / PARAMETERS["likeness_width"]) ** 2))
        found.append(Candidate(first, turn, last, likeness, closure))
    return found


def _shortest_ways(body: Body, candidates: tuple[Candidate, ...], kinds: list[Kind]) -> Float64:
    """Return how far (candidates,) the quarter of all coordinates that fall shortest go, in parts of the others' way.

    What moves most may be there long before the rest is: in a lunge the step is done before the hips are down.
    """
    far = np.empty(len(candidates))
    for kind in {id(kind): kind for kind in kinds}.values():
        own = [index for index, its in enumerate(kinds) if its is kind]
        ends = [(body.motion[candidates[index].first] + body.motion[candidates[index].last]) / 2 for index in own]
        base = np.median(ends, axis=0)
        way = np.median([body.motion[candidates[index].turn] for index in own], axis=0) - base
        moved = np.abs(way) > _MOVED * float(np.max(np.abs(way)))
        for index in own:
            course = body.motion[candidates[index].first : candidates[index].last + 1, moved] - base[moved]
            far[index] = np.percentile(np.max(course / way[moved], axis=0), 25)
        far[own] /= np.median(far[own])
    return far


def _undone(way: Float64) -> float:
    """Return by how much a way out (n,) is undone before it goes on, in parts of all of it."""
    before, after = np.maximum.accumulate(way), np.maximum.accumulate(way[::-1])[::-1]
    return float(np.max(np.minimum(before, after) - way) / (np.max(way) + 1e-12))
