"""What a stream of others is taken for: what it says of itself, and before that what the rig says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lab.errors import RigError
from lab.recorded import RecordedStream
from lab.rig import StreamEntry
from lab.streams import COUNTER_LABEL, FRAME_LABELS, Channel, CountingChannel, StreamSpec
from storage.recorded_streams import read_counts
from storage.xdf_header import StreamHeader

_AXES: Final = ("_X", "_Y", "_Z")


@dataclass(frozen=True)
class DescribedStream:
    """``spec`` has the channels without ``counter``, the channel that counts the samples, if there is one."""

    spec: StreamSpec
    counter: CountingChannel | None


def describe(entry: StreamEntry, header: StreamHeader) -> DescribedStream:
    """Return what a stream with this header is taken for.

    Raises RigError with a sentence for each thing in the rig that does not fit the stream.
    """
    channels = _channels(entry, header.content_type, header.channels)
    counter = _counter(entry, channels)
    if entry.counter is None and header.has_counter:
        counter = CountingChannel(len(channels) - 1, header.counter_modulus)
    elif entry.counter is None and tuple(channel.label for channel in header.channels) == FRAME_LABELS:
        counter = CountingChannel(0, 0)  # rows of a camera of flex-capture
    spec = StreamSpec(
        content_type=entry.content_type or header.content_type,
        channels=_without(channels, counter),
        rate_hz=entry.rate_hz or header.rate_hz,
        format=header.format or "double64",
        counter_origin=header.counter_origin if entry.counter is None else "device",
        manufacturer=header.manufacturer,
        model=header.model,
        serial=header.serial,
        simulated=header.simulated,
        counted=counter is not None,
    )
    return DescribedStream(spec, counter)


def as_described(entry: StreamEntry, stream: RecordedStream) -> RecordedStream:
    """Return a stream as it was recorded, described as ``describe`` does; values and stamps stay as they are.

    Raises RigError where the rig does not fit the stream.
    """
    own = stream.counter is not None  # its sample_counter, taken out of the values by the reader
    channels = (*stream.channels, Channel(COUNTER_LABEL, "count", "Counter")) if own else stream.channels
    channels = _channels(entry, stream.content_type, channels)
    named = _counter(entry, channels)
    if own and (named is None or named.column == len(channels) - 1):
        counter, values, channels = stream.counter, stream.values, channels[:-1]
        modulus, origin = named.modulus if named else stream.counter_modulus, stream.counter_origin
    elif named is not None:
        counter = read_counts(stream.values[:, named.column])
        if counter is None:  # so that sync says that it does not count
            counter = np.zeros(len(stream.values), dtype=np.int64)
        values = np.ascontiguousarray(np.delete(stream.values, named.column, axis=1))
        channels = _without(channels[:-1] if own else channels, named)
        modulus, origin = named.modulus, "device"
    else:
        counter, values, modulus, origin = None, stream.values, stream.counter_modulus, stream.counter_origin
    return replace(
        stream,
        content_type=entry.content_type or stream.content_type,
        rate_hz=entry.rate_hz or stream.rate_hz,
        channels=channels,
        counter=counter,
        counter_modulus=modulus,
        counter_origin=origin,
        values=values,
    )


def _without(channels: tuple[Channel, ...], counter: CountingChannel | None) -> tuple[Channel, ...]:
    return tuple(channel for index, channel in enumerate(channels) if counter is None or index != counter.column)


def _channels(entry: StreamEntry, content_type: str, said: tuple[Channel, ...]) -> tuple[Channel, ...]:
    problems = [
        f"stream '{entry.name}': '{key}' names {len(given)} channels, but the stream has {len(said)}; correct the rig"
        for key, given in (("labels", entry.labels), ("channel_types", entry.channel_types))
        if given and len(given) != len(said)
    ]
    if problems:
        raise RigError(*problems)
    kind = entry.content_type or content_type
    channels = []
    for index, channel in enumerate(said):
        label = entry.labels[index] if entry.labels else channel.label or f"ch{index + 1}"
        named = entry.channel_types[index] if entry.channel_types else channel.type
        marker = "" if entry.labels else channel.marker
        if not named and kind.lower() == "mocap" and label[-2:].upper() in _AXES:
            named = f"Position{label[-1].upper()}"
        if named.startswith("Position"):
            marker = marker or label[:-2]
        channels.append(Channel(label, entry.unit or channel.unit, named or kind, marker))
    return tuple(channels)


def _counter(entry: StreamEntry, channels: tuple[Channel, ...]) -> CountingChannel | None:
    wanted = entry.counter
    if wanted is None:
        return None
    if isinstance(wanted, int):
        columns = [wanted - 1] if wanted <= len(channels) else []
    else:
        columns = [index for index, channel in enumerate(channels) if channel.label == wanted]
    if len(columns) != 1:
        labels = ", ".join(channel.label for channel in channels[:12])
        raise RigError(
            f"stream '{entry.name}': its counter '{wanted}' is {'no' if not columns else 'more than one'} channel of"
            f" {len(channels)} ({labels}); correct 'counter' in the rig"
        )
    return CountingChannel(columns[0], entry.counter_modulus or 0)
