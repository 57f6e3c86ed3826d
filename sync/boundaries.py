"""Exact start, turn and end of a repetition, at the pose's own rate and between its samples."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from sync.drive_signal import principal

Float64 = npt.NDArray[np.float64]

#: Parts of the flank's peak speed. A minimum-jerk motion (Flash & Hogan 1985: speed as the square of u (1 - u)) was at
#: rest as long before 9 % as 9 % is before 30 %. Lower parts drown in the unrest of a body that holds a load: it drifts
#: at up to a tenth of the speed of a short lift.
_AT_ENDS: Final = (0.09, 0.30)
#: At the turn the body is rarely at rest, and what it sinks there in a pause is slow.
_AT_TURN: Final = (0.05, 0.20)
#: How near to a pose, in parts of the way, it counts as reached.
_OUTER: Final = 0.3
#: How much less far than the first a second attempt may go.
_AGAIN: Final = 0.15
_SMOOTH_HZ: Final = 6.0
_EDGE_S: Final = 1.0
#: Samples around a turn from which a direction can be told.
_FEWEST: Final = 8


def refine(
    time_s: Float64, primary: Float64, first_s: float, turn_s: float, last_s: float
) -> tuple[float, float, float]:
    """Return start, turn and end in seconds of a repetition that was roughly found.

    ``primary`` (n,) is the repetition's primary coordinate at ``time_s`` (n,), uniformly sampled, growing towards
    the turn. Start and end are where the outer flanks' speed has come down to nothing. The turn is where the way back
    begins: where the speed changes sign, or at the end of a pause. The speed alone would say that badly, for around a
    smooth turn the body moves by less than a tenth of a millimetre in 50 ms.
    """
    from scipy.signal import sosfiltfilt

    step_s = float(time_s[1] - time_s[0])
    smooth = sosfiltfilt(_low_pass(round(step_s, 9)), primary, padlen=min(primary.size - 1, round(_EDGE_S / step_s)))
    speed = np.gradient(smooth, step_s)
    first, middle, last = (
        int(np.clip(round((when - float(time_s[0])) / step_s), 0, time_s.size - 1))
        for when in (first_s, turn_s, last_s)
    )
    if not 0 <= first < middle < last:
        return first_s, turn_s, last_s
    reach = max(2, (last - first) // 4)
    top = max(first + 1, middle - reach)
    top += int(np.argmax(smooth[top : min(last, middle + reach + 1)]))
    out = first + int(np.argmax(speed[first : top + 1]))
    # A second attempt comes nearly as far as the first: the way back begins after the last.
    base = max(float(smooth[first]), float(smooth[last]))
    high = np.flatnonzero(smooth[top : last + 1] >= smooth[top] - _AGAIN * (smooth[top] - base))
    again = top + (int(high[-1]) if high.size else 0)
    back = again + int(np.argmin(speed[again : last + 1]))
    if speed[out] <= 0 or speed[back] >= 0 or out >= back:
        return first_s, turn_s, last_s
    height = float(smooth[top])
    start_low = smooth <= smooth[first] + _OUTER * (height - smooth[first])
    end_low = smooth <= smooth[last] + _OUTER * (height - smooth[last])
    near_top = smooth >= height - _OUTER * (height - max(smooth[first], smooth[last]))
    start = out - _rest(speed[: out + 1][::-1], start_low[: out + 1][::-1], _AT_ENDS)
    end = back + _rest(-speed[back:], end_low[back:], _AT_ENDS)
    arrived = out + _rest(speed[out : back + 1], near_top[out : back + 1], _AT_TURN)
    left = back - _rest(-speed[out : back + 1][::-1], near_top[out : back + 1][::-1], _AT_TURN)
    turn = max(left, (left + arrived) / 2)
    origin = float(time_s[0])
    return origin + start * step_s, origin + turn * step_s, origin + end * step_s


@lru_cache(maxsize=16)
def _low_pass(step_s: float) -> Float64:
    """Return the filter's sections for samples ``step_s`` seconds apart; designing it takes as long as using it."""
    from scipy.signal import butter

    return np.asarray(butter(2, min(_SMOOTH_HZ, 0.4 / step_s), fs=1 / step_s, output="sos"))


def refine_turn(
    time_s: Float64,
    primary: Float64,
    when_s: Float64,
    points: Float64,
    start_s: float,
    turn_s: float,
    end_s: float,
) -> float:
    """Return the turn in seconds again, from the motion around it alone.

    ``points`` (k, columns) are all coordinates at ``when_s`` (k,); the rest is what ``refine`` took and gave. What
    moves most over the whole repetition may rest around its turn: in a lunge the foot is planted while the hips go on.
    Here the direction is that of the last ``_OUTER`` of the way.
    """
    step_s = float(time_s[1] - time_s[0])
    first, middle, last = (round((when - float(time_s[0])) / step_s) for when in (start_s, turn_s, end_s))
    if not 0 <= first < middle < last < time_s.size:
        return turn_s
    top, base = float(primary[first : last + 1].max()), float(max(primary[first], primary[last]))
    low = primary < top - _OUTER * (top - base)
    before, after = np.flatnonzero(low[first:middle]), np.flatnonzero(low[middle : last + 1])
    if not before.size or not after.size:
        return turn_s
    left, right = first + int(before[-1]), middle + int(after[0])
    if right - left < _FEWEST:
        return turn_s
    near = time_s[left : right + 1]
    first, end = np.searchsorted(when_s, (near[0] - step_s, near[-1] + step_s))
    course = points[first:end]
    local = np.interp(near, when_s[first:end], course @ principal(course, 1)[:, 0])
    if local[middle - left] < (local[0] + local[-1]) / 2:
        local = -local
    _, turn, _ = refine(near, local, float(near[0]), turn_s, float(near[-1]))
    return turn


def _rest(speed: Float64, there: npt.NDArray[np.bool_], parts: tuple[float, float]) -> float:
    """Return after how many samples ``speed``, from its peak at index 0 on, has come down to nothing.

    ``parts`` of the peak are slow, and faster. Only where the pose is about ``there`` can it be at rest: a sticking
    point half-way is none.
    """
    peak = float(speed[0])
    slow_part, faster_part = parts
    slow = _first(there & (speed < slow_part * peak))
    if slow is None:
        # It never came to rest: the slowest moment, or the end of what was recorded.
        return float(np.argmin(speed))
    faster = _first(speed[: slow + 1] < faster_part * peak)
    slow_at = _between(speed, slow, slow_part * peak)
    onset = slow_at
    if faster is not None and faster > 0:
        # The last time before it that it was that fast.
        faster = slow - int(np.argmax(speed[: slow + 1][::-1] >= faster_part * peak)) + 1
        onset = 2 * slow_at - _between(speed, faster, faster_part * peak)
    stopped = _first(speed[slow:] < 0)
    if stopped is not None:
        onset = min(onset, max(slow_at, _between(speed, slow + stopped, 0.0)))
    return float(min(onset, speed.size - 1.0))


def _first(which: npt.NDArray[np.bool_]) -> int | None:
    found = np.flatnonzero(which)
    return int(found[0]) if found.size else None


def _between(speed: Float64, index: int, level: float) -> float:
    """Return where, between ``index`` - 1 and ``index``, the speed falls through ``level``."""
    if index == 0 or speed[index - 1] <= level:
        return float(index)
    before, after = float(speed[index - 1]), float(speed[index])
    return index - 1 + (before - level) / (before - after)
