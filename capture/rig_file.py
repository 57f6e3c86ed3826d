"""A rig file read, checked and bound to drivers: every mistake in it is found at once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from calibration.markers import find_marker_map
from drivers.driver import DriverConfig, filled_in
from drivers.registry import find_driver
from lab.errors import FlexCaptureError, RigError
from lab.marker_map import MarkerMap
from lab.rig import DeviceEntry, Rig, StreamEntry
from storage.toml_file import read_toml, validation_sentences


@dataclass(frozen=True)
class BoundDevice:
    """A device of the rig with its driver's own config, and its marker map if it has one."""

    entry: DeviceEntry
    config: DriverConfig
    marker_map: MarkerMap | None

    @property
    def simulated(self) -> bool:
        """Whether the device does not exist."""
        return self.entry.driver.startswith("simulated.")


@dataclass(frozen=True)
class BoundStream:
    """A stream of others that the rig names, and its marker map if it has one."""

    entry: StreamEntry
    marker_map: MarkerMap | None


@dataclass(frozen=True)
class BoundRig:
    """A rig whose every device has a valid config."""

    rig: Rig
    devices: tuple[BoundDevice, ...]
    streams: tuple[BoundStream, ...] = ()

    def as_recorded(self) -> dict[str, Any]:
        """Return the whole rig as plain data for ``take.json``: what a later stage needs, marker maps included."""
        return {
            **self.rig.model_dump(mode="json", exclude={"device", "stream"}),
            "device": [
                {
                    "name": device.entry.name,
                    "driver": device.entry.driver,
                    "latency_s": device.entry.latency_s,
                    "max_uncertainty_ms": device.entry.max_uncertainty_ms,
                    "silent_after_s": device.entry.silent_after_s,
                    "config": device.config.model_dump(mode="json"),
                    "marker_map": None if device.marker_map is None else device.marker_map.model_dump(mode="json"),
                }
                for device in self.devices
            ],
            "stream": [
                {
                    **stream.entry.model_dump(mode="json"),
                    "marker_map": None if stream.marker_map is None else stream.marker_map.model_dump(mode="json"),
                }
                for stream in self.streams
            ],
        }


def load_rig(path: Path | None, overrides: dict[str, Any] | None = None) -> BoundRig:
    """Read a rig file, the packaged simulated one where ``path`` is None.

    ``overrides`` replace options of simulated devices that have them (``seed``, ``repetitions``, ``action``). Raises
    RigError or FileFormatError with a sentence a mistake.
    """
    if path is None:
        with as_file(files("capture") / "rigs" / "simulated.toml") as packaged:
            return _bind(packaged, overrides or {})
    return _bind(path, overrides or {})


def _bind(source: Path, overrides: dict[str, Any]) -> BoundRig:
    content = read_toml(source)
    try:
        rig = Rig.model_validate(content)
    except ValidationError as error:
        raise RigError(*validation_sentences(source, error)) from error
    devices: list[BoundDevice] = []
    problems: list[str] = []
    for entry in rig.device:
        try:
            devices.append(_bind_device(source, entry, overrides))
        except ValidationError as error:
            where = f"{source}: device '{entry.name}'"
            problems += [sentence.replace(str(source), where, 1) for sentence in validation_sentences(source, error)]
        except FlexCaptureError as error:
            problems += [f"{source}: device '{entry.name}': {problem}" for problem in error.problems]
    streams: list[BoundStream] = []
    for stream in rig.stream:
        try:
            streams.append(BoundStream(stream, _marker_map(source, stream)))
        except FlexCaptureError as error:
            problems += [f"{source}: stream '{stream.name}': {problem}" for problem in error.problems]
    if problems:
        raise RigError(*problems)
    return BoundRig(rig, tuple(devices), tuple(streams))


def _marker_map(source: Path, entry: DeviceEntry | StreamEntry) -> MarkerMap | None:
    return None if entry.marker_map is None else find_marker_map(entry.marker_map, source.parent)


def _bind_device(source: Path, entry: DeviceEntry, overrides: dict[str, Any]) -> BoundDevice:
    config_class = find_driver(entry.driver).Config
    options = entry.options
    for field in config_class.path_fields:
        if isinstance(options.get(field), str):
            options[field] = str(source.parent / filled_in(options[field]))
    if entry.driver.startswith("simulated."):
        options |= {key: value for key, value in overrides.items() if key in config_class.model_fields}
    return BoundDevice(entry, config_class.model_validate(options), _marker_map(source, entry))
