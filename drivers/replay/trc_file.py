"""Replay of a TRC file: its markers as one MoCap device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from drivers.channels import position_channels
from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from drivers.replay.pacing import PacedReplay, Track
from drivers.replay.source_file import ReplayConfig, file_details, find_file, xdf_unit
from lab.streams import StreamSpec
from storage.trc_file import read_trc


class ReplayTrcConfig(ReplayConfig):
    """A TRC file."""

    chunk_samples: int = Field(1, ge=1, le=10_000, description="Frames in a packet.")


class ReplayTrc(PacedReplay):
    """A TRC file as one stream of positions, double64, in the file's unit.

    Counters are the file's frame column counted from its first frame, so a gap in it stays a gap; device times are
    the file's time column.
    """

    Config: ClassVar[type[DriverConfig]] = ReplayTrcConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, ReplayTrcConfig)
        super().__init__(self._settings, clock)

    def _read_tracks(self) -> Sequence[Track]:
        path = find_file(self._settings.file)
        content = read_trc(path)
        counters = content.frame_number - content.frame_number[0]
        spec = StreamSpec(
            content_type="MoCap",
            channels=position_channels(content.labels, xdf_unit(content.units)),
            rate_hz=content.rate_hz,
            format="double64",
            details=file_details(path),
        )
        return [
            Track(
                spec=spec,
                values=content.positions.reshape(len(counters), -1),
                counters=counters,
                time_s=content.time_s,
                chunk_samples=self._settings.chunk_samples,
                end_s=float(content.time_s[-1]) + 1 / content.rate_hz,
                end_count=int(counters[-1]) + 1,
            )
        ]
