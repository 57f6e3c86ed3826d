"""What is published of a NatNet server, in XDF's words."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.optitrack.layout import Layout
from drivers.optitrack.model_codec import Models
from drivers.optitrack.natnet_session import NatNetSession
from drivers.optitrack.server_clock import ECHO_CHANNELS
from lab.streams import Channel, StreamSpec

_TIME_CODE_CHANNELS: Final = tuple(
    Channel(label, "count", "TimeCode") for label in ("hours", "minutes", "seconds", "frames", "subframes")
)


def time_code_row(code: int, subframe: int) -> npt.NDArray[np.float32]:
    """Return an SMPTE time code (5,): hours, minutes, seconds and frames have a byte each."""
    return np.array([code >> 24 & 255, code >> 16 & 255, code >> 8 & 255, code & 255, subframe], dtype=np.float32)


def described(
    session: NatNetSession,
    layout: Layout,
    rate_hz: float,
    up_axis: str | None,
    moment: str,
    models: Models,
    *,
    coded: bool,
) -> tuple[StreamSpec, ...]:
    """Return the streams of a server.

    Markers are of type MoCap, and what else there is only without them: the pose of a dataset is made of the first such
    stream. ``moment`` is what device time says, ``coded`` whether a time code comes in.
    """
    info = session.info
    details = {
        "natnet_version": str(info.version),
        "server": f"{info.application} {info.application_version}",
        "transport": "multicast" if session.multicast else "unicast",
        "device_time": moment,
    }
    if up_axis is not None:
        details["axis_up"] = up_axis  # a marker map for another one is refused before the take
    if info.clock_hz:
        details["server_clock_hz"] = str(info.clock_hz)
    if models.cameras:
        details["cameras"] = str(len(models.cameras))
    kinds: list[tuple[str, str, tuple[Channel, ...]]] = []
    if layout.markers:
        kinds.append(("markers", "MoCap", layout.marker_channels()))
    if layout.segments:
        kinds.append(("skeletons", "Skeleton" if kinds else "MoCap", layout.segment_channels()))
    if layout.bodies:
        kinds.append(("rigid_bodies", "RigidBody" if kinds else "MoCap", layout.body_channels()))
    if coded:
        kinds.append(("timecode", "TimeCode", _TIME_CODE_CHANNELS))
    specs = [
        StreamSpec(
            content_type=kind,
            channels=channels,
            rate_hz=rate_hz,
            name=name,
            manufacturer="OptiTrack",
            model=info.application,
            details=details,
        )
        for name, kind, channels in kinds
    ]
    if session.echo is not None:
        specs.append(
            StreamSpec(
                content_type="Echo",
                channels=ECHO_CHANNELS,
                rate_hz=0.0,
                name="echo",
                format="double64",
                counted=False,
                manufacturer="OptiTrack",
                model=info.application,
                details=details,
            )
        )
    return tuple(specs)
