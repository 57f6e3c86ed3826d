"""Real clocks that drift: devices under libfaketime, real liblsl between, and the truth by a clock that is not faked.

Session time is ``local_clock`` of this process, CLOCK_MONOTONIC, which a device reads beside its faked clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest
from drifting_device import CHUNK, DEVICE_BEGAN_S, KINDS, RATE_HZ

from capture.recorder import Recorder
from capture.stream_state import ExpectedStream
from lab.aligned import AlignedStream, StreamReport, SyncEvidence
from lab.recorded import RecordedStream
from lab.streams import CLOCK_SUFFIX, Channel, StreamSpec
from storage.recorded_streams import recorded_streams
from storage.xdf_reader import read_xdf
from sync.align import align_stream

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not _LIBRARIES, reason="libfaketime is not installed (Debian's package faketime)"),
]

STREAMS = "streams.xdf"
RECORD_S = 38.0
WITHIN_S = 1e-3
WITHIN_PPM = 20.0


@dataclass(frozen=True)
class Faked:
    """How a computer's clock is faked: hours off, and ``drift_ppm`` fast."""

    name: str
    offset: str
    drift_ppm: float

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(_LIBRARIES[0]), "FAKETIME": f"{self.offset} x{1 + self.drift_ppm * 1e-6:.7f}"}


FAKED = (Faked("fast", "+0", 100.0), Faked("slow", "+5h", -200.0), Faked("behind", "-3d", 30.0))


class Device:
    """A device process; ``sources`` are the source ids of its streams by name."""

    def __init__(self, faked: Faked, side: Path) -> None:
        self.faked = faked
        self.side = side
        command = [sys.executable, str(Path(__file__).with_name("drifting_device.py")), faked.name, str(side)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **faked.environment}
        )
        self.sources: dict[str, str] = {}

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"device '{self.faked.name}' has ended"
        return json.loads(line)

    def ask(self, order: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.answer()

    def assert_only_its_own_clock_is_faked(self) -> None:
        before_s = pylsl.local_clock()
        told = self.ask("clock")
        assert before_s < told["true_s"] < pylsl.local_clock()
        assert abs(told["host_s"] - told["true_s"]) > 3600

    def end(self) -> None:
        """Let it end by itself, which takes its part of the shared memory away; kill it if it does not."""
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise


@contextlib.contextmanager
def running(folder: Path) -> Iterator[list[Device]]:
    with contextlib.ExitStack() as ends:
        devices = []
        for faked in FAKED:
            devices.append(Device(faked, folder / f"{faked.name}.side"))
            ends.callback(devices[-1].end)
        for device in devices:
            device.sources = device.answer()
        yield devices
    assert [device.process.returncode for device in devices] == [0] * len(devices)


def expected_of(device: Device) -> list[ExpectedStream]:
    """Return the device's streams as the recorder is told of them."""
    spec = StreamSpec("EMG", (Channel("a", "microvolts", "EMG"),), RATE_HZ)
    return [
        ExpectedStream(name, device.faked.name, source, None if name.endswith(CLOCK_SUFFIX) else spec)
        for name, source in device.sources.items()
    ]


@dataclass(frozen=True)
class Truth:
    """A device's side file.

    ``due_s`` has the rows (count, time by the clock that the stream counts by) of each kind of stream; ``true_s`` and
    ``host_s`` (moments,) are the same moments by both clocks, in order.
    """

    due_s: dict[str, Any]
    true_s: Any
    host_s: Any

    @classmethod
    def of(cls, path: Path) -> Truth:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        due_s = {kind: np.array([row[1:3] for row in rows if row[0] == kind], dtype=float) for kind in KINDS}
        moments = np.array([row[3:5] for row in rows], dtype=float)
        return cls(due_s, moments[:, 0], moments[:, 1])

    def sampled_s(self, kind: str, counts: Any) -> Any:
        """Return the true times at which the samples of these counts were taken."""
        last, due_s = self.due_s[kind].T
        first = due_s[0] - last[0] / RATE_HZ
        due_s = np.interp(counts, np.concatenate(([0.0], last)), np.concatenate(([first], due_s)))
        if kind != "own":
            return due_s
        return self._line()(due_s - self.host_s[0]) + self.true_s[0]

    @property
    def drift_ppm(self) -> float:
        """How much faster than the true clock the faked one ran."""
        return (1 / float(self._line().deriv()(0.0)) - 1) * 1e6

    def _line(self) -> Any:
        """Return true time over faked time, both from the first moment: libfaketime multiplies, nothing else."""
        line = np.polynomial.Polynomial.fit(self.host_s - self.host_s[0], self.true_s - self.true_s[0], 1)
        assert np.quantile(np.abs(line(self.host_s - self.host_s[0]) - self.true_s + self.true_s[0]), 0.99) < 1e-4
        return line


def assert_clock_found(name: str, evidence: SyncEvidence, truth: Truth) -> None:
    """Check the map from the faked clock against the moments that were read by both clocks."""
    (piece,) = evidence.clock.pieces
    assert evidence.probe_used.sum() >= 10, name
    assert np.isfinite(evidence.round_trip_s).all(), name
    ends = truth.host_s[[0, -1]]
    session_s = evidence.clock.apply(truth.host_s)
    drift_ppm = (np.ptp(ends) / np.ptp(session_s[[0, -1]]) - 1) * 1e6
    sys.stdout.write(f"{name:12} clock {drift_ppm:+.1f} ppm, truly {truth.drift_ppm:+.1f} ppm\n")
    assert drift_ppm == pytest.approx(truth.drift_ppm, abs=WITHIN_PPM), name
    error_s, claimed_s = np.abs(session_s - truth.true_s), piece.standard_error(truth.host_s)
    assert np.quantile(error_s, 0.99) < WITHIN_S, name
    assert np.quantile(error_s / claimed_s, 0.99) < 3, (name, np.quantile(error_s, 0.5), np.quantile(claimed_s, 0.5))


def assert_times_true(aligned: AlignedStream, report: StreamReport, sampled_s: Any) -> None:
    error_s = np.abs(aligned.time_s - sampled_s)
    p50_s, p99_s = np.quantile(error_s, [0.5, 0.99])
    sys.stdout.write(  # seen with pytest's -rP
        f"{report.stream:12} error p50 {p50_s * 1e3:.3f}, p99 {p99_s * 1e3:.3f} ms; said to be "
        f"{report.uncertainty_p50_ms:.3f}, {report.uncertainty_p99_ms:.3f} ms; drift {report.drift_ppm:+.1f} ppm\n"
    )
    assert p99_s < WITHIN_S, (p99_s, report)
    assert p99_s < 3e-3 * report.uncertainty_p99_ms, (p99_s, report)
    assert p50_s < 3e-3 * report.uncertainty_p50_ms, (p50_s, report)


def assert_rate_found(report: StreamReport, true_ppm: float) -> None:
    assert report.drift_ppm == pytest.approx(true_ppm, abs=WITHIN_PPM), report
    assert report.rate_measured_hz == pytest.approx(RATE_HZ * (1 + true_ppm * 1e-6), rel=WITHIN_PPM * 1e-6), report


def assert_whole(stream: RecordedStream, report: StreamReport, published: int) -> None:
    assert stream.counter is not None
    assert np.array_equal(stream.counter, np.arange(published)), stream.name
    assert stream.clock_rows is not None
    assert np.array_equal(stream.clock_rows[:, 0], np.arange(CHUNK - 1, published, CHUNK)), stream.name
    assert (report.samples, report.lost, report.lost_ambiguous, report.gaps) == (published, 0, False, 0), report
    assert report.in_sync, report


def assert_recorded_truly(folder: Path, published: dict[str, int]) -> None:
    """Read and synchronise what was recorded, and check all of it against the side files of the devices."""
    notes: list[str] = []
    streams = {stream.name: stream for stream in recorded_streams(read_xdf(folder / STREAMS), notes)}
    assert notes == []
    assert sorted(streams) == sorted(f"{faked.name}.{kind}" for faked in FAKED for kind in KINDS)
    for faked in FAKED:
        truth = Truth.of(folder / f"{faked.name}.side")
        assert truth.drift_ppm == pytest.approx(faked.drift_ppm, abs=5.0)
        for kind in KINDS:
            stream = streams[f"{faked.name}.{kind}"]
            aligned, report, evidence = align_stream(stream, 0.0, 1.0)
            assert report.method == ("device time" if kind == "timed" else "device count")
            assert_whole(stream, report, published[stream.name])
            assert_clock_found(stream.name, evidence, truth)
            assert_times_true(aligned, report, truth.sampled_s(kind, aligned.counter))
            assert_rate_found(report, faked.drift_ppm if kind == "own" else 0.0)
    timed = streams["slow.timed"].clock_rows
    assert timed is not None
    assert timed[0, 2] == pytest.approx(DEVICE_BEGAN_S + (CHUNK - 1) / RATE_HZ)


def test_devices_whose_clocks_drift_and_are_hours_apart(tmp_path: Path) -> None:
    with running(tmp_path) as devices:
        for device in devices:
            device.assert_only_its_own_clock_is_faked()
        recorder = Recorder([stream for device in devices for stream in expected_of(device)])
        recorder.connect(10.0)
        recorder.start(tmp_path / STREAMS)
        try:
            for device in devices:
                device.ask("start")
            time.sleep(RECORD_S)
            published = {name: count for device in devices for name, count in device.ask("stop").items()}
            left = recorder.drain(published, 5.0)
        finally:
            recorder.close()
        for device in devices:
            device.assert_only_its_own_clock_is_faked()
    assert left == []
    assert recorder.failure is None
    assert [event.text for event in recorder.noticed() if event.kind == "clock_jump"] == []
    assert_recorded_truly(tmp_path, published)
