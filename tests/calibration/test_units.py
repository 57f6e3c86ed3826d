"""Spellings of units and their factors."""

from __future__ import annotations

import pytest

from calibration.units import length_factor_m, voltage_factor_uv
from lab.errors import RigError


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("m", 1), ("meters", 1), ("MM", 1e-3), (" millimeters ", 1e-3), ("cm", 1e-2), ("Centimetres", 1e-2)],
)
def test_lengths(unit: str, factor: float) -> None:
    assert length_factor_m(unit) == factor


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *(("V", 1e6), ("Volts", 1e6), ("mV", 1e3), ("millivolts", 1e3)),
        *(("uV", 1), ("\u00b5V", 1), ("\u03bcV", 1), ("microvolts", 1)),
    ],
)
def test_voltages(unit: str, factor: float) -> None:
    assert voltage_factor_uv(unit) == factor


@pytest.mark.parametrize("unit", ["", "parsec", "V", "deg"])
def test_unknown_lengths(unit: str) -> None:
    with pytest.raises(RigError, match=f"'{unit}' is not a known unit of length"):
        length_factor_m(unit)


@pytest.mark.parametrize("unit", ["", "MV", "m", "d.u."])
def test_unknown_voltages(unit: str) -> None:
    with pytest.raises(RigError, match="is not a known unit of voltage"):
        voltage_factor_uv(unit)
