"""What people said of single repetitions, laid over what a segmenter found, again and again.

A correction names its repetition by where it lay when somebody looked at it, never by its number: another segmenter,
or another correction, may count otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lab.marks import Mark
from lab.repetitions import Repetition, Segmentation, count_doubt

#: Two spans that share at least this part of what they cover together are the same repetition.
_SAME: Final = 0.4
#: A smaller difference is not worth a word.
_SAID_S: Final = 0.005


@dataclass(frozen=True)
class Corrected:
    """A segmentation with its corrections, and sentences about each of them; times in these count from ``zero_s``.

    ``swallowed`` says which repetitions gave way entirely to a corrected one.
    """

    segmentation: Segmentation
    remarks: tuple[str, ...]
    swallowed: tuple[Repetition, ...] = ()


def standing_corrections(marks: Iterable[Mark]) -> list[Mark]:
    """Return the corrections of repetitions that still hold: ``undo`` takes the last one back, ``discard`` all."""
    standing: list[Mark] = []
    for mark in marks:
        if mark.kind != "repetition":
            continue
        if mark.act == "discard":
            standing = []
        elif mark.act == "undo":
            standing = standing[:-1]
        else:
            standing.append(mark)
    return standing


def with_corrections(segmentation: Segmentation, marks: Iterable[Mark], zero_s: float = 0.0) -> Corrected:
    """Lay the corrections among ``marks`` over what a segmenter found, in the order in which they were made.

    A bound that was set is taken; one that was not stays the segmenter's. A repetition that the segmenter does not
    find any more is the one that the person saw. Neighbours give way to a corrected repetition.
    """
    repetitions = list(segmentation.repetitions)
    swallowed: list[Repetition] = []
    done = [(mark, *_apply(repetitions, swallowed, mark)) for mark in standing_corrections(marks)]
    if not done:
        return Corrected(segmentation, ())
    told = count_doubt(segmentation.found, segmentation.expected)
    doubts = [doubt for doubt in segmentation.doubts if doubt not in told]
    return Corrected(
        replace(
            segmentation,
            repetitions=tuple(repetitions),
            doubts=(*count_doubt(len(repetitions), segmentation.expected), *doubts),
        ),
        tuple(dict.fromkeys(_remarks(segmentation.repetitions, repetitions, done, zero_s))),
        tuple(swallowed),
    )


def _apply(
    repetitions: list[Repetition], swallowed: list[Repetition], mark: Mark
) -> tuple[Repetition | None, Repetition | None]:
    """Apply one correction to the list; return the repetition that it speaks of as it was before, and as it is now."""
    place = None if mark.was_s is None else _matching(repetitions, mark.was_s)
    found = None if place is None else repetitions.pop(place)
    if mark.act in {"set", "insert"}:
        new = _as_said(mark, found)
        swallowed += _make_way(repetitions, new)
    elif found is None or mark.act == "delete":
        return found, None
    else:
        new = replace(found, excluded_reason=(mark.text or "no reason given") if mark.act == "exclude" else None)
    repetitions.append(new)
    repetitions.sort(key=lambda one: one.start_s)
    return found, new


def _remarks(
    auto: Sequence[Repetition],
    final: Sequence[Repetition],
    done: Sequence[tuple[Mark, Repetition | None, Repetition | None]],
    zero_s: float,
) -> Iterator[str]:
    """Say what became of each correction, but of those of which a later one took the place; numbers are the final."""
    later: set[int] = set()
    said: list[str] = []
    for mark, found, new in reversed(done):
        place = None if new is None else _matching(final, (new.start_s, new.turn_s, new.end_s))
        if mark.act in {"set", "insert"}:
            if place in later:
                continue
            if place is not None:
                later.add(place)
        said.append(_remark(auto, mark, found, new, place, zero_s))
    yield from reversed(said)


def _remark(
    auto: Sequence[Repetition],
    mark: Mark,
    found: Repetition | None,
    new: Repetition | None,
    place: int | None,
    zero_s: float,
) -> str:
    by = f"{mark.who or 'somebody'}, {mark.utc[:10]}"
    why = f": {mark.text}" if mark.text else ""
    which = "a repetition" if place is None else f"repetition {place + 1}"
    if new is None:
        span = mark.was_s or (zero_s,) * 3
        which += f" from {span[0] - zero_s:.2f} to {span[2] - zero_s:.2f} s"
        if found is None:
            return f"{which} was marked ({mark.act}; {by}){why}, and is not found any more"
        return f"{which} was taken out ({by}){why}"
    if mark.act == "exclude":
        return f"{which} is not to be used ({by}){why}"
    if mark.act == "include":
        return f"{which} is to be used after all ({by}){why}"
    at = _matching(auto, (new.start_s, new.turn_s, new.end_s))
    beside = "the segmenter does not find it" if at is None else _difference(auto[at], new)
    return f"{which} was {'corrected' if mark.act == 'set' else 'put in'} ({by}){why}: {_bounds(new, zero_s)}; {beside}"


def _as_said(mark: Mark, found: Repetition | None) -> Repetition:
    """Return the repetition that a mark describes; what it does not say is the segmenter's, or what was seen."""
    excluded = None if found is None else found.excluded_reason
    seen = () if found is None else ((found.start_s, found.turn_s, found.end_s),)
    for rest in (*seen, mark.was_s or (math.nan,) * 3):
        start_s, turn_s, end_s = (
            other if one is None else one
            for one, other in zip((mark.start_s, mark.turn_s, mark.end_s), rest, strict=True)
        )
        if start_s < turn_s < end_s:
            break
    return Repetition(start_s, turn_s, end_s, 1.0, (), "corrected", excluded)


def _matching(repetitions: Sequence[Repetition], was_s: tuple[float, float, float]) -> int | None:
    """Return the place of the repetition that covers most of a span, and it most of it."""
    shares = [_shared(one, was_s[0], was_s[2]) for one in repetitions]
    if not shares or max(shares) < _SAME:
        return None
    return shares.index(max(shares))


def _shared(one: Repetition, start_s: float, end_s: float) -> float:
    both = min(one.end_s, end_s) - max(one.start_s, start_s)
    return max(0.0, both) / (max(one.end_s, end_s) - min(one.start_s, start_s))


def _make_way(repetitions: list[Repetition], new: Repetition) -> list[Repetition]:
    """Trim what overlaps a corrected repetition; return, and drop, what it swallows: the turn is within it."""
    gone: list[Repetition] = []
    for place in range(len(repetitions) - 1, -1, -1):
        one = repetitions[place]
        if one.end_s <= new.start_s or one.start_s >= new.end_s:
            continue
        if one.turn_s < new.start_s:
            repetitions[place] = replace(one, end_s=new.start_s)
        elif one.turn_s > new.end_s:
            repetitions[place] = replace(one, start_s=new.end_s)
        else:
            gone.append(repetitions.pop(place))
    return gone[::-1]


def _bounds(one: Repetition, zero_s: float) -> str:
    return f"{one.start_s - zero_s:.2f}, {one.turn_s - zero_s:.2f}, {one.end_s - zero_s:.2f} s"


def _difference(auto: Repetition, new: Repetition) -> str:
    """Say how far the segmenter's bounds are from those that a person set."""
    apart_s = {name: getattr(auto, f"{name}_s") - getattr(new, f"{name}_s") for name in ("start", "turn", "end")}
    said = [f"{name} {by_s:+.2f} s" for name, by_s in apart_s.items() if abs(by_s) >= _SAID_S]
    return f"the segmenter says {', '.join(said)}" if said else "as the segmenter says"
