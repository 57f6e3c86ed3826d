"""QTM's parameters as streams, and the components of its frames as their samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from drivers.channels import position_channels
from drivers.qualisys.rt_components import Points, Samples, Skeletons
from drivers.qualisys.rt_parameters import AnalogDevice, ForcePlate, Parameters
from lab.errors import DeviceError
from lab.streams import Channel, CounterOrigin, StreamSpec

Float32 = npt.NDArray[np.float32]
#: What QTM can be asked for.
Part = Literal["markers", "skeleton", "analog", "force"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

MANUFACTURER: Final = "Qualisys"
EVENTS: Final = "events"
#: What happens, by its number on the wire. 5, 14 and 15 are of old or reserved.
EVENT_TEXTS: Final[dict[int, str]] = {
    1: "connected",
    2: "connection closed",
    3: "capture started",
    4: "capture stopped",
    5: "fetching finished",
    6: "calibration started",
    7: "calibration stopped",
    8: "RT from file started",
    9: "RT from file stopped",
    10: "waiting for trigger",
    11: "camera settings changed",
    12: "QTM shutting down",
    13: "capture saved",
    14: "reprocessing started",
    15: "reprocessing stopped",
    16: "trigger",
}

_M_PER_MM: Final = np.float32(0.001)
_QUATERNION: Final = ("OrientationA", "OrientationB", "OrientationC", "OrientationD")
#: A, B, C, D of XDF are w, x, y, z; on the wire w is the last.
_WXYZ: Final = [0, 1, 2, 6, 3, 4, 5]

#: QTM's spellings of units in XDF's words; what is not here stays as QTM says it.
_UNITS: Final[dict[str, str]] = {
    "v": "volts",
    "volt": "volts",
    "mv": "millivolts",
    "millivolt": "millivolts",
    "uv": "microvolts",
    "\N{MICRO SIGN}v": "microvolts",
    "\N{GREEK SMALL LETTER MU}v": "microvolts",
    "microvolt": "microvolts",
    "n": "newtons",
    "newton": "newtons",
}
_VOLTAGES: Final = {"volts", "millivolts", "microvolts"}


def axis_remark(axis_up: str) -> str | None:
    """Return what the operator must know about the axis that points up, None where it is Z."""
    if axis_up in {"Z", "+Z"}:
        return None
    if axis_up in {"Y", "+Y"}:
        return 'in QTM the Y axis points up: the marker map of this device must say up_axis = "y"'
    return (
        f"in QTM {axis_up or 'no axis'} points up, which no marker map can turn; set +Z or +Y in QTM's project options"
    )


class MarkerLayout:
    """Where each marker stands: in a packet as QTM lists it, in the stream by its name.

    In alphabetical order the channels are the same whatever the order in QTM's list, which anyone can change by a drag.
    """

    def __init__(self, labels: Sequence[str], what: str) -> None:
        """Raise DeviceError for labels that cannot be told apart."""
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise DeviceError(f"{what} has two markers called '{twice[0]}'; give them different names in QTM")
        self.count = len(labels)
        self.labels = tuple(sorted(labels))
        self._order = np.array([labels.index(label) for label in self.labels], dtype=np.intp)

    def channels(self, *, residuals: bool) -> tuple[Channel, ...]:
        """Positions in metres, then a residual in mm for each marker, as QTM gives it: it is no confidence."""
        channels = position_channels(self.labels, "meters")
        if residuals:
            channels += tuple(Channel(f"{label}_residual", "millimeters", "Residual", label) for label in self.labels)
        return channels

    def rows(self, points: Sequence[Points]) -> Float32:
        """Return frames (frames, channels); a missing marker is NaN in all of its channels."""
        values = np.stack([frame.values[self._order] for frame in points])
        # all bits set is a NaN, but one that says something: what goes out is the plain one, in all of the marker
        odd = np.isnan(values)
        if odd.any():
            values[odd.any(axis=2)] = np.nan
        rows = np.empty((len(values), values.shape[1] * values.shape[2]), dtype=np.float32)
        positions = 3 * self.count
        np.multiply(values[:, :, :3], _M_PER_MM, out=rows[:, :positions].reshape(len(values), self.count, 3))
        if values.shape[2] == 4:
            rows[:, positions:] = values[:, :, 3]
        return rows


class SkeletonLayout:
    """The segments of all skeletons, by their numbers, in the order of the parameters."""

    def __init__(self, parameters: Parameters, what: str) -> None:
        """Raise DeviceError where two segments of a name cannot be told apart."""
        several = len(parameters.skeletons) > 1
        self._columns: list[dict[int, int]] = []
        names: list[str] = []
        for skeleton in parameters.skeletons:
            places = {}
            for number, segment in skeleton.segments:
                places[number] = len(names)
                names.append(f"{skeleton.name}:{segment}" if several else segment)
            self._columns.append(places)
        twice = sorted({name for name in names if names.count(name) > 1 or not name})
        if twice or sum(map(len, self._columns)) != len(names):
            raise DeviceError(f"{what} has skeleton segments that have one name ('{(twice or names)[0]}'); rename them")
        self.names = tuple(names)

    def channels(self) -> tuple[Channel, ...]:
        """Per segment its position in metres and its orientation as a quaternion, A being the real part."""
        return tuple(
            channel
            for name in self.names
            for channel in (
                *position_channels([name], "meters"),
                *(Channel(f"{name}_{kind[-1]}", "normalized", kind, name) for kind in _QUATERNION),
            )
        )

    def fits(self, skeletons: Skeletons) -> bool:
        """Tell whether these are the skeletons of the parameters; one that is not seen has no segments."""
        return len(skeletons.segments) == len(self._columns) and all(
            not len(numbers) or {*numbers.tolist()} == {*places}
            for (numbers, _), places in zip(skeletons.segments, self._columns, strict=True)
        )

    def row(self, skeletons: Skeletons) -> Float32:
        """Return a sample (7 * segments,); a skeleton that is not seen is NaN."""
        values = np.full((len(self.names), 7), np.nan, dtype=np.float32)
        for (numbers, poses), places in zip(skeletons.segments, self._columns, strict=True):
            if len(numbers):
                values[[places[number] for number in numbers.tolist()]] = poses[:, _WXYZ]
        values[:, :3] *= _M_PER_MM
        return values.ravel()


def marker_stream(
    parameters: Parameters, layout: MarkerLayout, origin: CounterOrigin, details: Mapping[str, str], *, residuals: bool
) -> StreamSpec:
    """Describe the stream of markers."""
    return StreamSpec(
        content_type="MoCap",
        channels=layout.channels(residuals=residuals),
        rate_hz=parameters.rate_hz,
        name="markers",
        counter_origin=origin,
        manufacturer=MANUFACTURER,
        model="QTM",
        details={**details, "residuals": "millimeters, as QTM gives them" if residuals else "not asked for"},
    )


def skeleton_stream(
    parameters: Parameters, layout: SkeletonLayout, origin: CounterOrigin, details: Mapping[str, str], *, alone: bool
) -> StreamSpec:
    """Describe the stream of skeletons. Beside markers, of which the pose is made, it is not of type MoCap."""
    return StreamSpec(
        content_type="MoCap" if alone else "Skeleton",
        channels=layout.channels(),
        rate_hz=parameters.rate_hz,
        name="skeleton",
        counter_origin=origin,
        manufacturer=MANUFACTURER,
        model="QTM",
        details={
            **details,
            "skeletons": ", ".join(skeleton.name for skeleton in parameters.skeletons),
            "coordinates": "global",
        },
    )


def analog_name(device: AnalogDevice, parameters: Parameters) -> str:
    """Name of an analogue device's stream: with its number where there are several."""
    return "analog" if len(parameters.analog) == 1 else f"analog_{device.number}"


def analog_stream(
    device: AnalogDevice, parameters: Parameters, details: Mapping[str, str], emg: tuple[str, ...] | None
) -> StreamSpec:
    """Describe an analogue device.

    Channels whose label matches a pattern of ``emg`` are sEMG, and a stream with such a channel is of type EMG. With
    None a device is sEMG where all of its units are voltages and no force plate is read by it.
    """
    units = [_UNITS.get(unit.lower(), unit) or "unknown" for unit in device.units]
    if emg is None:
        read_by_a_plate = any(plate.analog_device == device.number for plate in parameters.plates)
        is_emg = [not read_by_a_plate and {*units} <= _VOLTAGES] * len(units)
    else:
        is_emg = [any(fnmatchcase(label, pattern) for pattern in emg) for label in device.labels]
    channels = tuple(
        Channel(label, unit, "EMG" if semg else "Analog")
        for label, unit, semg in zip(_distinct(device.labels), units, is_emg, strict=True)
    )
    return StreamSpec(
        content_type="EMG" if any(is_emg) else "Analog",
        channels=channels,
        rate_hz=device.rate_hz,
        name=analog_name(device, parameters),
        manufacturer=MANUFACTURER,
        model="QTM",
        details={**details, "analog_device": str(device.number), "analog_device_name": device.name},
    )


def force_stream(plate: ForcePlate, parameters: Parameters, details: Mapping[str, str]) -> StreamSpec:
    """Describe a force plate: force, moment and point of application, in QTM's units."""
    force, length = (_UNITS.get(unit.lower(), unit) or "unknown" for unit in parameters.force_units)
    units = {"force": force, "moment": f"{force}*{length}", "point": length}
    channels = tuple(
        Channel(f"{quantity}_{axis}", unit, f"{quantity.capitalize()}{axis}")
        for quantity, unit in units.items()
        for axis in "XYZ"
    )
    return StreamSpec(
        content_type="Force",
        channels=channels,
        rate_hz=plate.rate_hz,
        name=plate_name(plate, parameters),
        manufacturer=MANUFACTURER,
        model="QTM",
        details={**details, "plate": str(plate.number), "plate_name": plate.name},
    )


def plate_name(plate: ForcePlate, parameters: Parameters) -> str:
    """Name of a force plate's stream: with its number where there are several."""
    return "force" if len(parameters.plates) == 1 else f"force_{plate.number}"


def event_stream(details: Mapping[str, str]) -> StreamSpec:
    """Describe the stream of what happens to QTM."""
    return StreamSpec(
        content_type="Markers",
        channels=(Channel("event", "text", "Marker"),),
        rate_hz=0.0,
        name=EVENTS,
        format="string",
        counted=False,
        manufacturer=MANUFACTURER,
        model="QTM",
        details=dict(details),
    )


def sample_rows(samples: Samples) -> Float32:
    """Return samples (samples, channels) in the order in which they were taken, each NaN a plain one."""
    return np.where(np.isnan(samples.values), np.float32(np.nan), samples.values)


def _distinct(labels: Sequence[str]) -> list[str]:
    """Return labels, those numbered that a device has more than once: on a board all may be called the same."""
    return [f"{label}_{place}" if labels.count(label) > 1 else label for place, label in enumerate(labels, 1)]
