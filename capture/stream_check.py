"""Before a take: can the dataset be made from what the devices send? Later it could not be set right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from calibration.markers import match_markers
from calibration.units import length_factor_m, voltage_factor_uv
from capture.rig_file import BoundDevice, BoundRig
from lab.errors import FlexCaptureError, RigError
from lab.joints import JOINTS
from lab.marker_map import MarkerMap
from lab.streams import Channel, StreamSpec

#: An envelope of 20 Hz and more needs twice that, and some.
_LOWEST_EMG_HZ: Final = 50.0


def check_streams(rig: BoundRig, specs: Mapping[str, tuple[StreamSpec, ...]]) -> None:
    """Check cameras' names, units, sEMG rates and marker maps against what devices and others say they send.

    ``specs`` are the streams by the name of the device or of the stream of others. Raises RigError with a sentence a
    mistake.
    """
    problems = [
        problem
        for device in rig.devices
        for spec in specs.get(device.entry.name, ())
        for problem in _problems(device, spec)
    ]
    for stream in rig.streams:
        name = stream.entry.name
        for spec in specs.get(name, ()):
            try:
                problems += [f"stream '{name}' {problem}" for problem in signal_problems(stream.marker_map, spec)]
                if spec.content_type.lower() == "mocap" and not _positions(spec):
                    problems.append(
                        f"stream '{name}' is of type MoCap, but no channel is a position; give 'labels' such as"
                        " LASI_X, LASI_Y, LASI_Z in the rig, or another 'content_type'"
                    )
            except FlexCaptureError as error:
                advice = "; if the stream does not say it, give 'unit' or 'labels' in the rig"
                problems += [f"stream '{name}': {problem}{advice}" for problem in error.problems]
    if problems:
        raise RigError(*problems)


def _problems(device: BoundDevice, spec: StreamSpec) -> list[str]:
    name = device.entry.name
    if spec.video is not None:
        if device.entry.is_view and not spec.name:
            return []
        return [f"device '{name}' is a camera; call it view1 … view9 in the rig file"]
    problems: list[str] = []
    if device.entry.is_view:
        problems.append(f"device '{name}' is called a view but is no camera; give it another name in the rig file")
    try:
        problems += [f"device '{name}' {problem}" for problem in signal_problems(device.marker_map, spec)]
    except FlexCaptureError as error:
        problems += [f"device '{name}': {problem}" for problem in error.problems]
    return problems


def signal_problems(marker_map: MarkerMap | None, spec: StreamSpec) -> list[str]:
    """Say what a stream does, to follow its name; raises FlexCaptureError for units and maps that do not fit."""
    kind = spec.content_type.lower()
    if kind == "emg":
        for channel in emg_channels(spec.channels):
            voltage_factor_uv(channel.unit)
        if spec.rate_hz < _LOWEST_EMG_HZ:
            return [f"sends sEMG at {spec.rate_hz:g} Hz; {_LOWEST_EMG_HZ:g} are needed"]
    elif kind == "mocap":
        positions = _positions(spec)
        for channel in positions:
            length_factor_m(channel.unit)
        markers = tuple(dict.fromkeys(channel.marker or channel.label[:-2] for channel in positions))
        if marker_map is not None:
            match_markers(markers, marker_map)
        elif markers and not set(JOINTS) <= set(markers):
            return ["sends markers that are no FLEX joints; name a marker_map"]
        up = spec.details.get("axis_up", "").lstrip("+").lower()
        turned = "z" if marker_map is None else marker_map.up_axis
        if markers and up and up != turned:
            return [f"says that {up} points up, but its marker_map is for {turned}; turn the one or the other"]
    return []


def _positions(spec: StreamSpec) -> list[Channel]:
    return [channel for channel in spec.channels if channel.type.startswith("Position")]


def emg_channels(channels: Sequence[Channel]) -> list[Channel]:
    """Return the channels of an sEMG stream that are sEMG: those of type EMG, or all where none says so."""
    named = [channel for channel in channels if channel.type.upper() == "EMG"]
    return named or list(channels)
