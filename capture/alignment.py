"""A raw take on one clock: sync and calibration applied to what storage read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.markers import joints_from_markers
from calibration.units import voltage_factor_uv
from capture.stream_check import emg_channels
from capture.sync_terms import terms_of_take
from lab.aligned import AlignedStream, AlignedTake, AlignedView, Pose, StreamReport, SyncEvidence
from lab.marker_map import MarkerMap
from lab.recorded import RecordedTake
from lab.streams import Channel
from sync.align import align_stream, align_view
from sync.envelope import emg_envelope


def align_take(take: RecordedTake) -> AlignedTake:
    """Put every stream and view of a take on session time and name what they are.

    The rig that ``take.json`` carries gives latencies, tolerance, marker maps and the reference view. The pose is the
    first MoCap stream that becomes joints, sEMG the first stream of type EMG, in microvolt.
    """
    rig = take.record.rig
    devices = {entry["name"]: entry for entry in (*rig.get("device", ()), *rig.get("stream", ()))}
    streams: list[AlignedStream] = []
    views: list[AlignedView] = []
    reports: list[StreamReport] = []
    evidence: list[SyncEvidence] = []
    for recorded in take.streams:
        terms = terms_of_take(rig, recorded.device)
        aligned, report, found = align_stream(terms.described(recorded), *terms.limits)
        streams.append(aligned)
        reports.append(report)
        evidence.append(found)
    for view in take.views:
        aligned_view, report, found = align_view(view, *terms_of_take(rig, view.stream.device).limits)
        views.append(aligned_view)
        reports.append(report)
        evidence.append(found)
    pose = _first_pose(streams, devices)
    emg = next((_in_microvolt(stream) for stream in streams if stream.content_type.upper() == "EMG"), None)
    rates = _one_channel(streams, "HeartRate"), _one_channel(streams, "BreathRate")
    used = {stream.name for stream in (emg, *rates) if stream is not None} | ({pose.stream} if pose else set())
    return AlignedTake(
        record=take.record,
        raw_digest=take.digest,
        pose=pose,
        emg=emg,
        emg_envelope=None if emg is None else emg_envelope(emg.values, emg.rate_hz, emg.time_s),
        heart_rate=rates[0],
        breath_rate=rates[1],
        views=tuple(views),
        reports=tuple(reports),
        reference_view=rig.get("reference_view") or (views[0].view if views else None),
        others=tuple(stream for stream in streams if stream.name not in used),
        evidence=tuple(evidence),
    )


def _first_pose(streams: list[AlignedStream], devices: Mapping[str, Mapping[str, Any]]) -> Pose | None:
    for stream in streams:
        if stream.content_type.lower() == "mocap":
            pose = _pose(stream, devices.get(stream.device, {}).get("marker_map"))
            if pose is not None:
                return pose
    return None


def _pose(stream: AlignedStream, marker_map: dict[str, Any] | None) -> Pose | None:
    """Return FLEX's joints of a MoCap stream, or None where it has no positions."""
    positions_m = positions_of(stream.channels, stream.values, marker_map)
    if positions_m is None:
        return None
    return Pose(stream.name, stream.rate_hz, stream.time_s, positions_m, stream.simulated)


def positions_of(
    channels: Sequence[Channel], values: npt.NDArray[Any], marker_map: Mapping[str, Any] | None
) -> npt.NDArray[np.float64] | None:
    """Return the positions of FLEX's joints (samples, 21, 3) in metres; None where no channels are positions.

    ``values`` is (samples, channels) of a MoCap stream, ``marker_map`` that of its device, as ``take.json`` holds it.
    """
    columns: dict[str, dict[str, int]] = {}
    unit = "meters"
    for index, channel in enumerate(channels):
        if channel.type.startswith("Position"):
            columns.setdefault(channel.marker or channel.label[:-2], {})[channel.type[-1]] = index
            unit = channel.unit or unit
    markers = {name: axes for name, axes in columns.items() if set(axes) == {"X", "Y", "Z"}}
    if not markers:
        return None
    picked = [[axes[axis] for axis in "XYZ"] for axes in markers.values()]
    positions = values[:, np.asarray(picked)].astype(np.float64)
    joints = MarkerMap.identity() if marker_map is None else MarkerMap.model_validate(marker_map)
    return joints_from_markers(tuple(markers), positions, unit, joints)


def _in_microvolt(stream: AlignedStream) -> AlignedStream:
    """Return the sEMG channels of a stream; a trigger or a counter beside them is no sEMG."""
    channels = emg_channels(stream.channels)
    columns = [index for index, channel in enumerate(stream.channels) if channel in channels]
    factors = np.array([voltage_factor_uv(stream.channels[index].unit) for index in columns])
    values = stream.values[:, columns]
    if not bool(np.all(factors == 1.0)):
        values = values * factors
    return replace(
        stream,
        channels=tuple(replace(stream.channels[index], unit="microvolts") for index in columns),
        values=values.astype(np.float32),
    )


def _one_channel(streams: list[AlignedStream], channel_type: str) -> AlignedStream | None:
    for stream in streams:
        for index, channel in enumerate(stream.channels):
            if channel.type == channel_type:
                return replace(stream, channels=(channel,), values=stream.values[:, index : index + 1])
    return None
