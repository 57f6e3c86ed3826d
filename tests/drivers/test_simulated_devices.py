from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import simplejpeg

from drivers.driver import Driver, EndOfStream, TakeStart
from drivers.host_clock import VirtualClock
from drivers.registry import find_driver
from drivers.simulated.athlete import ACTIVATION_LABELS, Athlete
from drivers.simulated.barcode import read_barcode
from drivers.simulated.camera import SimulatedCamera, SimulatedCameraConfig
from lab.joints import JOINT_INDEX, JOINTS
from lab.streams import FRAME_LABELS, Chunk, Frame

SEED = 11
T0_S = 1000.5


def played(kind: str, device: str = "dev", until_s: float = 1e9, **options: Any) -> Iterator[Chunk | Frame]:
    driver_class = find_driver(kind)
    driver: Driver = driver_class(driver_class.Config(seed=SEED, **options), VirtualClock())
    driver.open()
    driver.start(TakeStart(device, T0_S))
    try:
        while True:
            one = driver.read()
            if one is not None:
                if one.arrival_s > T0_S + until_s:
                    return
                yield one
    except EndOfStream:
        return
    finally:
        driver.close()


def values_of(kind: str, **options: Any) -> np.ndarray[Any, Any]:
    return np.concatenate([one.values for one in played(kind, **options) if isinstance(one, Chunk)])


@pytest.fixture(scope="module")
def emg() -> np.ndarray[Any, Any]:
    return values_of("simulated.emg", repetitions=3, drift_ppm=0.0).astype(np.float64)


def test_streams_describe_themselves() -> None:
    for kind, content_type, channels, rate_hz in (
        ("simulated.mocap", "MoCap", 63, 100.0),
        ("simulated.emg", "EMG", 16, 2000.0),
        ("simulated.vest", "Physio", 2, 1.0),
        ("simulated.camera", "VideoCompressed", 5, 30.0),
    ):
        driver_class = find_driver(kind)
        driver = driver_class(driver_class.Config(), VirtualClock())
        driver.open()
        (spec,) = driver.streams()
        driver.close()
        assert (spec.name, spec.content_type, len(spec.channels), spec.rate_hz) == ("", content_type, channels, rate_hz)
        assert spec.simulated
        assert spec.manufacturer == "flex-capture"
        assert spec.model.startswith("simulated ")
        assert spec.serial
        assert spec.details["seed"] == "1"
        labels = [channel.label for channel in spec.channels]
        assert len(set(labels)) == len(labels)
        if kind == "simulated.camera":
            assert tuple(labels) == FRAME_LABELS
            assert spec.format == "double64"
            assert spec.video is not None
            assert (spec.video.codec, spec.video.width, spec.video.height) == ("mjpeg", 1280, 720)
        else:
            assert spec.format == "float32"
            assert spec.video is None
        if kind == "simulated.mocap":
            assert labels[:4] == ["head_X", "head_Y", "head_Z", "neck_X"]
            assert spec.channels[-1].type == "PositionZ"
            assert spec.channels[-1].unit == "meters"
            assert [channel.marker for channel in spec.channels[::3]] == list(JOINTS)
        if kind == "simulated.emg":
            assert tuple(labels) == ACTIVATION_LABELS
            assert {(channel.unit, channel.type) for channel in spec.channels} == {("microvolts", "EMG")}
        if kind == "simulated.vest":
            assert labels == ["heart_rate", "breath_rate"]
            assert [channel.type for channel in spec.channels] == ["HeartRate", "BreathRate"]


def test_mocap_is_the_athlete_with_a_third_of_a_millimetre_of_noise() -> None:
    pose = values_of("simulated.mocap", repetitions=1, drift_ppm=0.0).reshape(-1, 21, 3)
    exact = Athlete(SEED, repetitions=1).joints_m(np.arange(len(pose)) / 100.0)
    noise = pose - exact
    assert np.abs(noise.mean()) < 2e-5
    assert 0.00028 < noise.std() < 0.00032
    assert np.abs(noise).max() < 0.002


@pytest.mark.parametrize("chunk", [7, 200])
def test_mocap_does_not_depend_on_the_packet_size(chunk: int) -> None:
    one = values_of("simulated.mocap", repetitions=1)
    np.testing.assert_array_equal(one, values_of("simulated.mocap", repetitions=1, chunk_samples=chunk))


def test_emg_does_not_depend_on_the_packet_size(emg: np.ndarray[Any, Any]) -> None:
    other = values_of("simulated.emg", repetitions=3, drift_ppm=0.0, chunk_samples=1000)
    np.testing.assert_allclose(emg, other, rtol=0, atol=1e-3)


def test_emg_power_lies_between_20_and_450_hz(emg: np.ndarray[Any, Any]) -> None:
    from scipy.signal import welch

    turn = Athlete(SEED, repetitions=3).repetitions[0].turn_s
    active = emg[int(turn * 2000) : int((turn + 1.0) * 2000)]
    frequency, power = welch(active, fs=2000.0, nperseg=1000, axis=0)
    band = (frequency >= 20) & (frequency <= 450)
    share = power[band].sum(axis=0) / power.sum(axis=0)
    assert share.min() > 0.9
    # It is spread over the band, not a tone in it.
    assert (power[(frequency > 60) & (frequency < 400)].max(axis=0) / power[band].sum(axis=0)).max() < 0.2


def test_emg_envelope_follows_activation(emg: np.ndarray[Any, Any]) -> None:
    from scipy.signal import butter, sosfiltfilt

    athlete = Athlete(SEED, repetitions=3)
    activation = athlete.activation(np.arange(len(emg)) / 2000.0)
    envelope = sosfiltfilt(butter(4, 3.0, fs=2000.0, output="sos"), np.abs(emg), axis=0)
    for column, label in enumerate(ACTIVATION_LABELS):
        if "vastus" in label or "gluteus" in label or "erector" in label:
            assert np.corrcoef(envelope[:, column], activation[:, column])[0, 1] > 0.9, label
    # Channels are noise of their own, not copies.
    coupling = np.corrcoef(emg[: 3 * 2000].T) - np.eye(16)
    assert np.abs(coupling).max() < 0.2


def test_emg_amplitude_is_that_of_a_muscle(emg: np.ndarray[Any, Any]) -> None:
    athlete = Athlete(SEED, repetitions=3)
    column = ACTIVATION_LABELS.index("R vastus_lateralis")
    turn = athlete.repetitions[1].turn_s
    work = emg[int(turn * 2000) : int((turn + 0.5) * 2000), column].std()
    assert 80.0 < work < 500.0
    assert np.abs(emg).max() < 2500.0
    start = athlete.repetitions[0].start_s
    still = emg[int((start - 0.35) * 2000) : int((start - 0.1) * 2000)].std(axis=0)
    assert still.min() > 2.5
    assert still[column] < work / 5


def test_vest_follows_the_athlete_second_by_second() -> None:
    rates = values_of("simulated.vest")
    athlete = Athlete(SEED)
    heart, breath = athlete.rates_bpm(np.arange(len(rates)) / (1.0 + 60e-6))
    assert len(rates) == int(athlete.duration_s) + 1
    assert np.abs(rates[:, 0] - heart).max() < 4.0
    assert np.abs(rates[:, 1] - breath).max() < 1.5
    assert rates[-4, 0] > rates[0, 0] + 25
    np.testing.assert_array_equal(rates[:, 0], np.round(rates[:, 0]))


def test_devices_of_one_seed_have_noise_of_their_own() -> None:
    def lateness(kind: str, device: str) -> np.ndarray[Any, Any]:
        options = {"rate_hz": 50.0, "repetitions": 1, "jitter_s": 0.005, "drift_ppm": 0.0, "delay_s": 0.0}
        if kind == "simulated.camera":
            options |= {"width": 320, "height": 240}
        came = list(played(kind, device, until_s=1.0, **options))
        last = [one.frame_id if isinstance(one, Frame) else one.counters[-1] for one in came]
        return np.array([one.arrival_s for one in came]) - T0_S - np.array(last) / 50.0

    views = [lateness("simulated.camera", f"view{number}") for number in (1, 2)]
    mocap = lateness("simulated.mocap", "mocap")
    for one, other in ((views[0], views[1]), (views[0], mocap)):
        assert np.abs(one[:40] - other[:40]).max() > 1e-3
    # A name is of no matter to a device that is no view.
    np.testing.assert_array_equal(mocap, lateness("simulated.mocap", "other"))


CAMERAS: dict[str, dict[str, Any]] = {
    "view1": {"position_m": (0.9, 4.2, 1.4)},
    "view2": {"position_m": (4.2, -0.9, 1.4)},
    "view3": {"position_m": (-4.2, 0.9, 1.4)},
    "view4": {"position_m": (-0.9, -4.2, 1.4)},
    "view5": {"position_m": (0.35, 4.1, 1.45), "width": 720, "height": 1280, "focal_px": 1200.0},
}


@pytest.mark.parametrize("view", CAMERAS)
def test_mocap_and_the_views_show_the_same_moment(view: str) -> None:
    optics: dict[str, Any] = {"seed": SEED, "repetitions": 1, "rate_hz": 3.0, "drift_ppm": 0.0, **CAMERAS[view]}
    driver = SimulatedCamera(SimulatedCameraConfig(**optics), VirtualClock())
    pinhole = driver.pinhole
    mocap = values_of("simulated.mocap", repetitions=1, drift_ppm=0.0).reshape(-1, 21, 3)
    checked = 0
    for frame in played("simulated.camera", view, **{key: value for key, value in optics.items() if key != "seed"}):
        assert isinstance(frame, Frame)
        image = simplejpeg.decode_jpeg(frame.data, colorspace="BGR")
        assert image.shape == (pinhole.height, pinhole.width, 3)
        assert read_barcode(image) == frame.frame_id
        joints = mocap[min(round(frame.frame_id / 3.0 * 100.0), len(mocap) - 1)]
        for side, other in (("right", "left"), ("left", "right")):
            shank = 0.5 * joints[JOINT_INDEX[f"{side}_knee"]] + 0.5 * joints[JOINT_INDEX[f"{side}_ankle"]]
            (x, y), depth = pinhole.project(shank)
            hidden_by = 0.5 * joints[JOINT_INDEX[f"{other}_knee"]] + 0.5 * joints[JOINT_INDEX[f"{other}_ankle"]]
            if pinhole.project(hidden_by)[1] < depth - 0.05:
                continue  # the other leg may stand in front of it
            patch = image[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].reshape(-1, 3).mean(axis=0)
            blue, _, red = patch
            assert (red - blue if side == "right" else blue - red) > 60, (view, frame.frame_id, side, patch)
            checked += 1
    assert checked > 20


def test_a_view_says_that_it_is_simulated() -> None:
    frame = next(iter(played("simulated.camera", "view1", repetitions=1)))
    assert isinstance(frame, Frame)
    image = simplejpeg.decode_jpeg(frame.data, colorspace="BGR").astype(int)
    strip = image[650:710, 20:360]
    red = (strip[..., 2] > 180) & (strip[..., 0] < 110) & (strip[..., 1] < 110)
    assert 0.1 < red.mean() < 0.7
    assert frame.keyframe
    assert frame.data[:2] == b"\xff\xd8"
    assert frame.data[-2:] == b"\xff\xd9"
