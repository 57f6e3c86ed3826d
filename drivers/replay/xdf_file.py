"""Replay of a recorded XDF file: all its streams, as one device."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from drivers.replay.pacing import PacedReplay, Track
from drivers.replay.source_file import ReplayConfig, file_details, find_file
from drivers.replay.xdf_tracks import is_camera, track_of
from lab.errors import DeviceError
from lab.streams import CLOCK_LABELS, CLOCK_SUFFIX, MARKERS_SOURCE, PROBES_NAME, StreamSpec
from storage.xdf_reader import XdfStream, read_xdf

#: The whole file is held in memory.
MAX_BYTES: Final = 2 * 1024**3

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_XML_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


class ReplayXdfConfig(ReplayConfig):
    """An XDF file, of flex-capture or of any other recorder."""

    streams: tuple[str, ...] = Field((), description="Names of the streams to send; all that hold samples if none.")
    keep_names: bool = Field(
        default=False, description="Publish each stream under its recorded name instead of <device>.<stream>."
    )


class ReplayXdf(PacedReplay):
    """The streams of an XDF file with their names, types, labels, units and values, in the recorded packets.

    A packet is due at its recorded arrival where a `.clock` stream tells it, else at its stamp, each host's clock put
    on the recorder's. Counters are those of `sample_counter`, or count from 0; `.clock` streams are made anew. Texts,
    and the rows of a camera, whose pictures are in its video, are sent one by one, without a counter.
    """

    Config: ClassVar[type[DriverConfig]] = ReplayXdfConfig
    BEGIN_TOGETHER: ClassVar[bool] = False

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, ReplayXdfConfig)
        self.remarks: tuple[str, ...] = ()
        super().__init__(self._settings, clock)

    def _read_tracks(self) -> Sequence[Track]:
        path = find_file(self._settings.file)
        if path.stat().st_size > MAX_BYTES:
            raise DeviceError(f"{path} is larger than {MAX_BYTES // 1024**3} GiB; cut it")
        content = read_xdf(path)
        remarks = []
        if content.bytes_discarded:
            remarks.append(f"{path}: {content.bytes_discarded} bytes are damaged and not played")
        names = {stream.name for stream in content.streams}
        clocks = {stream.name: stream for stream in content.streams if _is_clock(stream, names)}
        ordinary = [
            stream
            for stream in content.streams
            if stream.name != PROBES_NAME
            and stream.header.source_id != MARKERS_SOURCE
            and clocks.get(stream.name) is not stream
        ]
        called = _names(ordinary)
        chosen = self._chosen(path, ordinary, called)
        details = file_details(path)
        tracks: list[Track] = []
        for stream in chosen:
            name = called[stream.stream_id]
            if not stream.header.format or not stream.header.channel_count:
                remarks.append(f"{path}: stream '{name}' does not say how to read it and is not played")
            elif not len(stream.stamps):
                remarks.append(f"{path}: stream '{name}' holds no samples and is not played")
            else:
                if is_camera(stream):
                    remarks.append(
                        f"{path}: of camera '{name}' the rows are played as numbers; play its video with replay.video"
                    )
                alone = len(chosen) == 1 and not self._settings.keep_names
                spec = self._spec(stream, "" if alone else name, details)
                clock = clocks.get(stream.name + CLOCK_SUFFIX)
                tracks.append(track_of(stream, clock, spec))
        begin_s = min((float(track.time_s[0]) for track in tracks), default=0.0) + self._settings.start_s
        for track in [track for track in tracks if track.time_s[-1] < begin_s]:
            remarks.append(f"{path}: stream '{track.spec.name}' ends before {self._settings.start_s:g} s")
            tracks.remove(track)
        if not tracks:
            raise DeviceError(f"{path} holds no samples to play; choose another file, or correct 'start_s' in the rig")
        self.remarks = tuple(remarks)
        return _looping(tracks, begin_s)

    def _chosen(self, path: Path, streams: list[XdfStream], called: dict[int, str]) -> list[XdfStream]:
        wanted = self._settings.streams
        known = {name for stream in streams for name in (stream.name, called[stream.stream_id])}
        missing = [name for name in wanted if name not in known]
        if missing:
            there = ", ".join(list(called.values())[:12]) or "none"
            raise DeviceError(f"{path} has no stream '{missing[0]}'; its streams are {there}; correct 'streams'")
        return [
            stream for stream in streams if not wanted or stream.name in wanted or called[stream.stream_id] in wanted
        ]

    def _spec(self, stream: XdfStream, name: str, details: dict[str, str]) -> StreamSpec:
        header = stream.header
        assert header.format is not None
        camera = is_camera(stream)
        recorded = {"recorded_name": header.name, "recorded_source_id": header.source_id}
        if header.video is not None:
            video = header.video
            recorded["recorded_video"] = f"{video.codec} {video.width}x{video.height}"
        return StreamSpec(
            content_type=header.content_type,
            channels=header.channels[:-1] if header.has_counter else header.channels,
            rate_hz=header.rate_hz,
            name=name,
            publish_as=(header.name if name == _plain(header.name) else name) if self._settings.keep_names else "",
            format=header.format,
            counter_origin=header.counter_origin,
            manufacturer=header.manufacturer,
            model=header.model,
            serial=header.serial,
            simulated=header.simulated,
            counted=header.format != "string" and not camera,
            details={
                **{key: text for key, text in header.details.items() if _XML_NAME.fullmatch(key) and key != "loops"},
                **{key: text for key, text in recorded.items() if text},
                **details,
            },
        )


def _is_clock(stream: XdfStream, names: set[str]) -> bool:
    labels = tuple(channel.label for channel in stream.header.channels)
    beside = stream.name.endswith(CLOCK_SUFFIX) and stream.name.removesuffix(CLOCK_SUFFIX) in names
    return beside and labels == CLOCK_LABELS and stream.format == "double64"


def _plain(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name).strip("_")[:60]


def _names(streams: Sequence[XdfStream]) -> dict[int, str]:
    """Name each stream, by its id, as an LSL stream of ours may be called: by its name, its type, its number."""
    plain = {stream.stream_id: _plain(stream.name) or f"stream{stream.stream_id}" for stream in streams}
    typed = {
        stream.stream_id: f"{plain[stream.stream_id]}.{_plain(stream.header.content_type)}".rstrip(".")
        for stream in streams
    }
    once, once_typed = Counter(plain.values()), Counter(typed.values())
    found: dict[int, str] = {}
    for stream in streams:
        number = stream.stream_id
        name = plain[number]
        if once[name] > 1:
            name = typed[number] if once_typed[typed[number]] == 1 else f"{typed[number]}.{number}"
        found[number] = name
    return found


def _looping(tracks: list[Track], begin_s: float) -> list[Track]:
    """Let each count go on in a loop by the time that passes, so that count and time agree."""
    end_s = max(track.end_s for track in tracks)
    looping = []
    for track in tracks:
        played = track.starting_at(begin_s)
        pause_s = (end_s - float(played.time_s[-1])) + (float(played.time_s[0]) - begin_s)
        passed = round(pause_s * track.spec.rate_hz) - int(played.ends[0] - 1 if played.ends is not None else 0)
        looping.append(replace(track, end_count=int(track.counters[-1]) + max(1, passed)))
    return looping
