"""Replay of a C3D file: its markers, its sEMG and its other analog channels, as one device."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from drivers.channels import position_channels
from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from drivers.replay.pacing import PacedReplay, Track
from drivers.replay.source_file import ReplayConfig, file_details, find_file, xdf_unit
from lab.errors import DeviceError
from lab.streams import Channel, StreamSpec
from storage.c3d_file import C3dFile, read_c3d


class ReplayC3dConfig(ReplayConfig):
    """A C3D file. Patterns are shell-like: ``*`` stands for any text, ``?`` for any letter."""

    chunk_samples: int = Field(
        1, ge=1, le=10_000, description="Frames in a packet; a packet of analog samples spans as many frames."
    )
    markers: tuple[str, ...] = Field(("*",), description="Patterns of the markers to send.")
    emg: tuple[str, ...] = Field((), description="Patterns of the analog channels that are sEMG.")


class ReplayC3d(PacedReplay):
    """A C3D file as up to three streams: ``markers``, ``emg`` and ``analog``.

    Values are the file's, in the file's units; occluded markers are NaN. Counters and times begin at 0 with
    the file's first frame. Markers are float32; analog values too where that holds them exactly, else double64.
    """

    Config: ClassVar[type[DriverConfig]] = ReplayC3dConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, ReplayC3dConfig)
        super().__init__(self._settings, clock)

    def _read_tracks(self) -> Sequence[Track]:
        path = find_file(self._settings.file)
        content = read_c3d(path)
        details = file_details(path)
        columns = range(len(content.analog_labels))
        emg = [index for index in columns if _matches(content.analog_labels[index], self._settings.emg)]
        if self._settings.emg and not emg:
            raise DeviceError(
                f"{path}: none of its analog channels ({', '.join(content.analog_labels[:12]) or 'there are none'})"
                " is matched by 'emg'; correct the patterns in the rig"
            )
        tracks = [self._markers(content, path, details)]
        tracks.append(self._analog(content, "emg", emg, details))
        tracks.append(self._analog(content, "analog", [index for index in columns if index not in emg], details))
        found = [track for track in tracks if track is not None]
        if not found:
            raise DeviceError(f"{path} has no channel that was asked for; correct 'markers' and 'emg' in the rig")
        return found

    def _markers(self, content: C3dFile, path: Path, details: dict[str, str]) -> Track | None:
        chosen = [index for index, label in enumerate(content.labels) if _matches(label, self._settings.markers)]
        if not chosen:
            if content.labels and self._settings.markers:
                raise DeviceError(
                    f"{path}: none of its markers ({', '.join(content.labels[:12])}) is matched by 'markers';"
                    " correct the patterns in the rig"
                )
            return None
        frames = len(content.positions)
        spec = StreamSpec(
            content_type="MoCap",
            channels=position_channels([content.labels[index] for index in chosen], xdf_unit(content.units)),
            rate_hz=content.rate_hz,
            name="markers",
            manufacturer=content.manufacturer,
            model=content.software,
            details=details,
        )
        values = content.positions[:, chosen].reshape(frames, -1)
        return Track.counted(spec, values, np.arange(frames, dtype=np.int64), self._settings.chunk_samples)

    def _analog(self, content: C3dFile, name: str, chosen: list[int], details: dict[str, str]) -> Track | None:
        if not chosen or not content.analog.size:
            return None
        values = content.analog[:, chosen]
        single = values.astype(np.float32)
        exact = np.array_equal(single, values, equal_nan=True)
        kind = "EMG" if name == "emg" else "Analog"
        samples = len(values)
        spec = StreamSpec(
            content_type=kind,
            channels=tuple(
                Channel(content.analog_labels[index], xdf_unit(content.analog_units[index]), kind) for index in chosen
            ),
            rate_hz=content.analog_rate_hz,
            name=name,
            format="float32" if exact else "double64",
            manufacturer=content.manufacturer,
            model=content.software,
            details=details,
        )
        return Track.counted(
            spec,
            single if exact else values,
            np.arange(samples, dtype=np.int64),
            self._settings.chunk_samples * (samples // len(content.positions)),
        )


def _matches(label: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(label, pattern) for pattern in patterns)
