"""Which sensor is what: the base's answers as channels with labels, units and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lab.streams import Channel

#: What a sensor's first channels measure.
Primary = Literal["EMG", "ECG", "Misc"]

_NAMES: Final[dict[str, tuple[str, Primary]]] = {
    "0": ("Trigno legacy EMG sensor", "EMG"),
    "1": ("Trigno spring contact adapter", "EMG"),
    "2": ("Trigno snap lead sensor", "EMG"),
    "3": ("Trigno standard EMG sensor", "EMG"),
    "4": ("Trigno FSR adapter", "Misc"),
    "5": ("Trigno EKG sensor", "ECG"),
    "6": ("Trigno load cell adapter", "Misc"),
    "7": ("Trigno goniometer adapter", "Misc"),
    "9": ("Trigno MiniHead sensor", "EMG"),
    "10": ("Trigno analog input adapter", "Misc"),
    "11": ("Trigno IM sensor", "EMG"),
    "12": ("Trigno DR sensor", "EMG"),
    "13": ("Trigno trigger adapter", "Misc"),
    "14": ("Trigno Avanti sensor", "EMG"),
    "16": ("Trigno Quattro sensor", "EMG"),
    "17": ("Trigno Galileo sensor", "EMG"),
    "18": ("Trigno Avanti snap sensor", "EMG"),
    "19": ("Trigno Avanti spring contact sensor", "EMG"),
    "20": ("Trigno Avanti FSR adapter", "Misc"),
    "21": ("Trigno Avanti EKG sensor", "ECG"),
    "22": ("Trigno Avanti load cell adapter", "Misc"),
    "23": ("Trigno Avanti goniometer adapter", "Misc"),
    "24": ("Trigno Avanti Mini sensor", "EMG"),
    "25": ("Trigno Avanti analog adapter", "Misc"),
    "27": ("Trigno Duo sensor", "EMG"),
}

#: Volts, however they are spelled, as a factor to microvolts.
_VOLTAGES_UV: Final = {"v": 1e6, "volt": 1e6, "volts": 1e6, "mv": 1e3, "millivolts": 1e3, "uv": 1.0, "microvolts": 1.0}

#: Spelling of an auxiliary channel's unit: what three of them are called, their XDF type, and the unit in words. The
#: degree sign comes as a question mark from a server that writes ASCII, and we make of what is no ASCII a space.
_AUX_UNITS: Final[dict[str, tuple[str, str, str]]] = {
    **dict.fromkeys(("g", "gs"), ("ACC", "Acceleration", "g")),
    **dict.fromkeys(("?/s", "/s", "deg/s", "dps", "degrees/s"), ("GYRO", "Gyro", "degrees/s")),
    **dict.fromkeys(("ut", "?t", "t", "microtesla", "microteslas"), ("MAG", "Magnetometer", "microteslas")),
}


@dataclass(frozen=True)
class Sensor:
    """A sensor as the base describes it.

    ``slot`` is 1 … 16. ``first`` is the place of its first channel in a row of the EMG port, from 0; ``aux_first`` that
    of its first auxiliary channel in a row of the AUX port. ``units`` has the unit of each channel, those of the EMG
    port first, as the server spells it, "" where it does not say.
    """

    slot: int
    type: str
    first: int
    emg_channels: int
    aux_first: int
    aux_channels: int
    units: tuple[str, ...] = ()
    serial: str = ""
    firmware: str = ""
    mode: str = ""
    native_rate: str = ""

    @property
    def kind(self) -> tuple[str, Primary]:
        """The sensor's name and what its first channels measure; an unknown one that measures volts counts as EMG."""
        said = self.type.strip().upper()
        number = str(ord(said) - ord("A")) if len(said) == 1 and "A" <= said <= "R" else said
        known = _NAMES.get(number)
        if known is not None:
            return known
        unit = self.units[0].lower() if self.units else ""
        return f"sensor of type '{self.type}'", "EMG" if unit in _VOLTAGES_UV or not unit else "Misc"

    def unit(self, channel: int) -> str:
        """Return the unit of a channel from 0, "" where it is not said."""
        return self.units[channel] if channel < len(self.units) else ""

    def described(self) -> str:
        """Return one line about the sensor for a stream's metadata."""
        facts = {
            "type": self.type,
            "serial": self.serial,
            "firmware": self.firmware,
            "mode": self.mode,
            "native rate": self.native_rate,
        }
        return "; ".join((self.kind[0], *(f"{name} {value}" for name, value in facts.items() if value)))


@dataclass(frozen=True)
class Column:
    """A channel and where its values are: the column of a row, and what they are multiplied by."""

    channel: Channel
    column: int
    factor: float = 1.0


def label_of(slot: int, labels: Mapping[int, str]) -> str:
    """Return what the rig calls a sensor."""
    return labels.get(slot) or f"sensor_{slot}"


def emg_columns(sensors: Sequence[Sensor], labels: Mapping[int, str]) -> tuple[Column, ...]:
    """Return the channels of the EMG port that measure muscles, in microvolts."""
    return tuple(
        Column(Channel(label, "microvolts", "EMG"), sensor.first + index, _VOLTAGES_UV[_voltage(sensor, index)])
        for sensor in sensors
        for index, label in _primary(sensor, labels)
        if sensor.kind[1] == "EMG" and _voltage(sensor, index)
    )


def other_columns(sensors: Sequence[Sensor], labels: Mapping[int, str]) -> tuple[Column, ...]:
    """Return the channels of the EMG port that measure something else: the heart, a force, an angle."""
    columns = []
    for sensor in sensors:
        for index, label in _primary(sensor, labels):
            kind, voltage = sensor.kind[1], _voltage(sensor, index)
            if kind == "ECG" and voltage:
                columns.append(Column(Channel(label, "microvolts", "ECG"), sensor.first + index, _VOLTAGES_UV[voltage]))
            elif kind != "EMG" or not voltage:
                unit = "volts" if voltage in {"v", "volts"} else sensor.unit(index) or "unknown"
                columns.append(Column(Channel(label, unit, "Misc"), sensor.first + index))
    return tuple(columns)


def aux_columns(sensors: Sequence[Sensor], labels: Mapping[int, str]) -> tuple[Column, ...]:
    """Return the channels of the AUX port. Three in a row of one unit are the axes of one instrument."""
    columns = []
    for sensor in sensors:
        units = [sensor.unit(sensor.emg_channels + index) for index in range(sensor.aux_channels)]
        index = 0
        while index < len(units):
            place, unit = sensor.aux_first + index, units[index]
            known = _AUX_UNITS.get(unit.lower())
            if known is not None and units[index : index + 3] == [unit] * 3:
                name, kind, words = known
                columns += [
                    Column(Channel(f"{label_of(sensor.slot, labels)}_{name}_{axis}", words, f"{kind}{axis}"), place + k)
                    for k, axis in enumerate("XYZ")
                ]
                index += 3
            else:
                label = f"{label_of(sensor.slot, labels)}_AUX_{index + 1}"
                columns.append(Column(Channel(label, known[2] if known else unit or "unknown", "Misc"), place))
                index += 1
    return tuple(columns)


def _primary(sensor: Sensor, labels: Mapping[int, str]) -> list[tuple[int, str]]:
    label = label_of(sensor.slot, labels)
    if sensor.emg_channels == 1:
        return [(0, label)]
    return [(index, f"{label}_{index + 1}") for index in range(sensor.emg_channels)]


def _voltage(sensor: Sensor, index: int) -> str:
    """Return how the unit of a channel is looked up, "" where it is no voltage; one that is not said is volts."""
    unit = (sensor.unit(index) or "volts").lower()
    return unit if unit in _VOLTAGES_UV else ""
