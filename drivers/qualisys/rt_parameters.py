"""QTM's parameters, which it sends as XML: labels, rates, units, axes.

What comes over a socket is hostile until read: no document type, hence no entities, and no more than a few thousand
names of bounded length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

_MOST_NAMES: Final = 2000
_LONGEST_NAME: Final = 200
_FASTEST_HZ: Final = 1e6


class BadParametersError(Exception):
    """XML that cannot be read, or says what cannot be; the text says which."""


@dataclass(frozen=True)
class AnalogDevice:
    """An analogue device: its number in data packets, its channels' labels and units as QTM spells them."""

    number: int
    name: str
    rate_hz: float
    labels: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True)
class ForcePlate:
    """A force plate: its number in data packets, and that of the analogue device that it is read by, 0 for none."""

    number: int
    name: str
    rate_hz: float
    analog_device: int


@dataclass(frozen=True)
class Skeleton:
    """A skeleton: its segments' numbers in data packets and names, in the order of the parameters."""

    name: str
    segments: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Parameters:
    """What QTM says of a measurement. What was not asked for, or is not there, is empty."""

    rate_hz: float = 0.0
    labels: tuple[str, ...] = ()
    axis_up: str = ""
    calibrated: str = ""
    cameras: tuple[str, ...] = ()
    analog: tuple[AnalogDevice, ...] = ()
    plates: tuple[ForcePlate, ...] = ()
    force_units: tuple[str, str] = ("", "")
    skeletons: tuple[Skeleton, ...] = ()


def parse_parameters(text: str) -> Parameters:
    """Read the answer to GetParameters. Raises BadParametersError."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadParametersError("they declare a document type, which QTM never does")
    try:
        root = ET.fromstring(text)  # noqa: S314 - entities need a document type, and that is refused above
    except (ET.ParseError, ValueError, RecursionError) as error:
        raise BadParametersError(f"they are no XML ({error})") from None
    three_d, general, force = root.find("The_3D"), root.find("General"), root.find("Force")
    return Parameters(
        rate_hz=0.0 if general is None else _rate_hz(general),
        labels=() if three_d is None else tuple(_name(label, "Name") for label in _some(three_d, "Label")),
        axis_up="" if three_d is None else _said(three_d, "AxisUpwards").upper(),
        calibrated="" if three_d is None else _said(three_d, "CalibrationTime"),
        cameras=() if general is None else tuple(_said(camera, "Model") for camera in _some(general, "Camera")),
        analog=tuple(_analog_device(device) for device in _some(root.find("Analog"), "Device")),
        plates=tuple(_plate(plate) for plate in _some(force, "Plate")),
        force_units=("", "") if force is None else (_said(force, "Unit_Force"), _said(force, "Unit_Length")),
        skeletons=tuple(_skeleton(skeleton) for skeleton in _some(root.find("Skeletons"), "Skeleton")),
    )


def _analog_device(device: ET.Element) -> AnalogDevice:
    channels = list(_some(device, "Channel"))
    return AnalogDevice(
        number=_number(device, "Device_ID"),
        name=_said(device, "Device_Name"),
        rate_hz=_rate_hz(device),
        labels=tuple(_name(channel, "Label") for channel in channels),
        units=tuple(_said(channel, "Unit") for channel in channels),
    )


def _plate(plate: ET.Element) -> ForcePlate:
    analog = _number(plate, "Analog_Device_ID") if plate.find("Analog_Device_ID") is not None else 0
    return ForcePlate(_number(plate, "Plate_ID"), _said(plate, "Name"), _rate_hz(plate), analog)


def _skeleton(skeleton: ET.Element) -> Skeleton:
    """Flat up to version 1.20 of the protocol, nested within a Segments element after that: in document order."""
    segments = []
    for count, segment in enumerate(skeleton.iter("Segment")):
        if count >= _MOST_NAMES:
            raise BadParametersError(f"they list more than {_MOST_NAMES} segments")
        number = segment.get("ID", "")
        if not _is_number(number):
            raise BadParametersError(f"a segment has '{number[:20]}' as its ID")
        segments.append((int(number), _short(segment.get("Name", ""))))
    return Skeleton(_short(skeleton.get("Name", "")), tuple(segments))


def _some(parent: ET.Element | None, tag: str) -> Iterator[ET.Element]:
    for count, element in enumerate(() if parent is None else parent.findall(tag)):
        if count >= _MOST_NAMES:
            raise BadParametersError(f"they list more than {_MOST_NAMES} of {tag}")
        yield element


def _said(parent: ET.Element, tag: str) -> str:
    return _short(parent.findtext(tag) or "")


def _short(text: str) -> str:
    if len(text) > _LONGEST_NAME:
        raise BadParametersError(f"they hold a name of {len(text)} letters")
    return "".join(letter for letter in text.strip() if letter.isprintable())


def _name(parent: ET.Element, tag: str) -> str:
    name = _said(parent, tag)
    if not name:
        raise BadParametersError(f"a {parent.tag} has no {tag}")
    return name


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def _number(parent: ET.Element, tag: str) -> int:
    text = _said(parent, tag)
    if not _is_number(text):
        raise BadParametersError(f"'{text[:20]}' is no {tag}")
    return int(text)


def _rate_hz(parent: ET.Element) -> float:
    text = _said(parent, "Frequency")
    try:
        rate_hz = float(text)
    except ValueError:
        rate_hz = float("nan")
    if not 0 < rate_hz <= _FASTEST_HZ:
        raise BadParametersError(f"'{text[:20]}' is no frequency of {parent.tag}")
    return rate_hz
