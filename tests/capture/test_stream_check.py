"""What a stream says of itself is held against what the rig makes of it."""

from __future__ import annotations

import pytest

from capture.stream_check import signal_problems
from drivers.channels import position_channels
from lab.joints import JOINTS
from lab.marker_map import MarkerMap
from lab.streams import StreamSpec


def turned(up_axis: str) -> MarkerMap:
    return MarkerMap.model_validate(
        {"name": up_axis, "up_axis": up_axis, "joints": {joint: {joint: 1.0} for joint in JOINTS}}
    )


@pytest.mark.parametrize(
    ("axis_up", "marker_map", "right"),
    [
        ("+Z", None, True),
        ("", None, True),
        ("+Y", None, False),
        ("-Z", None, False),
        ("Y", turned("y"), True),
        ("+Y", turned("z"), False),
        ("+Z", turned("y"), False),
    ],
)
def test_the_axis_that_points_up_is_that_of_the_map(axis_up: str, marker_map: MarkerMap | None, right: bool) -> None:
    details = {"axis_up": axis_up} if axis_up else {}
    spec = StreamSpec("MoCap", position_channels(JOINTS, "meters"), 100.0, details=details)
    problems = signal_problems(marker_map, spec)
    assert (problems == []) == right
    assert right or "points up" in problems[0]
