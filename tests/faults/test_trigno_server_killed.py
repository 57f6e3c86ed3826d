"""A take from an emulated Trigno base whose server is killed in it and comes back: all the way to the raw take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_driver import BYSTANDER
from judging import JudgedTake, assert_bystander_whole
from running_recorder import recording

from drivers.emulators.stage import Stage, StageConfig
from drivers.emulators.trigno import TrignoEmulator
from drivers.emulators.trigno_commands import TrignoEmulatorConfig
from drivers.host_clock import LslClock
from storage.checksums import verify_sums

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

TRIGNO = """
[[device]]
name = "emg"
driver = "delsys.trigno"
host = "127.0.0.1"
command_port = {command_port}
emg_port = {emg_port}
aux_port = {aux_port}
legacy_emg_port = {legacy_emg_port}
legacy_aux_port = {legacy_aux_port}
labels = {{ 1 = "left_biceps", 16 = "right_trapezius" }}
"""


class Server:
    """An emulated base that can be killed and started again on the same ports; ``lives`` are the rows that it sent."""

    def __init__(self) -> None:
        config = TrignoEmulatorConfig(first_data_s=2.0, kept_rows=200_000, segment_bytes=(60, 1460), drift_ppm=40.0)
        self._emulator = TrignoEmulator(config, Stage(StageConfig(), LslClock().now_s()))
        self.lives: list[dict[str, Any]] = []
        self.start()

    @property
    def options(self) -> dict[str, Any]:
        return self._emulator.rig_options()

    def start(self) -> None:
        self._stop = threading.Event()
        self._emulator.open()
        self._thread: threading.Thread | None = threading.Thread(target=self._emulator.serve, args=(self._stop,))
        self._thread.start()

    def kill(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._emulator.close()
            self.lives.append({name: self._emulator.sent(name) for name in ("emg", "aux")})
            self._thread = None


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.kill()


def _as_sent(values: Any, counts: Any, sent: Any) -> None:
    """Check values (n, channels) of samples with these counts against what the base sent, to a millionth."""
    assert (np.diff(counts) == 1).all()
    assert np.abs(values / sent[counts] - 1).max() < 1e-6


def test_values_rates_and_a_server_that_is_killed(server: Server, tmp_path: Path, installed: dict[str, str]) -> None:
    rig = tmp_path / "rig.toml"
    rig.write_text(BYSTANDER + TRIGNO.format(**server.options), encoding="utf-8")
    with recording(rig, tmp_path / "out", installed) as recorder:
        time.sleep(4.0)
        server.kill()
        recorder.shows("closed the connection; check that it still runs; it is started again", 15.0)
        time.sleep(2.0)
        server.start()
        recorder.shows("stream 'emg.emg' has a gap of", 40.0)
        recorder.shows("stream 'emg.aux' has a gap of", 40.0)
        time.sleep(4.0)
        assert recorder.stop() == 3, recorder.shown  # a device failed; what it sent is kept
        take, shown = JudgedTake.of(recorder.take()), recorder.shown
    server.kill()
    assert verify_sums(take.folder) == []
    take.same_sources()
    assert "Traceback" not in shown
    assert take.record.state == "complete"
    assert all(stream.ended for stream in take.record.streams)
    assert_bystander_whole(take)
    labels = [f"sensor_{number}" for number in range(2, 16)]
    emg = take.streams["emg.emg"]
    assert [channel.label for channel in emg.channels][:16] == ["left_biceps", *labels, "right_trapezius"]
    for name, rate_hz, columns, factor in (
        ("emg", 2000.0, list(range(16)), 1e6),
        ("aux", 2 / 0.0135, [9 * sensor + axis for sensor in range(16) for axis in range(3)], 1.0),
    ):
        theirs = take.theirs[f"emg.{name}"]
        assert float(theirs["info"]["nominal_srate"][0]) == pytest.approx(rate_hz, rel=1e-6)
        values = np.asarray(theirs["time_series"], dtype=np.float64)[:, :-1]
        counts = np.array(take.counts(f"emg.{name}"))
        begin = int(np.flatnonzero(np.diff(counts) < 0)[0]) + 1  # the host counts anew after the restart
        assert min(begin, len(counts) - begin) > 2 * rate_hz
        for part, life in zip((slice(0, begin), slice(begin, None)), server.lives, strict=True):
            _as_sent(values[part], counts[part], life[name][:, columns].astype(np.float64) * factor)
        (gap_s,) = take.gaps_s(f"emg.{name}")
        assert 3.0 < gap_s < 40.0
