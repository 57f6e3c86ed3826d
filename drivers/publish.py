"""Chunks and frame rows into LSL outlets, with XDF's metadata conventions.

Beside every sampled stream runs ``<name>.clock``. Metadata follow the XDF wiki's pages for MoCap, EMG and
video; what XDF has no words for stands under ``desc/flex_capture``.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np

from lab.streams import (
    CLOCK_LABELS,
    CLOCK_SUFFIX,
    COUNTER_LABEL,
    COUNTER_MODULUS,
    Channel,
    Chunk,
    CountingChannel,
    StreamSpec,
)

#: Largest count that each sample format holds exactly, as a power of two.
_MODULUS: Final = {"int8": 2**7, "int16": 2**15}

#: Seconds (or hundreds of samples of an irregular stream) an outlet keeps for a consumer that has stalled.
_BUFFER_S: Final = 360
#: Samples that it keeps of a stream however slow.
_LEAST_SAMPLES: Final = 100
_LONGEST_BUFFER_S: Final = 1_000_000_000


def counter_modulus(spec: StreamSpec) -> int:
    """Return what ``sample_counter`` is published modulo: no more than the stream's format holds exactly."""
    return min(spec.counter_modulus, _MODULUS.get(spec.format, COUNTER_MODULUS))


def counting_channel(spec: StreamSpec) -> CountingChannel | None:
    """Return the channel of a published stream that counts its samples, None where it has none."""
    if spec.video is not None:
        return CountingChannel(0, 0)  # frame ids do not wrap
    return CountingChannel(len(spec.channels), counter_modulus(spec)) if spec.counted else None


def source_id(host: str, device: str, stream: str, run: str) -> str:
    """Return the source id of a stream: the same across restarts of its driver within one run."""
    return f"flex-capture/{host}/{device}/{stream}/{run}"


def clock_source_id(source: str) -> str:
    """Return the source id of the ``.clock`` stream beside the stream with the source id ``source``."""
    stream, _, run = source.rpartition("/")
    return f"{stream}{CLOCK_SUFFIX}/{run}"


def _software_version() -> str:
    try:
        return version("flex-capture")
    except PackageNotFoundError:
        return "unknown"


def _append(parent: Any, name: str, **children: str) -> Any:
    node = parent.append_child(name)
    for key, value in children.items():
        node.append_child_value(key, value)
    return node


def _stream_info(
    device: str, spec: StreamSpec, name: str, channels: Sequence[Channel], sample_format: str, run: str
) -> Any:
    import pylsl

    info = pylsl.StreamInfo(
        name,
        spec.content_type,
        len(channels),
        spec.rate_hz,
        sample_format,
        source_id(socket.gethostname(), device, name, run),
    )
    desc = info.desc()
    _append(desc, "acquisition", manufacturer=spec.manufacturer, model=spec.model, serial_number=spec.serial)
    listing = desc.append_child("channels")
    for channel in channels:
        fields = {"label": channel.label, "unit": channel.unit, "type": channel.type}
        if channel.marker:
            fields["marker"] = channel.marker
        _append(listing, "channel", **fields)
    if spec.video is not None:
        _append(
            desc,
            "encoding",
            width=str(spec.video.width),
            height=str(spec.video.height),
            color_format="YUV",
            codec=spec.video.codec,
        )
    facts = {
        "version": _software_version(),
        "device": device,
        "stream": name,
        "counter_origin": spec.counter_origin,
        "counter_modulus": str(counter_modulus(spec)),
        "simulated": "yes" if spec.simulated else "no",
    }
    node = _append(desc, "flex_capture", **facts)
    if spec.details:
        _append(node, "details", **spec.details)
    return info


def _buffer_s(rate_hz: float) -> int:
    """Return how much an outlet keeps, in liblsl's unit: seconds, or hundreds of samples of an irregular stream."""
    least_s = math.ceil(_LEAST_SAMPLES / rate_hz) if rate_hz > 0 else 0
    return max(_BUFFER_S, min(_LONGEST_BUFFER_S, least_s))


class SampledPublisher:
    """A sampled stream and its ``.clock`` stream as two outlets."""

    def __init__(self, device: str, spec: StreamSpec, run: str) -> None:
        """Create the outlets; they are discoverable at once."""
        import pylsl

        self.name = spec.published_name(device)
        self._modulus = counter_modulus(spec)
        # how often a short count of the device's has wrapped is not known here, and nothing else is said
        self._turns = spec.counter_modulus if spec.counter_modulus < COUNTER_MODULUS else 0
        self._dtype = np.dtype({"double64": "float64"}.get(spec.format, spec.format))
        channels = (*spec.channels, Channel(COUNTER_LABEL, "count", "Counter"))
        info = _stream_info(device, spec, self.name, channels, spec.format, run)
        self._samples = pylsl.StreamOutlet(info, max_buffered=_buffer_s(spec.rate_hz))
        clock_spec = StreamSpec("Clock", (), 0.0, simulated=spec.simulated, counter_origin=spec.counter_origin)
        clock_channels = tuple(
            Channel(label, unit, "Clock") for label, unit in zip(CLOCK_LABELS, ("count", "s", "s"), strict=True)
        )
        clock_name = self.name + CLOCK_SUFFIX
        clock_info = _stream_info(device, clock_spec, clock_name, clock_channels, "double64", run)
        self._clock = pylsl.StreamOutlet(clock_info, max_buffered=_BUFFER_S)
        self.sources: dict[str, str] = {self.name: info.source_id(), clock_name: clock_info.source_id()}
        self.samples = 0
        self.rows = 0

    @property
    def published(self) -> dict[str, int]:
        """Samples published so far by stream name."""
        return dict(zip(self.sources, (self.samples, self.rows), strict=True))

    def have_consumers(self) -> bool:
        """Whether anybody receives the samples."""
        return bool(self._samples.have_consumers())

    def subscribed(self, timeout_s: float) -> bool:
        """Wait until someone receives both streams."""
        return bool(self._samples.wait_for_consumers(timeout_s) and self._clock.wait_for_consumers(timeout_s))

    def publish(self, chunk: Chunk) -> None:
        """Push a chunk: the stamp is the arrival of its last byte, the counter its last channel."""
        values = np.empty((len(chunk.values), chunk.values.shape[1] + 1), dtype=self._dtype)
        values[:, :-1] = chunk.values
        values[:, -1] = chunk.counters % self._modulus
        self._samples.push_chunk(values, chunk.arrival_s)
        count = int(chunk.counters[-1]) % self._turns if self._turns else int(chunk.counters[-1])
        self._clock.push_sample([float(count), chunk.arrival_s, chunk.device_time_s], chunk.arrival_s)
        self.samples += len(values)
        self.rows += 1


class PlainPublisher:
    """A stream as it is, without counter and ``.clock``: texts, rows that carry a count of their own."""

    def __init__(self, device: str, spec: StreamSpec, run: str) -> None:
        """Create the outlet; it is discoverable at once."""
        import pylsl

        self.name = spec.published_name(device)
        info = _stream_info(device, spec, self.name, spec.channels, spec.format, run)
        self._outlet = pylsl.StreamOutlet(info, max_buffered=_buffer_s(spec.rate_hz))
        self.sources: dict[str, str] = {self.name: info.source_id()}
        self.samples = 0

    @property
    def published(self) -> dict[str, int]:
        """Samples published so far by stream name."""
        return {self.name: self.samples}

    def have_consumers(self) -> bool:
        """Whether anybody receives the stream."""
        return bool(self._outlet.have_consumers())

    def subscribed(self, timeout_s: float) -> bool:
        """Wait until someone receives the stream."""
        return bool(self._outlet.wait_for_consumers(timeout_s))

    def publish(self, chunk: Chunk) -> None:
        """Push a chunk: the stamp of its last sample is the arrival of its last byte."""
        if chunk.values.dtype == object:
            for row in chunk.values.tolist():
                self._outlet.push_sample(row, chunk.arrival_s)
        else:
            self._outlet.push_chunk(np.ascontiguousarray(chunk.values), chunk.arrival_s)
        self.samples += len(chunk.values)


class FramePublisher:
    """A camera's stream: one row a frame."""

    def __init__(self, device: str, spec: StreamSpec, run: str) -> None:
        """Create the outlet; it is discoverable at once."""
        import pylsl

        self.name = spec.published_name(device)
        info = _stream_info(device, spec, self.name, spec.channels, "double64", run)
        self._outlet = pylsl.StreamOutlet(info, max_buffered=_buffer_s(spec.rate_hz))
        self.sources: dict[str, str] = {self.name: info.source_id()}
        self.rows = 0

    @property
    def published(self) -> dict[str, int]:
        """Rows published so far by stream name."""
        return {self.name: self.rows}

    def have_consumers(self) -> bool:
        """Whether anybody receives the stream."""
        return bool(self._outlet.have_consumers())

    def subscribed(self, timeout_s: float) -> bool:
        """Wait until someone receives the stream."""
        return bool(self._outlet.wait_for_consumers(timeout_s))

    def publish(self, frame_id: int, device_time_s: float, arrival_s: float, pts_us: int, *, encoded: bool) -> None:
        """Push one row. ``pts_us`` is the frame's time in the video file, ``encoded`` whether it is in there."""
        row = [float(frame_id), device_time_s, arrival_s, float(pts_us), float(encoded)]
        self._outlet.push_sample(row, arrival_s if math.isfinite(arrival_s) else 0.0)
        self.rows += 1


Publisher = SampledPublisher | PlainPublisher | FramePublisher


def publisher_of(device: str, spec: StreamSpec, run: str) -> Publisher:
    """Publish a stream of a device as what it is."""
    if spec.video is not None:
        return FramePublisher(device, spec, run)
    return SampledPublisher(device, spec, run) if spec.counted else PlainPublisher(device, spec, run)
