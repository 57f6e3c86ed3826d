"""Sets beside the one that was found: one take is to hold one set, and a second one is to be said."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from sync.candidates import PARAMETERS, Candidate
from sync.done_badly import Kind, kinds_of, motions_between
from sync.drive_signal import COARSE_HZ, Body

#: So many motions in one go are a set. Two may be a try before it.
_SET_AT_LEAST: Final = 3
#: How much longer or shorter each of them may be.
_TEMPO: Final = 2.0


def other_sets(body: Body, candidates: tuple[Candidate, ...]) -> tuple[str, ...]:
    """Return a sentence about each further stretch of motions like the ``candidates``, outside them; mostly none."""
    if len(candidates) < _SET_AT_LEAST:
        return ()
    kinds = list({id(kind): kind for kind in kinds_of(body, candidates)}.values())
    said = []
    for left, right in ((0, candidates[0].first), (candidates[-1].last, body.time_s.size - 1)):
        for stretch in _stretches(_motions(body, kinds, left, right), max(kind.length for kind in kinds)):
            times_s = body.time_s[[stretch[0].first, stretch[-1].last]] - body.time_s[0]
            said.append(
                f"another set of about {len(stretch)} like repetitions lies between {times_s[0]:.0f} and"
                f" {times_s[1]:.0f} s after the recording's begin"
            )
    return tuple(said)


def _motions(body: Body, kinds: list[Kind], left: int, right: int) -> list[Candidate]:
    """Return the motions of any of the kinds between two indices of the grid, in order and without overlap."""
    if right - left < _SET_AT_LEAST * PARAMETERS["shortest_s"] * COARSE_HZ:
        return []
    motions = [
        motion
        for kind in kinds
        for motion in motions_between(body, kind, left, right, at_end=True)
        if kind.length / _TEMPO <= motion.last - motion.first <= kind.length * _TEMPO
    ]
    kept: list[Candidate] = []
    for motion in sorted(motions, key=lambda one: (one.last, -one.likeness)):
        if not kept or motion.first >= kept[-1].last - 1:
            kept.append(motion)
    return kept


def _stretches(motions: list[Candidate], length: float) -> list[list[Candidate]]:
    """Return motions, of which the longest take ``length`` samples, parted at long rests, where they are a set."""
    rest = max(PARAMETERS["rest_s"] * COARSE_HZ, PARAMETERS["rest_repetitions"] * length)
    stretches = [motions[:1]]
    for before, motion in pairwise(motions):
        if motion.first - before.last > rest:
            stretches.append([])
        stretches[-1].append(motion)
    return [stretch for stretch in stretches if len(stretch) >= _SET_AT_LEAST]
