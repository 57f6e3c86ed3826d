"""Which moment of a frame the server's clock is read at, and what it said then."""

from __future__ import annotations

import math
from typing import Final

from drivers.optitrack.frame_codec import MocapFrame

MID_EXPOSURE: Final = "mid-exposure"
_MOMENTS: Final = {
    MID_EXPOSURE: "mid_exposure_ticks",
    "camera data received": "received_ticks",
    "transmitted": "sent_ticks",
}
_SOFTWARE: Final = "software time"
#: Where the server has no clock.
NO_TIME: Final = "none"


def moment_of(frame: MocapFrame, *, ticking: bool) -> str:
    """Return what device time says of this server's frames: the earliest moment it knows."""
    if ticking:
        for moment, name in _MOMENTS.items():
            if getattr(frame, name):
                return moment
    return _SOFTWARE if math.isfinite(frame.time_s) else NO_TIME


def device_time_s(frame: MocapFrame, moment: str, clock_hz: int) -> float:
    """Return the server's time of a frame in seconds, NaN where this frame does not have that moment."""
    if moment in _MOMENTS:
        ticks = getattr(frame, _MOMENTS[moment])
        return ticks / clock_hz if ticks else math.nan
    return frame.time_s if moment == _SOFTWARE else math.nan
