"""Exact start, turn and end of a repetition, at the pose's own rate and between its samples."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

#: Parts of the flank's peak speed. Near the onset of a smooth motion the speed grows with the square of time (minimum
#: jerk: Flash & Hogan 1985), so it was zero as long before 5 % as 5 % is before 20 %.
_SLOW: Final = 0.05
_FASTER: Final = 0.20
#: How near to a pose, in parts of the way, it counts as reached.
_OUTER: Final = 0.3
_SMOOTH_HZ: Final = 6.0
_EDGE_S: Final = 1.0


def refine(
    time_s: Float64, primary_m: Float64, first_s: float, turn_s: float, last_s: float
) -> tuple[float, float, float]:
    """Return start, turn and end in seconds of a repetition that was roughly found.

    ``primary_m`` (n,) is the repetition's primary coordinate at ``time_s`` (n,), uniformly sampled, growing towards
    the turn. Start and end are where the outer flanks' speed has come down to nothing. The turn is where the way back
    begins: where the speed changes sign, or at the end of a pause. The speed alone would say that badly, for around a
    smooth turn the body moves by less than a tenth of a millimetre in 50 ms.
    """
    from scipy.signal import butter, sosfiltfilt

    step_s = float(time_s[1] - time_s[0])
    low = butter(2, min(_SMOOTH_HZ, 0.4 / step_s), fs=1 / step_s, output="sos")
    smooth = sosfiltfilt(low, primary_m, padlen=min(primary_m.size - 1, round(_EDGE_S / step_s)))
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
    back = top + int(np.argmin(speed[top : last + 1]))
    if speed[out] <= 0 or speed[back] >= 0 or out >= back:
        return first_s, turn_s, last_s
    height = float(smooth[top])
    start_low = smooth <= smooth[first] + _OUTER * (height - smooth[first])
    end_low = smooth <= smooth[last] + _OUTER * (height - smooth[last])
    near_top = smooth >= height - _OUTER * (height - max(smooth[first], smooth[last]))
    start = out - _rest(speed[: out + 1][::-1], start_low[: out + 1][::-1])
    end = back + _rest(-speed[back:], end_low[back:])
    arrived = out + _rest(speed[out : back + 1], near_top[out : back + 1])
    left = back - _rest(-speed[out : back + 1][::-1], near_top[out : back + 1][::-1])
    turn = max(left, (left + arrived) / 2)
    origin = float(time_s[0])
    return origin + start * step_s, origin + turn * step_s, origin + end * step_s


def _rest(speed: Float64, there: npt.NDArray[np.bool_]) -> float:
    """Return after how many samples ``speed``, from its peak at index 0 on, has come down to nothing.

    Only where the pose is about ``there`` can that be: a sticking point half-way is no rest.
    """
    peak = float(speed[0])
    slow = _first(there & (speed < _SLOW * peak))
    if slow is None:
        # It never came to rest: the slowest moment, or the end of what was recorded.
        return float(np.argmin(speed))
    faster = _first(speed[: slow + 1] < _FASTER * peak)
    slow_at = _between(speed, slow, _SLOW * peak)
    onset = slow_at
    if faster is not None and faster > 0:
        # The last time before it that it was that fast.
        faster = slow - int(np.argmax(speed[: slow + 1][::-1] >= _FASTER * peak)) + 1
        onset = 2 * slow_at - _between(speed, faster, _FASTER * peak)
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
