"""Units as devices and files spell them, as factors to metres and microvolts."""

from __future__ import annotations

from typing import Final

from lab.errors import RigError

_LENGTHS_M: Final[dict[str, float]] = {
    "m": 1.0,
    "meter": 1.0,
    "meters": 1.0,
    "metre": 1.0,
    "metres": 1.0,
    "dm": 0.1,
    "decimeter": 0.1,
    "decimeters": 0.1,
    "decimetres": 0.1,
    "cm": 0.01,
    "centimeter": 0.01,
    "centimeters": 0.01,
    "centimetre": 0.01,
    "centimetres": 0.01,
    "mm": 0.001,
    "millimeter": 0.001,
    "millimeters": 0.001,
    "millimetre": 0.001,
    "millimetres": 0.001,
    "in": 0.0254,
    "inch": 0.0254,
    "inches": 0.0254,
}

#: By exact spelling first, for here the case of a letter is a factor of a billion: mV and MV.
_VOLTAGES_UV: Final[dict[str, float]] = {
    "V": 1e6,
    "mV": 1e3,
    "uV": 1.0,
    "\N{MICRO SIGN}V": 1.0,
    "\N{GREEK SMALL LETTER MU}V": 1.0,
    "nV": 1e-3,
}
_VOLTAGE_WORDS_UV: Final[dict[str, float]] = {
    "volt": 1e6,
    "volts": 1e6,
    "millivolt": 1e3,
    "millivolts": 1e3,
    "microvolt": 1.0,
    "microvolts": 1.0,
    "nanovolt": 1e-3,
    "nanovolts": 1e-3,
}


def length_factor_m(unit: str) -> float:
    """Return what a length in ``unit`` is multiplied by to be in metres.

    Raises RigError for anything that is not a length in a known spelling.
    """
    factor = _LENGTHS_M.get(unit.strip().lower())
    if factor is None:
        raise RigError(
            f"'{unit}' is not a known unit of length; the device must say meters, centimeters or millimeters"
        )
    return factor


def voltage_factor_uv(unit: str) -> float:
    """Return what a voltage in ``unit`` is multiplied by to be in microvolts.

    Raises RigError for anything that is not a voltage in a known spelling.
    """
    factor = _VOLTAGES_UV.get(unit.strip(), _VOLTAGE_WORDS_UV.get(unit.strip().lower()))
    if factor is None:
        raise RigError(f"'{unit}' is not a known unit of voltage; the device must say volts, millivolts or microvolts")
    return factor
