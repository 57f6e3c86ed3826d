"""Where a host's clock began anew: between which probes, and from which sample on."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: No two clocks drift apart faster than this.
_DRIFT_LIMIT: Final = 500e-6
#: An offset that steps by less than this is no reset.
_RESET_S: Final = 0.05
_WINDOW: Final = 10
_AGREE: Final = 0.6
_MIN_PROBES: Final = 4
#: Probes of one clock may differ by this, beside what their round trips and a drift explain.
_NEAR_S: Final = 2e-3
_LATE_SAMPLES: Final = 1000
#: A step of the stamps is that of the offset if it differs by less than this share of it.
_SAME_STEP: Final = 0.1


def find_resets(session_s: Float64, offset_s: Float64, half_trip_s: Float64) -> list[int]:
    """Return the indices of the first probe after each reset of a clock.

    ``session_s`` (probes,) is when each was made, increasing; ``offset_s`` (probes,) what it found, in seconds;
    ``half_trip_s`` (probes,) half its round trip, infinite where unknown. A reset is a step of the offset that most of
    the (up to ten) probes on both sides agree on, as nearly as their round trips allow: wrong ones may agree by chance.
    """
    count = session_s.size
    if count < 2 * _MIN_PROBES:
        return []
    steps = np.abs(np.diff(offset_s)) > _RESET_S + _DRIFT_LIMIT * np.diff(session_s)
    found: list[tuple[int, float]] = []
    for index in np.flatnonzero(steps) + 1:
        left = offset_s[max(0, index - _WINDOW) : index]
        right = offset_s[index : index + _WINDOW]
        if min(left.size, right.size) < _MIN_PROBES:
            continue
        low, high = float(np.median(left)), float(np.median(right))
        step = abs(high - low)
        span_s = session_s[min(count - 1, index + _WINDOW - 1)] - session_s[max(0, index - _WINDOW)]
        if step <= _RESET_S + _DRIFT_LIMIT * span_s:
            continue
        around = slice(max(0, index - _WINDOW), index + _WINDOW)
        drifted_s = _DRIFT_LIMIT * np.abs(session_s[around] - session_s[index])
        near = np.minimum(step / 10, _NEAR_S + 2 * half_trip_s[around] + drifted_s)
        agree = min(np.mean(np.abs(left - low) < near[: left.size]), np.mean(np.abs(right - high) < near[left.size :]))
        if agree < _AGREE:
            continue
        cost = float(np.sum(np.minimum(np.abs(left - low), step)) + np.sum(np.minimum(np.abs(right - high), step)))
        if found and index - found[-1][0] < _WINDOW:
            if cost < found[-1][1]:
                found[-1] = (int(index), cost)
        else:
            found.append((int(index), cost))
    return [index for index, _ in found]


def first_sample_after(stamps: Float64, host_s: Float64, offset_s: Float64, after: Int64 | None) -> int:
    """Return the first sample that was stamped after a reset.

    ``stamps`` (samples,) are host times in the order of the file; ``host_s``, ``offset_s`` and ``after`` (2,) are those
    of the last probe before and the first after the reset, ``after`` how many samples lie before each in the file. The
    stamps step by as much as the offset does, the other way; the sample is where they do so best.
    """
    if stamps.size < 2:
        return stamps.size
    step_s = float(offset_s[1] - offset_s[0])
    if after is None:
        near = np.flatnonzero((stamps >= host_s.min() - abs(step_s)) & (stamps <= host_s.max() + abs(step_s)))
        low, high = (int(near[0]), int(near[-1]) + 1) if near.size else (0, stamps.size)
    else:
        low, high = (int(place) for place in np.clip((after.min(), after.max()), 0, stamps.size))
    place, apart_s = _best_step(stamps, low, high, step_s)
    if apart_s > _SAME_STEP * abs(step_s):  # samples wait in buffers while probes are written at once
        beyond = max(high - low, _LATE_SAMPLES)
        farther, farther_apart_s = _best_step(stamps, low - beyond, high + beyond, step_s)
        if farther_apart_s <= _SAME_STEP * abs(step_s):
            return farther
    return place


def _best_step(stamps: Float64, low: int, high: int, step_s: float) -> tuple[int, float]:
    """Return the sample before which the stamps step most nearly by -``step_s``, and how far from that they do."""
    low, high = max(0, low - 1), min(stamps.size, high + 1)
    if high - low < 2:
        return min(low + 1, stamps.size), abs(step_s)
    apart_s = np.abs(np.diff(stamps[low:high]) + step_s)
    best = int(np.argmin(apart_s))
    return low + 1 + best, float(apart_s[best])
