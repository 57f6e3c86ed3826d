"""An independent client (`natnet` from PyPI) reads the emulated Motive: what it gets is what the stage did."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from natnet_bench import emulated

from drivers.emulators.emulator import serving
from drivers.emulators.natnet import NatNetEmulator
from lab.joints import JOINTS

natnet = pytest.importorskip("natnet", reason="natnet is not installed; it is in the extra 'test'")


def received(emulator: NatNetEmulator, count: int = 30) -> tuple[list[Any], list[Any], Any]:
    """Frames, descriptions and who answered, as the other client reads them."""
    frames: list[Any] = []
    models: list[Any] = []
    multicast = emulator._settings.transport == "multicast"
    with serving(emulator) as reach:
        client = natnet.NatNetClient(
            server_ip_address=reach["host"],
            local_ip_address="127.0.0.1",
            command_port=reach["command_port"],
            data_port=emulator.data_port,
            use_multicast=multicast,
        )
        client.on_data_frame_received_event.handlers.append(frames.append)
        client.on_data_description_received_event.handlers.append(models.append)
        with client:
            client.request_modeldef()
            end_s = time.monotonic() + 20
            while len(frames) < count or not models:
                client.update_sync()
                assert time.monotonic() < end_s
                time.sleep(0.01)
            info = client.server_info
    return frames, models, info


@pytest.mark.parametrize(
    ("version", "transport"),
    [("2.10", "unicast"), ("3.1", "unicast"), ("3.1", "multicast"), ("4.1", "unicast"), ("4.2", "multicast")],
)
def test_another_client_reads_the_emulated_motive(version: str, transport: str) -> None:
    emulator = emulated(version=version, transport=transport)
    frames, models, info = received(emulator)
    assert info.application_name == "Motive"
    assert str(info.nat_net_protocol_version).startswith(version)
    (description,) = models[:1]
    sets = {each.name: each.marker_names for each in description.marker_sets}
    assert sets["Athlete"] == JOINTS
    assert [body.name for body in description.rigid_bodies] == ["Barbell"]
    if version.startswith("4."):
        (asset,) = description.assets
        assert [marker.name for marker in asset.marker_descriptions] == list(JOINTS)
    else:
        (skeleton,) = description.skeletons
        assert [body.name for body in skeleton.rigid_body_descriptions] == ["Hip", "Chest", "Head"]
    numbers = np.array([frame.prefix.frame_number for frame in frames])
    assert (np.diff(numbers) == 1).all()
    exposure_s = emulator.exposure_s(numbers - 1000)
    truth_m = emulator._stage.joints_m(exposure_s)
    for index, frame in enumerate(frames):
        joints = {marker.marker_id: marker.pos for marker in frame.labeled_markers if marker.model_id == 1}
        np.testing.assert_allclose([joints[place] for place in range(1, 22)], truth_m[index], atol=1e-6)
        (body,) = frame.rigid_bodies
        assert (body.id_num, body.tracking_valid) == (7, True)
        np.testing.assert_allclose(
            body.pos, truth_m[index][[JOINTS.index("left_hand"), JOINTS.index("right_hand")]].mean(axis=0), atol=1e-6
        )
    if version.startswith("2."):
        return  # it reads the software latency of 2.x as the time code, and the times behind it four bytes off
    ticks = np.array([frame.suffix.stamp_camera_mid_exposure for frame in frames])
    np.testing.assert_allclose(ticks / 1e7, emulator.server_s(exposure_s), atol=2e-7)
    np.testing.assert_allclose([frame.suffix.timestamp for frame in frames], (numbers - 1000) / 120)


def test_what_is_known_of_the_other_client_still_holds() -> None:
    """From 4.1 it does not step over the precision time: its flags are the first bytes of that. Ours are the flags."""
    frames, _, _ = received(emulated(version="4.1"), 3)
    assert {frame.suffix.param for frame in frames} == {1_700_000_000 & 0xFFFF}
    frames, _, _ = received(emulated(version="3.1"), 3)
    assert {frame.suffix.param for frame in frames} == {0}
