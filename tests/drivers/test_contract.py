"""The contract every driver that plays by itself keeps; test_wired_contract.py has the others."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from pydantic import ValidationError

from drivers.driver import Driver, EndOfStream, TakeStart
from drivers.host_clock import VirtualClock
from drivers.registry import BUILT_IN, find_driver
from lab.errors import DeviceError, RigError
from lab.streams import CLOCK_LABELS, COUNTER_LABEL, FRAME_LABELS, Channel, Chunk, Frame, VideoFormat
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter

T0_S = 2000.0


def _trc(folder: Path) -> Path:
    path = folder / "a.trc"
    rows = [f"{frame + 1}\t{frame / 100}\t{frame / 10}\t1.5\t-2" for frame in range(50)]
    head = [
        "PathFileType\t4\t(X/Y/Z)\ta.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        "100\t100\t50\t1\tm\t100\t1\t50",
        "Frame#\tTime\tLASI\t\t",
        "\t\tX1\tY1\tZ1",
    ]
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
    return path


def _c3d(folder: Path) -> Path:
    import c3d

    path = folder / "a.c3d"
    writer = c3d.Writer(point_rate=100, analog_rate=1000)
    writer.set_point_labels(["LASI", "RASI"])
    writer.set_analog_labels(["EMG1", "EMG2"])
    writer.set_analog_scales([1.0, 1.0])
    writer.set_analog_offsets([0, 0])
    writer.get("ANALOG").add_str("UNITS", "Analog units.", "V   V   ", 4, 2)
    frames = np.empty((50, 2), dtype=object)  # c3d stacks the pairs, which have different shapes
    for frame in range(50):
        frames[frame] = [np.full((2, 5), frame + 1.0), np.full((2, 10), frame + 1.0)]
    writer.add_frames(frames)
    with path.open("wb") as handle:
        writer.write(handle)
    return path


def _csv(folder: Path) -> Path:
    path = folder / "a.csv"
    path.write_text("n,emg\n" + "".join(f"{number},{number * 3}\n" for number in range(400)), encoding="utf-8")
    return path


def _video(folder: Path) -> Path:
    from storage.video_writer import VideoWriter

    path = folder / "a.mov"
    path.unlink(missing_ok=True)
    writer = VideoWriter(path, VideoFormat("mjpeg", 64, 48), 30.0)
    for number in range(20):
        writer.write(simplejpeg.encode_jpeg(np.full((48, 64, 3), number * 10, np.uint8), 85), number * 33_333)
    writer.close()
    return path


def _xdf(folder: Path) -> Path:
    path = folder / "a.xdf"
    path.unlink(missing_ok=True)
    writer = XdfWriter(path)
    samples = (Channel("a", "microvolts", "EMG"), Channel(COUNTER_LABEL, "count", "Counter"))
    flex = {"version": "1", "device": "emg", "stream": "emg", "counter_origin": "device", "counter_modulus": "16777216"}
    writer.stream_header(1, build_header("emg", "EMG", samples, 100.0, "float32", flex_capture=flex))
    clock = tuple(Channel(label, "s", "Clock") for label in CLOCK_LABELS)
    writer.stream_header(2, build_header("emg.clock", "Clock", clock, 0.0, "double64"))
    writer.stream_header(3, build_header("cues", "Markers", (Channel("text", "text", "Marker"),), 0.0, "string"))
    for first in range(0, 200, 10):
        counts = np.arange(first, first + 10)
        arrival_s = 50 + counts[-1] / 100
        writer.samples(1, 50 + counts / 100, np.stack([counts * 2, counts], axis=1).astype(np.float32))
        writer.samples(2, [arrival_s], np.array([[counts[-1], arrival_s, counts[-1] / 100]]))
        writer.samples(3, [arrival_s], [[f"cue {first}"]])
    writer.close()
    return path


OPTIONS: dict[str, Callable[[Path], dict[str, object]]] = {
    "simulated.mocap": lambda folder: {"repetitions": 1},
    "simulated.emg": lambda folder: {"repetitions": 1},
    "simulated.vest": lambda folder: {"repetitions": 1},
    "simulated.camera": lambda folder: {"repetitions": 1, "width": 320, "height": 240, "focal_px": 250.0},
    "replay.trc": lambda folder: {"file": str(_trc(folder))},
    "replay.c3d": lambda folder: {"file": str(_c3d(folder)), "emg": ["EMG*"]},
    "replay.csv": lambda folder: {
        "file": str(_csv(folder)),
        "columns": ["emg"],
        "counter": "n",
        "rate_hz": 1000.0,
        "content_type": "EMG",
        "unit": "microvolts",
    },
    "replay.xdf": lambda folder: {"file": str(_xdf(folder))},
    "replay.video": lambda folder: {"file": str(_video(folder))},
}


@pytest.fixture(params=sorted(OPTIONS))
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    kind = find_driver(request.param)
    made = kind(kind.Config.model_validate(OPTIONS[request.param](tmp_path)), VirtualClock(T0_S - 5))
    yield made
    made.close()


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_configs_are_frozen_closed_and_described(name: str, tmp_path: Path) -> None:
    config_class = find_driver(name).Config
    assert all(field.description for field in config_class.model_fields.values())
    config = config_class.model_validate(OPTIONS[name](tmp_path))
    with pytest.raises(ValidationError):
        config_class.model_validate({**OPTIONS[name](tmp_path), "no_such_option": 1})
    with pytest.raises(ValidationError):
        setattr(config, next(iter(config_class.model_fields)), None)
    assert config_class.model_validate(config.model_dump()) == config


def test_metadata_is_complete(driver: Driver) -> None:
    driver.open()
    specs = driver.streams()
    assert specs
    assert len({spec.name for spec in specs}) == len(specs)
    for spec in specs:
        assert spec.content_type
        assert spec.channels
        assert spec.rate_hz > 0 or not spec.counted
        labels = [channel.label for channel in spec.channels]
        assert len(set(labels)) == len(labels)
        assert COUNTER_LABEL not in labels
        assert "clock" not in spec.name
        if spec.video is not None:
            assert tuple(labels) == FRAME_LABELS
            assert spec.format == "double64"
            assert min(spec.video.width, spec.video.height) > 0
        else:
            assert all(channel.unit and channel.type for channel in spec.channels)
    assert driver.streams() == specs


def test_pieces_fit_what_was_announced_and_counters_advance(driver: Driver) -> None:
    driver.open()
    specs = {spec.name: spec for spec in driver.streams()}
    driver.start(TakeStart("device", T0_S))
    last: dict[str, int] = {}
    last_arrival_s = -np.inf
    seen = 0
    try:
        while seen < 200:
            piece = driver.read()
            if piece is None:
                continue
            seen += 1
            spec = specs[piece.stream]
            assert piece.arrival_s >= max(last_arrival_s, T0_S)
            last_arrival_s = piece.arrival_s
            if isinstance(piece, Frame):
                assert spec.video is not None
                assert piece.data[:2] == b"\xff\xd8"
                counters = np.array([piece.frame_id])
            else:
                assert isinstance(piece, Chunk)
                assert piece.values.shape == (len(piece.counters), len(spec.channels))
                assert len(piece.counters) > 0
                assert piece.counters.dtype == np.int64
                formats = {"float32": np.float32, "double64": np.float64, "string": object}
                assert piece.values.dtype == formats[spec.format]
                assert spec.counted or spec.format == "string"
                counters = piece.counters
            assert (np.diff(counters) > 0).all()
            assert counters[0] > last.get(piece.stream, -1)
            last[piece.stream] = int(counters[-1])
    except EndOfStream:
        with pytest.raises(EndOfStream):
            driver.read()
    assert seen > 5
    assert set(last) == set(specs)


def test_before_a_take_nothing_comes_and_closing_is_always_right(driver: Driver) -> None:
    threads = set(threading.enumerate())
    driver.close()
    driver.open()
    assert driver.read() is None
    driver.close()
    driver.close()
    assert set(threading.enumerate()) == threads


def test_two_takes_in_a_row_begin_anew(driver: Driver) -> None:
    driver.open()
    first = []
    for t0_s in (T0_S, T0_S + 500):
        driver.start(TakeStart("device", t0_s))
        piece = next(piece for piece in iter(driver.read, object()) if piece is not None)
        assert piece.arrival_s >= t0_s
        first.append(piece)
    one, two = first
    if isinstance(one, Chunk):
        assert isinstance(two, Chunk)
        assert one.counters[0] == two.counters[0]
    else:
        assert isinstance(two, Frame)
        assert one.frame_id == two.frame_id


@pytest.mark.parametrize("name", [name for name in sorted(BUILT_IN) if name.startswith("replay.")])
def test_a_missing_file_is_one_sentence(name: str, tmp_path: Path) -> None:
    kind = find_driver(name)
    options = {**OPTIONS[name](tmp_path), "file": str(tmp_path / "nothing.here")}
    missing = kind(kind.Config.model_validate(options), VirtualClock())
    with pytest.raises(DeviceError, match=r"nothing\.here") as caught:
        missing.open()
    assert len(caught.value.problems) == 1
    missing.close()


def test_an_unknown_driver_names_those_there_are() -> None:
    with pytest.raises(RigError) as caught:
        find_driver("vendor.nothing")
    assert all(name in str(caught.value) for name in itertools.islice(BUILT_IN, 3))
