"""A drive signal -> the set of alike motions in it that leave a pose and come back to it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from sync.drive_signal import COARSE_HZ, Body

Float64 = npt.NDArray[np.float64]

PARAMETERS: Final[dict[str, float]] = {
    "phases": 24,
    "likeness_width": 0.35,
    "tempo_width": 0.5,
    "closure_width": 0.35,
    "flank": 0.08,
    "shortest_s": 0.5,
    "longest_s": 20.0,
    "accept": 0.30,
    "accept_at_ends": 0.15,
    "fast": 1.0,
    "alone": 0.5,
    "rest_s": 10.0,
    "rest_repetitions": 4.0,
    "hole_height": 0.4,
    "hole_tempo": 0.6,
    "hole_lowest": 0.3,
    "hole_shape": 0.8,
    "peaks": 3,
    "trend_at_least": 5,
    "trend_explains": 0.5,
    "trend_limit": 0.9,
    "sides_at_least": 2,
    "sides_base": 0.5,
    "sides_size": 0.5,
    "sides_count": 0.35,
    "sides_changes": 0.6,
}


#: How many windows at most are each compared with all others.
_POOL: Final = 512


@dataclass(frozen=True)
class Candidate:
    """A motion out to ``turn`` and back: indices of the body's grid, with likeness and closure in 0 … 1."""

    first: int
    turn: int
    last: int
    likeness: float
    closure: float


@dataclass(frozen=True)
class Chain:
    """The candidates of one hypothesis, in order.

    ``explained`` is the part of all motion that they make up, weighted by how alike and closed they are.
    """

    candidates: tuple[Candidate, ...]
    explained: float


def turning_points(signal: Float64, hysteresis: float) -> list[int]:
    """Return the indices of alternating extremes that differ by ``hysteresis`` or more, ends included."""
    slope = np.diff(signal)
    inner = np.flatnonzero(slope[:-1] * slope[1:] <= 0) + 1
    places = [0, *inner.tolist(), signal.size - 1]
    heights = signal[places].tolist()
    low = high = 0
    found: list[int] = []
    direction = 0
    for place, height in enumerate(heights):
        if height < heights[low]:
            low = place
        if height > heights[high]:
            high = place
        if direction >= 0 and heights[high] - height >= hysteresis:
            found.append(high)
            direction, low = -1, place
        elif direction <= 0 and height - heights[low] >= hysteresis:
            found.append(low)
            direction, high = 1, place
        if direction > 0 and height >= heights[high]:
            high = place
        if direction < 0 and height <= heights[low]:
            low = place
    found.append(high if direction > 0 else low)
    return [places[place] for place in found]


def best_chain(body: Body, drive: Float64, extremes: list[int], peaks: int) -> Chain | None:
    """Return the best chain of motions with ``peaks`` peaks each whose turn is a maximum of ``drive``.

    ``extremes`` are its turning points. None where there are fewer than one.
    """
    if len(extremes) < 3:
        return None
    is_top = int(drive[extremes[0]] > drive[extremes[1]])
    bases = extremes[1::2] if is_top else extremes[0::2]
    tops = extremes[0::2] if is_top else extremes[1::2]
    windows = []
    for number, (left, right) in enumerate(zip(bases, bases[peaks:], strict=False)):
        # Extremes alternate: behind base n comes top n, or n + 1 where a top came first.
        inside = tops[number + is_top : number + is_top + peaks]
        window = _trimmed(drive, left, max(inside, key=lambda top: float(drive[top])), right, inside)
        length_s = (window[2] - window[0]) / COARSE_HZ
        if PARAMETERS["shortest_s"] <= length_s <= PARAMETERS["longest_s"]:
            windows.append((window, bases[number + 1 : number + peaks]))
    if not windows:
        return None
    return _chain(body, drive, windows)


def _trimmed(drive: Float64, left: int, turn: int, right: int, tops: list[int]) -> tuple[int, int, int]:
    """Cut off both ends what is no motion towards the turn.

    A repetition starts where the drive leaves its base, which is the higher of both ends': before the first one the
    body may have been anywhere.
    """
    rising, falling = drive[left : tops[0] + 1], drive[tops[-1] : right + 1]
    base = float(max(rising[0], falling[-1]))
    first = left + int(np.flatnonzero(rising <= base + PARAMETERS["flank"] * (rising[-1] - base))[-1])
    last = tops[-1] + int(np.flatnonzero(falling <= base + PARAMETERS["flank"] * (falling[0] - base))[0])
    return first, turn, last


def courses(body: Body, spans: list[tuple[int, int]]) -> Float64:
    """Return the poses (spans, phases x components) of each span of indices, stretched to one length, from their base.

    The base is half-way between the poses at both ends: neither end is the better one.
    """
    phases = int(PARAMETERS["phases"])
    at = np.array([np.linspace(first, last, phases) for first, last in spans])
    below = np.minimum(at.astype(np.int64), body.time_s.size - 2)
    part = (at - below)[..., None]
    course = body.shape[below] * (1 - part) + body.shape[below + 1] * part
    base = (course[:, :1] + course[:, -1:]) / 2
    return np.asarray((course - base).reshape(len(spans), -1))


def _chain(body: Body, drive: Float64, windows: list[tuple[tuple[int, int, int], list[int]]]) -> Chain:
    course = courses(body, [(first, last) for (first, _, last), _ in windows])
    size = np.linalg.norm(course, axis=1) + 1e-12
    seconds = np.array([(last - first) / COARSE_HZ for (first, _, last), _ in windows])
    # Of very many a part is compared with all: the time must not grow with the square of a recording's length.
    pool = np.arange(0, len(windows), -(-len(windows) // _POOL))
    apart = np.sqrt(np.maximum(size[pool, None] ** 2 + size[None, :] ** 2 - 2 * course[pool] @ course.T, 0.0))
    ratio = apart / np.maximum(size[pool, None], size[None, :])
    tempo = np.log(seconds[pool, None] / seconds[None, :])
    alike = np.exp(-0.5 * (ratio / PARAMETERS["likeness_width"]) ** 2 - 0.5 * (tempo / PARAMETERS["tempo_width"]) ** 2)
    closure = np.array([_closure(body, window, inner) for window, inner in windows])
    # Time in motion rather than way: a walk to the rack is fast and says nothing.
    typical = float(np.median(body.speed[body.speed >= np.median(body.speed)]))
    moved = np.concatenate(([0.0], np.cumsum(np.minimum(body.speed, PARAMETERS["fast"] * typical))))
    motion = np.array([moved[last + 1] - moved[first] for (first, _, last), _ in windows]) / moved[-1]
    # The template is the candidate that the most motion is like; then the mean of those like it, once.
    medoid = int(np.argmax(alike @ (closure * motion)))
    like_it = alike[medoid] > 0.5
    template = course[like_it].mean(axis=0)
    when = np.array([turn / COARSE_HZ for (_, turn, _), _ in windows])
    usual, trend = _usual_tempo(when, np.log(seconds), like_it)
    # Either will do: a set may become slower all along, or only seem to.
    tempo = np.minimum(np.abs(np.log(seconds) - usual), np.abs(np.log(seconds) - trend))
    norm = float(np.linalg.norm(template)) + 1e-12
    ratio = np.linalg.norm(course - template, axis=1) / np.maximum(size, norm)
    likeness = np.exp(
        -0.5 * (ratio / PARAMETERS["likeness_width"]) ** 2 - 0.5 * (tempo / PARAMETERS["tempo_width"]) ** 2
    )
    if int(np.count_nonzero(like_it)) == 1:
        likeness = np.where(like_it, PARAMETERS["alone"], likeness)  # nothing it could be like
    likeness = _with_other_side(likeness, alike, pool, course, seconds, closure * motion, windows, body)
    worth = likeness * closure
    inside = np.flatnonzero(worth >= PARAMETERS["accept"])
    chosen = _without_overlap([windows[index][0] for index in inside], (worth * motion)[inside])
    picked = _longest_stay(
        [int(inside[index]) for index in chosen], [window for window, _ in windows], worth * motion, seconds
    )
    picked = _with_ends(picked, windows, worth, seconds)
    heights = np.array([drive[turn] - (drive[first] + drive[last]) / 2 for (first, turn, last), _ in windows])
    picked = _with_holes_filled(picked, windows, heights, seconds)
    candidates = tuple(Candidate(*windows[index][0], float(likeness[index]), float(closure[index])) for index in picked)
    return Chain(candidates, float(np.sum((worth * motion)[picked])))


def _usual_tempo(when_s: Float64, log_s: Float64, like_it: npt.NDArray[np.bool_]) -> tuple[float, Float64]:
    """Return how long, as a logarithm, repetitions take: the median of those in ``like_it``, and their trend.

    The trend (windows,) is what those at other times may be expected to take where they become longer or shorter all
    along; it has limits, and is the median where it explains little.
    """
    middle = float(np.median(log_s[like_it]))
    flat = np.full(log_s.size, middle)
    if int(np.count_nonzero(like_it)) < PARAMETERS["trend_at_least"]:
        return middle, flat
    slope, level = np.polyfit(when_s[like_it], log_s[like_it], 1)
    trend = slope * when_s + level
    if float(np.std((log_s - trend)[like_it])) > PARAMETERS["trend_explains"] * float(np.std(log_s[like_it])):
        return middle, flat
    return middle, np.clip(trend, middle - PARAMETERS["trend_limit"], middle + PARAMETERS["trend_limit"])


def _with_other_side(
    likeness: Float64,
    alike: Float64,
    pool: npt.NDArray[np.intp],
    course: Float64,
    seconds: Float64,
    worth: Float64,
    windows: list[tuple[tuple[int, int, int], list[int]]],
    body: Body,
) -> Float64:
    """Return the likeness (windows,) also to a second kind of motion, where two kinds take turns: right, left, right.

    Both leave the same pose, go about as far and are about as many, and in most places one follows the other.
    """
    accept = PARAMETERS["accept"]
    ends = np.array([(first, last) for (first, _, last), _ in windows])
    base = (body.shape[ends[:, 0]] + body.shape[ends[:, 1]]) / 2
    size = np.linalg.norm(course, axis=1)
    own = likeness >= accept
    if int(np.count_nonzero(own)) < PARAMETERS["sides_at_least"]:
        return likeness
    far = np.array([np.linalg.norm(body.shape[turn] - base[index]) for index, ((_, turn, _), _) in enumerate(windows)])
    usual_far = float(np.median(far[own]))
    near = np.linalg.norm(base - np.median(base[own], axis=0), axis=1) < PARAMETERS["sides_base"] * usual_far
    as_far = np.abs(np.log(size / np.median(size[own]))) < PARAMETERS["sides_size"]
    as_long = np.abs(np.log(seconds / np.median(seconds[own]))) < PARAMETERS["tempo_width"] * 2
    other = ~own & near & as_far & as_long
    rows = np.flatnonzero(other[pool])
    if int(np.count_nonzero(other)) < PARAMETERS["sides_at_least"] or not rows.size:
        return likeness
    medoid = rows[int(np.argmax((alike[rows] * other) @ worth))]
    like_it = other & (alike[medoid] > 0.5)
    if int(np.count_nonzero(like_it)) < PARAMETERS["sides_at_least"]:
        return likeness
    template = course[like_it].mean(axis=0)
    norm = float(np.linalg.norm(template)) + 1e-12
    ratio = np.linalg.norm(course - template, axis=1) / np.maximum(size, norm)
    tempo = np.log(seconds / np.median(seconds[like_it]))
    second = np.exp(-0.5 * (ratio / PARAMETERS["likeness_width"]) ** 2 - 0.5 * (tempo / PARAMETERS["tempo_width"]) ** 2)
    second = np.where(other, second, 0.0)
    kinds = np.where(own, 1, np.where(second >= accept, 2, 0))
    in_order = kinds[kinds > 0]
    counts = int(np.count_nonzero(in_order == 1)), int(np.count_nonzero(in_order == 2))
    changes = int(np.count_nonzero(np.diff(in_order)))
    if max(counts) - min(counts) > max(1, PARAMETERS["sides_count"] * max(counts)):
        return likeness
    if changes < PARAMETERS["sides_changes"] * (in_order.size - 1):
        return likeness
    return np.maximum(likeness, second)


def _closure(body: Body, window: tuple[int, int, int], inner: list[int]) -> float:
    """Return how well the pose at the end is the one at the start, and how little it is met in between."""
    first, turn, last = window
    start, end = body.shape[first], body.shape[last]
    base = (start + end) / 2
    size = float(np.linalg.norm(body.shape[turn] - base)) + 1e-12
    width = PARAMETERS["closure_width"]
    closure = float(np.exp(-0.5 * (float(np.linalg.norm(end - start)) / size / width) ** 2))
    for index in inner:  # a return to the base pose half-way makes it two repetitions
        back = float(np.linalg.norm(body.shape[index] - base)) / size
        closure *= 1 - 0.9 * float(np.exp(-0.5 * (back / width) ** 2))
    return closure


def _without_overlap(windows: list[tuple[int, int, int]], worth: Float64) -> list[int]:
    """Return the indices of the most worthwhile windows that do not overlap (weighted interval scheduling)."""
    ends = [last for _, _, last in windows]
    best, taken = [0.0], []
    for index, (first, _, _) in enumerate(windows):
        before = min(index, bisect_right(ends, first + 1))
        with_it = best[before] + float(worth[index])
        taken.append(before if with_it > best[index] else -1)
        best.append(max(with_it, best[index]))
    chosen: list[int] = []
    index = len(windows)
    while index > 0:
        index -= 1
        if taken[index] >= 0:
            chosen.append(index)
            index = taken[index]
    return chosen[::-1]


def _longest_stay(
    picked: list[int], windows: list[tuple[int, int, int]], worth: Float64, seconds: Float64
) -> list[int]:
    """Return the part of the chain without long rests in it that explains the most: a set is done in one go."""
    if len(picked) < 2:
        return picked
    rest = COARSE_HZ * max(PARAMETERS["rest_s"], PARAMETERS["rest_repetitions"] * float(np.median(seconds[picked])))
    parts = [[picked[0]]]
    for before, index in pairwise(picked):
        if windows[index][0] - windows[before][2] > rest:
            parts.append([])
        parts[-1].append(index)
    return max(parts, key=lambda part: float(np.sum(worth[part])))


def _with_ends(
    picked: list[int], windows: list[tuple[tuple[int, int, int], list[int]]], worth: Float64, seconds: Float64
) -> list[int]:
    """Add a neighbour at either end that is less alike: first and last repetitions often are."""
    if len(picked) < 2:
        return picked
    typical_s = float(np.median(seconds[picked]))
    before, after = range(picked[0] - 1, -1, -1), range(picked[-1] + 1, len(windows))
    for side, edge in ((before, picked[0]), (after, picked[-1])):
        for index in side:
            gap = max(windows[edge][0][0] - windows[index][0][2], windows[index][0][0] - windows[edge][0][2])
            if gap < -1:
                continue
            if gap / COARSE_HZ < typical_s and worth[index] >= PARAMETERS["accept_at_ends"]:
                picked = sorted([*picked, index])
            break
    return picked


def _with_holes_filled(
    picked: list[int], windows: list[tuple[tuple[int, int, int], list[int]]], heights: Float64, seconds: Float64
) -> list[int]:
    """Add what lies between repetitions and is about as high and long as they are: one done badly."""
    if len(picked) < 3:
        return picked
    height, typical_s = float(np.median(heights[picked])), float(np.median(seconds[picked]))
    filled, known = picked[:1], set(picked)
    for index in range(picked[0] + 1, picked[-1] + 1):
        if index not in known:
            free = windows[filled[-1]][0][2] <= windows[index][0][0] + 1
            following = picked[bisect_right(picked, index)]
            free &= windows[index][0][2] <= windows[following][0][0] + 1
            same_height = abs(heights[index] / height - 1) < PARAMETERS["hole_height"]
            if not (free and same_height and abs(np.log(seconds[index] / typical_s)) < PARAMETERS["hole_tempo"]):
                continue
        filled.append(index)
    return filled
