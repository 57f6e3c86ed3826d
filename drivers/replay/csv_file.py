"""Replay of a CSV file of signals: sEMG, heart and breath rate, or any other numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator

from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from drivers.replay.pacing import PacedReplay, Track
from drivers.replay.source_file import ReplayConfig, file_details, find_file, xdf_unit
from lab.streams import Channel, StreamSpec
from storage.csv_file import read_csv_signals


class ReplayCsvConfig(ReplayConfig):
    """A CSV file with a header row."""

    rate_hz: float = Field(gt=0, le=1e6, description="Samples per second.")
    columns: tuple[str, ...] | dict[str, str] = Field(
        min_length=1, description="Columns to send; as a table, column = label of its channel."
    )
    content_type: str = Field(min_length=1, description="XDF content type, such as EMG or Physio.")
    unit: str = Field("", description="Unit of the values sent, such as microvolts or 1/min.")
    channel_types: tuple[str, ...] = Field(
        (), description="XDF type of each column's channel, such as HeartRate; the content type where not given."
    )
    scale: float = Field(1.0, allow_inf_nan=False, description="Sent is (value in the file + offset) * scale.")
    offset: float = Field(0.0, allow_inf_nan=False, description="Added to the file's value before scaling.")
    counter: str | None = Field(None, description="Column of the device's own sample number, if there is one.")
    chunk_samples: int = Field(20, ge=1, le=100_000, description="Samples in a packet.")
    manufacturer: str = Field("", description="Maker of the device that was recorded.")
    model: str = Field("", description="Model of the device that was recorded.")

    @model_validator(mode="after")
    def _one_type_a_column(self) -> ReplayCsvConfig:
        if self.channel_types and len(self.channel_types) != len(self.columns):
            raise ValueError(f"'channel_types' names {len(self.channel_types)} types for {len(self.columns)} columns")
        return self


class ReplayCsv(PacedReplay):
    """Columns of a CSV file as one stream of float32.

    Counters are the file's where ``counter`` names them, so samples lost in the file stay lost and leave
    a gap in time; else the rows are counted from 0. Device time is counter / rate.
    """

    Config: ClassVar[type[DriverConfig]] = ReplayCsvConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, ReplayCsvConfig)
        super().__init__(self._settings, clock)

    def _read_tracks(self) -> Sequence[Track]:
        settings = self._settings
        path = find_file(settings.file)
        columns = tuple(settings.columns)
        labels = tuple(settings.columns.values()) if isinstance(settings.columns, dict) else columns
        types = settings.channel_types or (settings.content_type,) * len(columns)
        content = read_csv_signals(path, columns, settings.counter)
        counters = content.counter
        if counters is None:
            counters = np.arange(len(content.values), dtype=np.int64)
        spec = StreamSpec(
            content_type=settings.content_type,
            channels=tuple(
                Channel(label, xdf_unit(settings.unit), kind) for label, kind in zip(labels, types, strict=True)
            ),
            rate_hz=settings.rate_hz,
            counter_origin="host" if content.counter is None else "device",
            manufacturer=settings.manufacturer,
            model=settings.model,
            details=file_details(path),
        )
        values = ((content.values + settings.offset) * settings.scale).astype(np.float32)
        return [Track.counted(spec, values, counters, settings.chunk_samples)]
