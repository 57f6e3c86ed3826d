from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lab.aligned import AlignedStream, AlignedView, StreamReport
from lab.clock_map import ClockMap, ClockPiece
from lab.errors import RequestError
from lab.streams import Channel
from lab.take import Event
from storage.aligned_file import RESAMPLED, StreamOrigin, aligned_file, group_names

ORIGIN = StreamOrigin("emg", 3, "source", "lab2", "float32")
CLOCK = ClockMap(
    (
        ClockPiece(np.array([1.0, 2.0]), np.array([5.0, 5.1]), np.array([1e-4, 2e-4]), 1e-5, 2e-5, 1e-6, 1e-12),
        ClockPiece(np.array([9.0]), np.array([-3.0]), np.array([1e-3]), first_sample=40),
    )
)


def report(**changes: object) -> StreamReport:
    given_: dict[str, object] = {
        "stream": "emg",
        "rate_asked_hz": 10.0,
        "rate_measured_hz": 10.1,
        "samples": 3,
        "lost": 2,
        "lost_ambiguous": True,
        "gaps": 1,
        "drift_ppm": 3.0,
        "arrival_spread_ms": 1.0,
        "uncertainty_p50_ms": 0.5,
        "uncertainty_p99_ms": np.inf,
        "latency_s": 0.25,
        "method": "device count",
        "in_sync": False,
        "note": "said",
    }
    return StreamReport(**(given_ | changes))  # type: ignore[arg-type]


def stream(values: np.ndarray, channels: tuple[Channel, ...]) -> AlignedStream:
    count = len(values)
    return AlignedStream(
        "emg",
        "amp",
        "EMG",
        channels,
        10.0,
        np.arange(count) / 10,
        values,
        np.arange(count, dtype=np.int64),
        simulated=True,
    )


def write(path: Path, what: AlignedStream, *, counted: bool = True) -> None:
    with aligned_file(path) as file:
        sample = np.arange(len(what.values), dtype=np.int64)
        gaps_s = np.array([[0.1, 0.4]])
        file.add_stream("emg", what, sample, ORIGIN, report(), CLOCK, gaps_s, counted=counted)


def test_a_clock_map_can_be_made_again_of_its_arrays(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", stream(np.zeros((3, 1), np.float32), (Channel("a", "V", "EMG", "m"),)))
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["emg"]
        assert list(group.attrs["markers"]) == ["m"]
        assert (group.attrs["notes"], group.attrs["lost"], group.attrs["device"]) == ("said", 2, "amp")
        assert np.isinf(group.attrs["uncertainty_p99_ms"])
        assert group["gaps"][()].tolist() == [[0.1, 0.4]]
        arrays = {name: data[()] for name, data in group["clock"].items()}
    pieces = []
    for number in range(len(arrays["first_sample"])):
        knots = arrays["knot_piece"] == number
        pieces.append(
            ClockPiece(
                arrays["knot_s"][knots],
                arrays["offset_s"][knots],
                arrays["error_s"][knots],
                *(float(arrays[name][number]) for name in ("drift_before", "drift_after", "drift_error", "wander")),
                int(arrays["first_sample"][number]),
            )
        )
    again, host_s, sample = ClockMap(tuple(pieces)), np.linspace(0, 20, 50), np.arange(50) * 2
    assert again.apply(host_s, sample).tolist() == CLOCK.apply(host_s, sample).tolist()
    assert again.standard_error(host_s, sample).tolist() == CLOCK.standard_error(host_s, sample).tolist()


def test_texts_of_any_kind(tmp_path: Path) -> None:
    texts = np.array([["plain", ""], ["\u00fc\U0001f600\n", "nul\0inside"], ["x" * 100_000, "\ud800"]], dtype=object)
    write(tmp_path / "a.h5", stream(texts, (Channel("one\0"), Channel("two"))), counted=False)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["emg/values"].asstr()[()].tolist() == [
            ["plain", ""],
            ["\u00fc\U0001f600\n", "nul\ufffdinside"],
            ["x" * 100_000, "?"],
        ]
        assert list(file["emg"].attrs["labels"]) == ["one\ufffd", "two"]
        assert "counter" not in file["emg"]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i2", "i4", "i8"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (3, 0), (1, 1), (50, 3)])
def test_numbers_of_any_format_stay_what_they_are(tmp_path: Path, dtype: str, shape: tuple[int, int]) -> None:
    values = np.arange(shape[0] * shape[1]).reshape(shape).astype(dtype)
    write(tmp_path / "a.h5", stream(values, tuple(Channel(f"c{n}") for n in range(shape[1]))))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["emg/values"].dtype == np.dtype(dtype)
        assert file["emg/values"].shape == shape
        assert (file["emg/values"][()] == values).all()


def test_more_channels_than_fit_into_an_ordinary_attribute(tmp_path: Path) -> None:
    channels = tuple(Channel(f"channel {number}", "microvolts", "EEG") for number in range(20_000))
    write(tmp_path / "a.h5", stream(np.zeros((2, 20_000), np.int16), channels))
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file["emg"].attrs["labels"]) == [channel.label for channel in channels]


def test_views_markers_and_a_grid(tmp_path: Path) -> None:
    frames = np.arange(4, dtype=np.int64)
    view = AlignedView(
        "view1", "mjpeg", 64, 48, 10.0, frames + 5, frames / 10, frames - 1, frames * 1000, simulated=True
    )
    with aligned_file(tmp_path / "a.h5") as file:
        file.add_facts({"flex_capture_version": "1", "notes": ("a", "b")})
        file.add_view("view1", view, frames, "view1.mov", ORIGIN, report(), CLOCK, None)
        file.add_markers("FlexMarkers", [Event(session_s=2.0, kind="note", text="ready")])
        file.add_stream(
            "emg", stream(np.ones((3, 2), "f4"), (Channel("a"), Channel("b"))), frames[:3], ORIGIN, report(), CLOCK,
            None, counted=True,
        )  # fmt: skip
        time_s, counter, values = file.stored("emg")
        assert time_s.tolist() == [0.0, 0.1, 0.2]
        assert counter is not None
        assert values.shape == (3, 2)
        file.begin_grid(10.0, 3, iter([(0, np.zeros(2)), (2, np.ones(1))]))
        file.add_resampled("emg", 3, iter([(0, np.zeros((2, 2))), (2, np.full((1, 2), np.nan))]), {"kernel": "linear"})
    with h5py.File(tmp_path / "a.h5") as written:
        assert written["view1/index"][()].tolist() == [-1, 0, 1, 2]
        assert "gaps" not in written["view1"]
        assert written["FlexMarkers/values"].asstr()[()].tolist() == [["note: ready"]]
        assert written[f"{RESAMPLED}/time"][()].tolist() == [0.0, 0.0, 1.0]
        assert written[f"{RESAMPLED}/emg"].attrs["kernel"] == "linear"
        assert list(written[f"{RESAMPLED}/emg"].attrs["labels"]) == ["a", "b"]
        assert list(written.attrs["notes"]) == ["a", "b"]


def test_an_error_in_between_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.h5.tmp-1").write_bytes(b"of one that was killed")
    (tmp_path / "b.h5.tmp-1").write_bytes(b"of another file")
    with pytest.raises(RequestError), aligned_file(tmp_path / "a.h5"):
        raise RequestError("not so")
    assert [path.name for path in tmp_path.iterdir()] == ["b.h5.tmp-1"]


names = st.text(st.sampled_from("a./\0-1\u202e\ud800 "), max_size=6) | st.text(max_size=300)


@given(st.lists(st.tuples(names, st.integers(-1, 4)), max_size=8))
@example([("a", 2), ("a", 1), ("a-2", 2), ("a-2-2", 5)])
@example([(RESAMPLED, 1), (RESAMPLED + "-1", 1), (".", 1), ("", 1), ("unnamed", 1)])
def test_every_stream_has_a_group_of_its_own(streams: list[tuple[str, int]]) -> None:
    found = group_names(streams)
    assert len(set(found) | {RESAMPLED}) == len(streams) + 1
    for name, (given_, _) in zip(found, streams, strict=True):
        assert name
        assert "/" not in name
        assert name.strip(".")
        assert name.isprintable() or not given_.isprintable()
        name.encode()
        if given_.isascii() and given_.isalnum() and len(given_) < 100:
            assert name == given_ or name.startswith(given_ + "-")
