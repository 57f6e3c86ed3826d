"""What the first samples after a start tell: channels at zero, rows that are laid out otherwise than said, the rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.delsys.sensors import Column
from lab.errors import DeviceError

#: A rate that is measured in so short a time is not known better.
_RATE_OFF: Final = 0.25
#: No sensor measures more than this, by unit: what does shows that the bytes are read from a wrong place or port.
_MOST: Final = {"microvolts": 1e6, "g": 1000.0, "degrees/s": 1e5}

Alive = npt.NDArray[np.bool_]


def fitting_rate(rates_hz: Sequence[float], measured_hz: float) -> tuple[float, tuple[str, ...]]:
    """Return the first of the rates the base may mean that fits what was measured, and what to tell the operator.

    None of them fits where the base does other than it says: then the first is taken, and said to be wrong.
    """
    for rate_hz in rates_hz:
        if abs(measured_hz / rate_hz - 1) < _RATE_OFF:
            return rate_hz, ()
    what = f"the Trigno base says that sEMG comes at {rates_hz[0]:.1f} Hz"
    return rates_hz[0], (f"{what}, and it comes at about {measured_hz:.0f} Hz; look at its settings",)


def zero_remarks(columns: Sequence[Column], alive: Alive, port: str) -> list[str]:
    """Return sentences about channels of the EMG port at zero, which is what a sensor that is off sends.

    ``alive`` (16,) says which places of a row held anything but 0; one that no sensor claims is named as well.
    """
    if not alive.any():
        return [f"all channels of the Trigno's {port} are zero; check that it is its port, and the sensors"]
    said = []
    silent = [column.channel.label for column in columns if not alive[column.column]]
    if silent:
        said.append(f"{', '.join(silent)}: all samples are zero; is the sensor on, charged and near the base?")
    claimed = {column.column for column in columns}
    others = [str(place + 1) for place in np.flatnonzero(alive).tolist() if place not in claimed]
    if others:
        said.append(
            f"the Trigno base sends something at place {', '.join(others)} of a row, where no active sensor should be; "
            "compare each channel with its muscle"
        )
    return said


def aux_remarks(columns: Sequence[Column], alive: Alive | None) -> list[str]:
    """Return sentences about an AUX port that is silent or at zero; ``alive`` is None where nothing has come."""
    if not columns:
        return []
    if alive is None:
        return ["nothing has come on the Trigno's AUX port yet; the stream 'aux' may stay empty"]
    if not any(alive[column.column] for column in columns):
        return ["all auxiliary channels of the Trigno are zero; check its AUX port and the sensors' modes"]
    return []


def check_sense(values: npt.NDArray[np.float64], columns: Sequence[Column], port: str) -> None:
    """Raise DeviceError for values (n, channels) that no sensor measures. NaN is no value and passes."""
    highest = np.fmax.reduce(np.abs(values), axis=0)
    for column, most in zip(columns, highest, strict=True):
        channel = column.channel
        if most > _MOST.get(channel.unit, float(np.finfo(np.float32).max)):
            raise DeviceError(
                f"the bytes of the Trigno's {port} port make no sense ({channel.label} at {most:.3g} {channel.unit}); "
                "check the ports, and restart the Trigno Control Utility"
            )
