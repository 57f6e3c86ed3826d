"""What a server says of its settings when it is asked."""

from __future__ import annotations

import math
from typing import Final

from drivers.optitrack.natnet_session import NatNetSession
from lab.errors import DeviceError

_AXES: Final = ("x", "y", "z")
#: Lengths that Motive can be set to; another answer is to another question.
_UNITS_MM: Final = (1.0, 10.0, 25.4, 304.8, 1000.0)
_HIGHEST_HZ: Final = 5000.0


def rate_hz_of(session: NatNetSession, otherwise_hz: float | None) -> float:
    """Return the frame rate, ``otherwise_hz`` where it is not told. Raises DeviceError without either."""
    answer = session.ask_number("FrameRate")
    told_hz = answer.as_float() if answer is not None else None
    rate_hz = told_hz if told_hz is not None and 0 < told_hz <= _HIGHEST_HZ else otherwise_hz
    if rate_hz is None:
        raise DeviceError(f"{session.what} does not say its frame rate; give it as 'rate_hz' in the rig")
    return round(rate_hz, 6)


def unit_mm_of(session: NatNetSession) -> float | None:
    """Return its unit of length in mm, None where it is not told. Raises DeviceError for one that makes no sense."""
    answer = session.ask_number("UnitsToMillimeters")
    told = answer.as_float() if answer is not None else None
    if told is None:
        return None
    for unit_mm in _UNITS_MM:
        if math.isclose(told, unit_mm, rel_tol=1e-4):
            return unit_mm
    raise DeviceError(f"{session.what} says that its unit is {told:g} mm; set its units to metres")


def up_axis_of(session: NatNetSession) -> str | None:
    """Return the axis that points up, x, y or z, None where it is not told."""
    answer = session.ask_number("UpAxis")
    told = answer.as_int() if answer is not None else None
    return _AXES[told] if told is not None and 0 <= told < len(_AXES) else None
