"""What the first samples tell: which rate fits, and which channels are at zero."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.delsys.first_look import aux_remarks, check_sense, fitting_rate, zero_remarks
from drivers.delsys.sensors import Column
from lab.errors import DeviceError
from lab.streams import Channel

#: With backwards compatibility and no upsampling the guide says the first, and an answer for all ports the second.
RATES_HZ = (15 / 0.0135, 26 / 0.0135)


def columns(*places: int, unit: str = "microvolts") -> list[Column]:
    return [Column(Channel(f"c{place}", unit, "EMG"), place) for place in places]


def alive(*places: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.isin(np.arange(16), places)


@pytest.mark.parametrize(
    ("measured_hz", "rate_hz", "remarks"),
    [(1111.0, RATES_HZ[0], 0), (1000.0, RATES_HZ[0], 0), (1900.0, RATES_HZ[1], 0), (300.0, RATES_HZ[0], 1)],
)
def test_the_rate_that_fits(measured_hz: float, rate_hz: float, remarks: int) -> None:
    rate, said = fitting_rate(RATES_HZ, measured_hz)
    assert rate == rate_hz
    assert len(said) == remarks


def test_what_fits_nothing_is_said() -> None:
    assert fitting_rate((2000.0,), 0.0)[1] == (
        "the Trigno base says that sEMG comes at 2000.0 Hz, and it comes at about 0 Hz; look at its settings",
    )


def test_channels_at_zero() -> None:
    assert zero_remarks(columns(0, 5), alive(0, 5), "EMG port 1") == []
    assert zero_remarks(columns(0, 5), alive(0), "EMG port 1") == [
        "c5: all samples are zero; is the sensor on, charged and near the base?"
    ]
    assert len(zero_remarks(columns(0, 5), alive(1, 5), "EMG port 1")) == 2
    (said,) = zero_remarks(columns(0, 5), alive(), "EMG port 1")
    assert said.startswith("all channels of the Trigno's EMG port 1 are zero")


def test_a_silent_aux_port() -> None:
    assert aux_remarks([], None) == []
    assert aux_remarks(columns(0), np.ones(144, dtype=np.bool_)) == []
    assert "nothing has come on the Trigno's AUX port yet" in aux_remarks(columns(0), None)[0]
    assert "all auxiliary channels of the Trigno are zero" in aux_remarks(columns(0), np.zeros(144, dtype=np.bool_))[0]


@pytest.mark.parametrize(("unit", "most"), [("microvolts", 1e6), ("g", 1000.0), ("degrees/s", 1e5), ("unknown", 3e38)])
def test_values_that_no_sensor_measures(unit: str, most: float) -> None:
    check_sense(np.array([[most, -most], [np.nan, np.nan]]), columns(0, 1, unit=unit), "EMG")
    for value in (np.inf, -np.inf, *(() if unit == "unknown" else (most * 1.01, -most * 1.01))):
        with pytest.raises(DeviceError, match=r"the bytes of the Trigno's EMG port make no sense \(c1 at"):
            check_sense(np.array([[0.0, 0.0], [0.0, value]]), columns(0, 1, unit=unit), "EMG")
