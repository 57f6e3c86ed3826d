"""The driver reads what the emulated QTM measured: values, counts, losses, over TCP and UDP."""

from __future__ import annotations

import numpy as np
import pytest
from emulated_qtm import CLOCK, Streams, counters, emulated, read_until, reading, samples, texts, values

from calibration.markers import joints_from_markers, match_markers, packaged_map
from drivers.driver import TakeStart
from drivers.emulators.emulator import serving
from drivers.emulators.qtm import QtmEmulator
from drivers.qualisys.qtm import Qtm
from lab.errors import DeviceError
from lab.joints import JOINTS
from lab.marker_map import MarkerMap
from lab.streams import Channel, Chunk

ALL = ("markers", "skeleton", "analog", "force")


def frames_of(emulator: QtmEmulator, chunks: list[Chunk]) -> np.ndarray:
    """Return what the emulator measured in the frames of chunks: (frames, 21, 4), mm."""
    return np.array([emulator.scene.markers(int(count) - 1).copy() for count in counters(chunks)])


@pytest.mark.slow
@pytest.mark.parametrize("udp", [False, True])
def test_every_stream_has_what_was_measured(udp: bool) -> None:
    emulator = emulated(plates=1, hidden=0.1, split_udp=True)
    with reading(emulator, components=ALL, udp=udp) as driver:
        specs = {spec.name: spec for spec in driver.streams()}
        came = read_until(driver, lambda came: samples(came, "markers") >= 120 and samples(came, "analog") > 1000)
    assert set(came) == set(specs) == {*ALL, "events"}

    measured = frames_of(emulator, came["markers"])
    assert np.isnan(measured).any()
    order = np.argsort(JOINTS)
    got = values(came["markers"])
    assert [channel.label for channel in specs["markers"].channels[:3]] == ["head_X", "head_Y", "head_Z"]
    np.testing.assert_allclose(got[:, :63].reshape(-1, 21, 3), measured[:, order, :3] / 1000, rtol=1e-6, equal_nan=True)
    np.testing.assert_array_equal(got[:, 63:], measured[:, order, 3])
    assert specs["markers"].channels[63] == Channel("head_residual", "millimeters", "Residual", "head")

    pose = values(came["skeleton"]).reshape(-1, 21, 7)
    expected = np.array([emulator.scene.skeleton(int(count) - 1)[1] for count in counters(came["skeleton"])])
    np.testing.assert_allclose(pose[:, :, :3], expected[:, :, :3] / 1000, rtol=1e-6, equal_nan=True)
    np.testing.assert_array_equal(pose[:, :, 3:], expected[:, :, [6, 3, 4, 5]])  # A is the real part
    assert specs["skeleton"].content_type == "Skeleton"  # beside markers, of which the pose is made
    assert [channel.type for channel in specs["skeleton"].channels[3:7]] == [f"Orientation{axis}" for axis in "ABCD"]

    assert specs["analog"].content_type == "EMG"
    assert {channel.unit for channel in specs["analog"].channels} == {"volts"}
    assert 1e-6 < np.std(values(came["analog"])) < 1e-3
    np.testing.assert_allclose(values(came["force"])[:, 6:], [[120, -35, 0]] * samples(came, "force"))
    for name in ALL:
        assert (np.diff(counters(came[name])) == 1).all(), name
    frames = came["markers"]
    assert [round(chunk.device_time_s * 100) for chunk in frames] == [chunk.counters[-1] - 1 for chunk in frames]
    assert np.isnan([chunk.device_time_s for chunk in came["analog"] + came["force"]]).all()
    assert all(channel.unit and channel.type for spec in specs.values() for channel in spec.channels)


@pytest.mark.parametrize("udp", [False, True])
def test_frames_that_were_never_sent_are_missing_and_no_other(udp: bool) -> None:
    lost = (40, 41, 90, 120)
    with reading(emulated(rate_hz=200.0, lose=lost), udp=udp) as driver:
        came = read_until(driver, lambda came: bool(came["markers"]) and came["markers"][-1].counters[-1] > 160)
    count = counters(came["markers"])
    assert count[0] < 40
    assert set(range(count[0], count[-1] + 1)) - set(count.tolist()) == {number + 1 for number in lost}
    assert len(set(count.tolist())) == len(count)


def test_values_are_those_of_the_stage_at_their_time() -> None:
    emulator = emulated(drift_ppm=200.0)
    with reading(emulator) as driver:
        came = read_until(driver, lambda came: samples(came, "markers") >= 50)
    host_s = emulator.start_s + (counters(came["markers"]) - 1) / 100.0 / (1 + 200e-6)
    truth_m = emulator._stage.joints_m(host_s)[:, np.argsort(JOINTS)]
    np.testing.assert_allclose(values(came["markers"])[:, :63].reshape(-1, 21, 3), truth_m, atol=1e-6)


def test_the_count_runs_over_its_end() -> None:
    with reading(emulated(first_frame=2**32 - 30)) as driver:
        came = read_until(driver, lambda came: samples(came, "markers") >= 60)
    count = counters(came["markers"])
    assert (np.diff(count) == 1).all()
    assert count[0] < 2**32 < count[-1]


def test_a_packet_in_small_pieces_beside_a_large_one_that_nobody_knows() -> None:
    with reading(emulated(piece_bytes=977, padding_bytes=200_000, rate_hz=50.0)) as driver:
        came = read_until(driver, lambda came: samples(came, "markers") >= 30)
    assert (np.diff(counters(came["markers"])) == 1).all()
    remark, state = texts(came["events"])
    assert remark.startswith("remark: QTM at ")
    assert state == "state: connected"


def test_skeletons_alone_are_the_pose_and_old_versions_list_them_flat() -> None:
    with reading(emulated(newest_version=20), components=("skeleton",)) as driver:
        (spec, _) = driver.streams()
        assert spec.content_type == "MoCap"
        assert spec.details["protocol_version"] == "1.20"
        came = read_until(driver, lambda came: samples(came, "skeleton") >= 10)
    positions = [index for index, channel in enumerate(spec.channels) if channel.type.startswith("Position")]
    names = tuple(dict.fromkeys(spec.channels[index].marker for index in positions))
    pose = values(came["skeleton"])[:, positions].reshape(-1, 21, 3)
    np.testing.assert_array_equal(joints_from_markers(names, pose, "meters", MarkerMap.identity()), pose)


def test_y_up_is_said_and_a_map_turns_it() -> None:
    emulator = emulated(y_up=True)
    with reading(emulator, residuals=False) as driver:
        assert any('up_axis = "y"' in remark for remark in driver.remarks)
        (spec, _) = driver.streams()
        assert spec.details["axis_up"] == "+Y"
        assert len(spec.channels) == 63
        came = read_until(driver, lambda came: samples(came, "markers") >= 10)
    labels = tuple(dict.fromkeys(channel.marker for channel in spec.channels))
    turned = MarkerMap(name="y", up_axis="y", joints={joint: {joint: 1.0} for joint in JOINTS})
    joints_m = joints_from_markers(labels, values(came["markers"]).reshape(-1, 21, 3), "meters", turned)
    truth_m = emulator._stage.joints_m(emulator.scene.host_s((counters(came["markers"]) - 1) / 100.0))
    np.testing.assert_allclose(joints_m, truth_m, atol=1e-6)


def test_the_subjects_prefix_is_left_out_and_a_packaged_map_fits() -> None:
    joints = packaged_map("qualisys_animation").joints
    names = tuple(dict.fromkeys(marker for weights in joints.values() for marker in weights))
    emulator = emulated(extra_markers=len(names) + 1 - len(JOINTS))
    emulator.labels = (*(f"VF_{name}" for name in names), "Table - 1")
    with reading(emulator, prefix="VF_") as driver:
        labels = tuple(dict.fromkeys(channel.marker for channel in driver.streams()[0].channels))
    assert match_markers(labels, packaged_map("qualisys_animation")).unused == ("Table - 1",)
    assert "begins with 'S12_'" in str(opening_fails(emulator, prefix="S12_", wait_s=0))


def opening_fails(emulator: QtmEmulator, **options: object) -> DeviceError:
    with serving(emulator) as reach:
        driver = Qtm(Qtm.Config.model_validate({**reach, **options}), CLOCK)
        with pytest.raises(DeviceError) as caught:
            driver.open()
    return caught.value


def test_unnumbered_frames_are_counted_on_the_host_and_it_is_said() -> None:
    with reading(emulated(numbered=False), components=("markers", "analog")) as driver:
        assert any("does not number its frames" in remark for remark in driver.remarks)
        origins = {spec.name: spec.counter_origin for spec in driver.streams()}
        came = read_until(driver, lambda came: samples(came, "markers") >= 20)
    assert (origins["markers"], origins["analog"]) == ("host", "device")
    assert counters(came["markers"])[:5].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("emg", "kinds"),
    [(None, ["EMG"] * 4), ((), ["Analog"] * 4), (("EMG 2", "EMG [34]"), ["Analog", "EMG", "EMG", "EMG"])],
)
def test_the_rig_says_what_is_semg(emg: tuple[str, ...] | None, kinds: list[str]) -> None:
    with reading(emulated(analog_channels=4), components=("analog",), emg=emg) as driver:
        (spec, _) = driver.streams()
    assert [channel.type for channel in spec.channels] == kinds
    assert spec.content_type == ("EMG" if "EMG" in kinds else "Analog")


def test_what_is_left_out_is_said() -> None:
    with reading(emulated(plates=2)) as driver:
        assert any("skeleton, analog, force" in remark for remark in driver.remarks)


def test_it_opens_again_and_goes_on_counting() -> None:
    with serving(emulated()) as reach:
        driver = Qtm(Qtm.Config.model_validate(reach), CLOCK)
        last = 0
        for _ in range(3):
            driver.open()
            driver.start(TakeStart("mocap", CLOCK.now_s()))
            came: Streams = read_until(driver, lambda came: samples(came, "markers") >= 5)
            assert counters(came["markers"])[0] > last
            last = counters(came["markers"])[-1]
        driver.close()
        driver.close()
