"""Before a take: can the dataset be made from what the devices send? Later it could not be set right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from calibration.markers import match_markers
from calibration.units import length_factor_m, voltage_factor_uv
from capture.rig_file import BoundDevice, BoundRig
from lab.errors import FlexCaptureError, RigError
from lab.joints import JOINTS
from lab.streams import StreamSpec

#: An envelope of 20 Hz and more needs twice that, and some.
_LOWEST_EMG_HZ: Final = 50.0


def check_streams(rig: BoundRig, specs: Mapping[str, tuple[StreamSpec, ...]]) -> None:
    """Check cameras' names, units, sEMG rates and marker maps against what the open devices say they send.

    ``specs`` are the streams by device name. Raises RigError with a sentence a mistake.
    """
    problems = [
        problem
        for device in rig.devices
        for spec in specs.get(device.entry.name, ())
        for problem in _problems(device, spec)
    ]
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
    kind = spec.content_type.lower()
    try:
        if kind == "emg":
            for channel in spec.channels:
                voltage_factor_uv(channel.unit)
            if spec.rate_hz < _LOWEST_EMG_HZ:
                problems.append(f"device '{name}' sends sEMG at {spec.rate_hz:g} Hz; {_LOWEST_EMG_HZ:g} are needed")
        elif kind == "mocap":
            positions = [channel for channel in spec.channels if channel.type.startswith("Position")]
            for channel in positions:
                length_factor_m(channel.unit)
            markers = tuple(dict.fromkeys(channel.marker for channel in positions))
            if device.marker_map is not None:
                match_markers(markers, device.marker_map)
            elif markers and not set(JOINTS) <= set(markers):
                problems.append(f"device '{name}' sends markers that are no FLEX joints; name a marker_map")
    except FlexCaptureError as error:
        problems += [f"device '{name}': {problem}" for problem in error.problems]
    return problems
