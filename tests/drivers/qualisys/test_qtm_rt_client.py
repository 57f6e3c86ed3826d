"""Qualisys' own client reads the emulated QTM: codec and emulator do not merely agree with each other."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from emulated_qtm import counters, emulated, read_until, reading, samples, values

from drivers.emulators.emulator import serving
from lab.joints import JOINTS

qtm_rt = pytest.importorskip("qtm_rt", reason="qtm-rt is not installed; pip install 'flex-capture[test]'")

PARTS = ["3dres", "3d", "skeleton:global", "analog", "force"]


async def _frames(port: int, number: int) -> tuple[list[Any], str, str, Any]:
    connection = await qtm_rt.connect("127.0.0.1", port, version="1.25")
    assert connection is not None
    version = (await connection.qtm_version()).decode()
    xml = (await connection.get_parameters(["all"])).decode()
    state = await connection.get_state()
    frames: list[Any] = []
    enough = asyncio.Event()

    def keep(packet: Any) -> None:
        frames.append(packet)
        if len(frames) >= number:
            enough.set()

    await connection.stream_frames(components=PARTS, on_packet=keep)
    await asyncio.wait_for(enough.wait(), 20)
    await connection.stream_frames_stop()
    connection.disconnect()
    await asyncio.sleep(0.05)
    return frames, version, xml, state


def test_it_reads_every_component() -> None:
    emulator = emulated(period=False, plates=1, hidden=0.1, lose=(60, 61))
    with serving(emulator) as reach:
        frames, version, xml, state = asyncio.run(_frames(reach["base_port"] + 1, 100))
    assert version == "QTM Version is 2026.1 (build 1)"  # replies are not shifted
    assert "<QTM_Parameters_Ver_1.25>" in xml
    assert state == qtm_rt.QRTEvent.EventConnected
    numbers = [frame.framenumber for frame in frames]
    missing = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
    assert missing <= {61, 62}
    plates = 0
    for frame in frames:
        truth = emulator.scene.markers(frame.framenumber - 1)
        _, markers = frame.get_3d_markers_residual()
        np.testing.assert_array_equal(np.array([[m.x, m.y, m.z, m.residual] for m in markers], np.float32), truth)
        _, bare = frame.get_3d_markers()
        np.testing.assert_array_equal(np.array([[m.x, m.y, m.z] for m in bare], np.float32), truth[:, :3])
        assert frame.timestamp == (frame.framenumber - 1) * 10_000
        _, skeletons = frame.get_skeletons()
        ids, pose = emulator.scene.skeleton(frame.framenumber - 1)
        assert [segment[0] for segment in skeletons[0]] == ids
        got = np.array([[*position, *rotation] for _, position, rotation in skeletons[0]], np.float32)
        np.testing.assert_array_equal(got, pose)
        found = frame.get_force()
        if found is not None:
            ((plate, forces),) = found[1]
            assert plate.id == 1
            expected = emulator.scene.force(plate.force_number, len(forces), 1000.0)
            np.testing.assert_array_equal(np.array(forces, np.float32), expected)
            plates += 1
    assert plates > 10


def test_our_driver_reads_the_same_values() -> None:
    emulator = emulated(period=False, hidden=0.2)
    with reading(emulator, components=("markers", "analog")) as driver:
        frames, *_ = asyncio.run(_frames(emulator.rig_options()["base_port"] + 1, 60))
        last = frames[-1].framenumber
        came = read_until(
            driver, lambda came: samples(came, "markers") > 0 and came["markers"][-1].counters[-1] >= last
        )
    ours = dict(zip(counters(came["markers"]).tolist(), values(came["markers"]), strict=True))
    order = np.argsort(JOINTS)
    compared = 0
    for frame in frames:
        if frame.framenumber in ours:
            _, markers = frame.get_3d_markers_residual()
            theirs = np.array([[m.x, m.y, m.z, m.residual] for m in markers], np.float32)[order]
            row = ours[frame.framenumber]
            np.testing.assert_array_equal(row[:63].reshape(21, 3), theirs[:, :3] * np.float32(0.001))
            np.testing.assert_array_equal(row[63:], theirs[:, 3])
            compared += 1
    assert compared >= 50

    measured = dict(zip(counters(came["analog"]).tolist(), values(came["analog"]), strict=True))
    compared = 0
    for found in filter(None, (frame.get_analog() for frame in frames)):
        for channel, (_, first, theirs) in enumerate(found[1]):
            for place, value in enumerate(theirs.samples):
                if first.sample_number + place in measured:
                    assert measured[first.sample_number + place][channel] == np.float32(value)
                    compared += 1
    assert compared > 1000
