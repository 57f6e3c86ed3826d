"""An emulated network camera through the whole recorder: every picture that is kept is the one its record speaks of."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from pictures import number_in

from drivers.emulators.emulator import serving
from drivers.emulators.network_camera import EmulatedNetworkCamera, EmulatedNetworkCameraConfig
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.simulated.barcode import read_barcode
from storage.frame_records import read_frame_records
from storage.video_reader import packets, read_video_index

RIG = """name = "one network camera"
wait_s = 60.0
[[device]]
name = "mocap"
driver = "simulated.mocap"
repetitions = 2
latency_s = 0.008
delay_s = 0.008
[[device]]
name = "view1"
driver = "camera.network"
url = "{url}"
rate_hz = 30
stall_s = 2.0
latency_s = 0.04
"""


def record(flex_capture: Callable[..., Any], tmp_path: Path, **options: Any) -> tuple[Any, Path, EmulatedNetworkCamera]:
    config = EmulatedNetworkCameraConfig.model_validate({"width": 320, "height": 240, **options})
    emulator = EmulatedNetworkCamera(config, Stage(StageConfig(), LslClock().now_s()))
    out = tmp_path / "flex-data"
    with serving(emulator) as rig:
        path = tmp_path / "rig.toml"
        path.write_text(RIG.format(url=rig["url"]), encoding="utf-8")
        asked = ("--subject", "S12", "--rig", path, "--reps", 2, "--yes", "--out", out, "--duration", 20)
        done = flex_capture("record", *asked)
    (take,) = (out / "raw").glob("*/*/*")
    return done, take, emulator


def check_view(take: Path, emulator: EmulatedNetworkCamera) -> Any:
    """Match every frame of the video with its record: number, time, bytes. Return the records."""
    records = read_frame_records(take / "view1.frames").rows
    index = read_video_index(take / "view1.mov")
    assert index.codec == "mjpeg"
    assert (index.pts_us == records["pts_us"]).all()
    for row, (_, data) in zip(records, packets(take / "view1.mov", 0, len(records) - 1, index), strict=True):
        assert row["size"] == len(data)
        number = number_in(data)
        assert row["device_time_s"] == pytest.approx(emulator.device_time_s(number), abs=2e-6)
        assert row["arrival_s"] > emulator.exposure_s(number)
    return records


@pytest.mark.slow
def test_a_take_with_an_emulated_network_camera(flex_capture: Callable[..., Any], tmp_path: Path) -> None:
    done, take, emulator = record(flex_capture, tmp_path)
    assert done.code in {0, 1}, done.err  # 1 where a busy computer made the emulated camera late
    records = check_view(take, emulator)
    assert (np.diff(records["frame_id"]) == 1).all()
    assert len(records) > 15 * 20
    said = json.loads((take / "take.json").read_text(encoding="utf-8"))
    assert "camera.network" in json.dumps(said)
    assert flex_capture("verify", tmp_path / "flex-data").code == 0
    assert flex_capture("validate", tmp_path / "flex-data" / "dataset").code == 0
    clips = sorted((tmp_path / "flex-data" / "dataset").rglob("rep_*_view1.mov"))
    assert len(clips) == 2
    index = read_video_index(clips[0])
    images = [data for _, data in packets(clips[0], 0, len(index.pts_us) - 1, index)]
    numbers = [read_barcode(simplejpeg.decode_jpeg(image, colorspace="BGR")) for image in images]
    assert all(later > earlier for earlier, later in itertools.pairwise(numbers))


@pytest.mark.slow
def test_a_camera_that_hangs_up_in_the_take_comes_back_as_one_view(
    flex_capture: Callable[..., Any], tmp_path: Path
) -> None:
    done, take, emulator = record(flex_capture, tmp_path, hang_up_after_s=14.0)
    assert done.code == 3, done.out  # a device failed; what there is is kept and processed
    assert "closed the connection" in done.out + done.err
    records = check_view(take, emulator)
    gap_s = np.diff(records["device_time_s"]).max()
    assert 1.0 < gap_s < 15.0  # connecting and looking at the first frames
    assert (np.diff(records["frame_id"]) < 0).sum() == 1  # it counts anew
    assert flex_capture("verify", tmp_path / "flex-data").code == 0
