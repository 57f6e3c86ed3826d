"""C3D files that were written here, read by this reader, by the c3d package and by ezc3d."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import FileFormatError, LayoutError
from lab.joints import JOINTS
from lab.repetitions import Repetition
from storage.c3d_file import C3dFile, read_c3d
from storage.c3d_writer import C3dEvent, c3d_bytes
from storage.flex.read_signals import StoredSignal
from storage.take_c3d import c3d_events, c3d_of


def content_of(frames=7, points=3, channels=2, per_frame=20, seed=1):
    rng = np.random.default_rng(seed)
    positions = rng.normal(900, 400, (frames, points, 3)).astype(np.float32)
    return C3dFile(
        rate_hz=100.0,
        first_frame=1,
        labels=tuple(f"joint{number}" for number in range(points)),
        units="mm",
        positions=positions,
        analog_rate_hz=100.0 * per_frame if channels else 0.0,
        analog_labels=tuple(f"muscle{number}" for number in range(channels)),
        analog_units=("V",) * channels,
        analog=rng.normal(0, 1e-4, (frames * per_frame, channels)).astype(np.float32).astype(np.float64),
        manufacturer="someone",
        software="something 1.0",
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 30), st.integers(0, 25), st.integers(0, 20), st.integers(1, 30), st.integers(0, 99))
def test_what_is_written_is_read_back(tmp_path, frames, points, channels, per_frame, seed):
    if points + channels == 0:
        return
    content = content_of(frames, points, channels, per_frame, seed)
    absent = np.random.default_rng(seed).random((frames, points)) < 0.2
    content.positions[absent] = np.nan
    path = tmp_path / "written.c3d"
    path.write_bytes(c3d_bytes(content, [C3dEvent("turn", 0.01)], {"TAKE_ID": "x"}))
    back = read_c3d(path)
    assert np.array_equal(back.positions, content.positions, equal_nan=True)
    assert np.array_equal(back.analog, content.analog) if channels else back.analog_rate_hz == 0
    for name in ("rate_hz", "first_frame", "labels", "analog_rate_hz", "analog_labels", "analog_units", "software"):
        assert getattr(back, name) == getattr(content, name), name
    assert path.stat().st_size % 512 == 0
    assert path.read_bytes() == c3d_bytes(content, [C3dEvent("turn", 0.01)], {"TAKE_ID": "x"})


def write(tmp_path: Path, content: C3dFile, events=()) -> Path:
    path = tmp_path / "written.c3d"
    path.write_bytes(c3d_bytes(content, events, {"TAKE_ID": "S12", "SIMULATED": "yes"}))
    return path


def test_ezc3d_reads_every_value_and_event(tmp_path):
    ezc3d = pytest.importorskip("ezc3d", reason="ezc3d, an independent reader, is not installed")
    content = content_of(frames=50)
    content.positions[10:13, 1] = np.nan
    content.analog[40:60, 1] = np.nan
    events = (C3dEvent("start", 0.0), C3dEvent("turn", 0.2531, "repetition 1"), C3dEvent("end", 75.5))
    read = ezc3d.c3d(str(write(tmp_path, content, events)))
    points, analogs = read["data"]["points"], read["data"]["analogs"]
    assert np.array_equal(points[:3].transpose(2, 1, 0).astype(np.float32), content.positions, equal_nan=True)
    assert np.array_equal(read["data"]["meta_points"]["residuals"][0].T < 0, np.isnan(content.positions[:, :, 0]))
    assert np.array_equal(analogs[0].T, content.analog, equal_nan=True)
    parameters = read["parameters"]
    analog = parameters["ANALOG"]
    assert (analog["SCALE"]["value"].tolist(), analog["OFFSET"]["value"].tolist()) == ([1.0, 1.0], [0, 0])
    assert (analog["GEN_SCALE"]["value"][0], analog["RATE"]["value"][0]) == (1.0, 2000.0)
    assert parameters["POINT"]["UNITS"]["value"] == ["mm"]
    assert parameters["POINT"]["LABELS"]["value"] == list(content.labels)
    assert parameters["EVENT"]["LABELS"]["value"] == ["start", "turn", "end"]
    assert parameters["EVENT"]["TIMES"]["value"].tolist() == [[0, 0, 1], pytest.approx([0, 0.2531, 15.5])]
    assert parameters["FLEX_CAPTURE"]["SIMULATED"]["value"] == ["yes"]


def test_the_c3d_package_reads_every_value(tmp_path):
    import c3d

    content = content_of(frames=50, points=21, channels=16)
    content.positions[10:13, 1] = np.nan
    with write(tmp_path, content).open("rb") as file:
        reader = c3d.Reader(file)
        frames = [(points.copy(), analog.copy()) for _, points, analog in reader.read_frames()]
    points = np.stack([points for points, _ in frames])
    assert np.array_equal(points[:, :, 3] < 0, np.isnan(content.positions[:, :, 0]))
    seen = points[:, :, 3] >= 0
    assert np.array_equal(points[seen][:, :3], content.positions[seen])
    assert np.allclose(np.concatenate([analog.T for _, analog in frames]), content.analog, rtol=1e-6)
    assert [label.strip() for label in reader.analog_labels] == list(content.analog_labels)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"positions": np.zeros((65_536, 1, 3), np.float32), "labels": ("a",)}, "at most 65,535 frames"),
        ({"positions": np.zeros((7, 256, 3), np.float32), "labels": ("a",) * 256}, "at most 255 points"),
        ({"positions": np.zeros((0, 3, 3), np.float32), "analog": np.zeros((0, 2))}, "neither points nor analog"),
        ({"analog_rate_hz": 1999.0}, "no whole multiple"),
        ({"analog": np.zeros((139, 2))}, "do not fill"),
        ({"analog_rate_hz": 1e9, "analog": np.zeros((70_000_000, 0)), "analog_labels": ("a",)}, "do not fill"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(changes, said):
    content = content_of()
    if len(changes.get("positions", content.positions)) == 65_536:
        changes = changes | {"analog_labels": (), "analog_units": ()}
    with pytest.raises(FileFormatError, match=said):
        c3d_bytes(replace(content, **changes))
    with pytest.raises(FileFormatError, match="at most 255 events"):
        c3d_bytes(content, [C3dEvent("x", 0.0)] * 256)


def signal(values, rate_hz, time_s, labels, measured_hz=float("nan")):
    values = np.asarray(values, dtype=np.float32)
    return StoredSignal(values, np.asarray(time_s), labels, "", "stream", rate_hz, measured_hz, simulated=True)


def test_both_signals_come_onto_one_grid():
    """Clocks that are off and a sEMG rate that is no multiple: what comes out is the motion at the grid's times."""
    pose_s = 1000.0 + np.arange(1000) / 100.004
    emg_s = 999.7 + np.arange(22_000) / 1925.93
    height = np.sin(2 * np.pi * 0.4 * pose_s)[:, None, None] * np.ones((1, len(JOINTS), 3))
    tone = 100 * np.sin(2 * np.pi * 400 * emg_s)[:, None] * np.array([[1.0, -2.0]])
    pose, emg = signal(height, 100.0, pose_s, JOINTS), signal(tone, 1925.93, emg_s, ("a", "b"))
    made = c3d_of(pose, emg, float(pose_s[0]), float(pose_s[-1]))
    grid_s = 1000.0 + np.arange(len(made.positions)) / 100
    assert len(grid_s) == 999
    assert made.analog_rate_hz == 2000.0
    assert np.allclose(made.positions[:, 5, 2], 1000 * np.sin(2 * np.pi * 0.4 * grid_s), atol=0.2)
    fine_s = 1000.0 + np.arange(len(made.analog)) / 2000
    assert np.allclose(made.analog[:, 0], 1e-4 * np.sin(2 * np.pi * 400 * fine_s), atol=4e-6)
    assert np.allclose(made.analog[:, 1], -2 * made.analog[:, 0], atol=1e-9)


def test_nothing_is_made_up_across_gaps():
    pose_s = 1000.0 + np.delete(np.arange(200), np.r_[50:53]) / 100
    values = np.ones((len(pose_s), len(JOINTS), 3))
    values[100:110, 4] = np.nan
    emg_s = 1000.0 + np.delete(np.arange(4000), np.r_[2000:2100]) / 2000
    emg = np.ones((len(emg_s), 2))
    emg[500:520, 1] = np.nan
    made = c3d_of(
        signal(values, 100.0, pose_s, JOINTS), signal(emg, 2000.0, emg_s, ("a", "b")), 1000.0, float(pose_s[-1])
    )
    absent = np.isnan(made.positions[:, :, 0])
    assert np.flatnonzero(absent[:, 0]).tolist() == [50, 51, 52]
    assert np.flatnonzero(absent[:, 4]).tolist() == [50, 51, 52, *range(103, 113)]
    assert np.flatnonzero(np.isnan(made.analog[:, 0])).tolist() == list(range(2000, 2100))
    assert np.flatnonzero(np.isnan(made.analog[:, 1])).tolist()[:20] == list(range(500, 520))


def test_one_signal_alone_is_enough_and_none_is_not():
    emg = signal(np.ones((300, 1)), 1000.0, 5.0 + np.arange(300) / 1000, ("a",))
    made = c3d_of(None, emg, 5.0, 5.299)
    assert (made.rate_hz, made.positions.shape, made.analog.shape) == (100.0, (30, 0, 3), (300, 1))
    assert np.isfinite(made.analog).all()
    c3d_bytes(made)
    pose = signal(np.ones((2, len(JOINTS), 3)), 0.0, [5.0, 5.02], JOINTS)
    assert c3d_of(pose, None, 5.0, 5.02).rate_hz == 50.0
    with pytest.raises(LayoutError, match="neither"):
        c3d_of(None, None, 0.0, 1.0)
    with pytest.raises(LayoutError, match="export repetitions"):
        c3d_of(pose, None, 0.0, 5000.0)


def test_events_name_the_phases():
    one = Repetition(10.0, 11.5, 12.0, 1.0)
    events = c3d_events([(3, one)], ("eccentric", "concentric"), 10.004)
    assert [(event.label, round(event.time_s, 3)) for event in events] == [
        ("start", -0.004),
        ("turn", 1.496),
        ("end", 1.996),
    ]
    assert events[1].description == "repetition 3, concentric"
    assert len(c3d_events([(number, one) for number in range(200)], ("a", "b"), 0.0)) == 255
