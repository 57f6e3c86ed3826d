"""A Cyton that is unplugged in a take and comes back, or whose radio is out of reach for a while: times and losses."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from every_driver import BYSTANDER
from judging import JudgedTake, assert_bystander_whole
from running_recorder import recording, wait_for

from drivers.emulators.cyton import CytonEmulator, CytonEmulatorConfig
from drivers.emulators.emulator import serving
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from storage.checksums import verify_sums
from sync.align import align_stream

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(200),
    pytest.mark.skipif(os.name != "posix", reason="a serial port is a pseudo-terminal here"),
]

CYTON = """
[[device]]
name = "amp"
driver = "openbci.cyton"
port = "{port}"
"""

#: The board's clock runs fast by this, and of so many packets one is lost.
DRIFT_PPM = 2000.0
LOSE_EVERY = 100
#: Processes come and go meanwhile on few cores: what a quiet computer does is in docs/devices/openbci-cyton.md.
WORST_S = 0.01


def emulated(folder: Path, channels: int = 8) -> CytonEmulator:
    config = CytonEmulatorConfig(
        port=str(folder / "cyton"), channels=channels, drift_ppm=DRIFT_PPM, lose_every=LOSE_EVERY, keep_sent=True
    )
    return CytonEmulator(config, Stage(StageConfig(), LslClock().now_s()))


def recorded_lives(emulator: CytonEmulator, take: JudgedTake) -> tuple[list[int], list[int], list[float]]:
    """Return life, number and true host time of each recorded sample, found by its values; all must have been sent."""
    of_values: dict[bytes, tuple[int, int, float]] = {}
    upper: dict[tuple[int, int], np.ndarray] = {}
    daisy = emulator.board.daisy
    for life, number, at_s, uv, _ in emulator.sent:
        values = uv.astype(np.float32)
        if daisy and number % 2 == 0:
            upper[life, number + 1] = values
            continue
        if daisy:
            values = np.concatenate((values, upper.get((life, number), values)))
        of_values[values.tobytes()] = (life, number // 2 if daisy else number, at_s)
    recorded = np.asarray(take.theirs["amp.emg"]["time_series"])[:, :-1].astype(np.float32)
    found = [of_values[row.tobytes()] for row in recorded]
    lives, numbers, times_s = zip(*found, strict=True)
    return list(lives), list(numbers), list(times_s)


@pytest.mark.parametrize("channels", [8, 16])
def test_unplugged_and_back(channels: int, tmp_path: Path, installed: dict[str, str]) -> None:
    emulator = emulated(tmp_path, channels)
    with serving(emulator) as options:
        rig = tmp_path / "rig.toml"
        rig.write_text(BYSTANDER + CYTON.format(port=options["port"]), encoding="utf-8")
        with recording(rig, tmp_path / "out", installed) as recorder:
            time.sleep(5.0)
            emulator.unplug()
            recorder.shows("broke off (the line is gone); check its cable or dongle; it is started again", 10.0)
            time.sleep(1.5)
            emulator.plug_in()
            recorder.shows("stream 'amp.emg' has a gap of", 30.0)
            time.sleep(5.0)
            assert recorder.stop() == 3
            take, shown = JudgedTake.of(recorder.take()), recorder.shown
    assert verify_sums(take.folder) == []
    take.same_sources()
    assert "Traceback" not in shown
    lives, numbers, times_s = recorded_lives(emulator, take)
    assert len(set(lives)) == 2
    aligned, report, _ = align_stream(take.streams["amp.emg"], 0.0, 1000.0)
    error_s = aligned.time_s - np.array(times_s)
    assert np.max(np.abs(error_s)) < WORST_S, (report, np.quantile(error_s, [0, 0.5, 1]))
    # what was lost within each life is counted; what the board took while it was away is said to be unknown
    begin = int(np.argmax(np.diff(lives))) + 1
    within = sum(int(np.sum(np.diff(part) - 1)) for part in (numbers[:begin], numbers[begin:]))
    assert within > 5
    assert report.lost_ambiguous
    passed = (times_s[begin] - times_s[begin - 1]) * 2000 / channels
    apart = (passed - (numbers[begin] - numbers[begin - 1]) + 1024 / channels) % (2048 / channels) - 1024 / channels
    if abs(apart) * channels / 2000 > 2 * WORST_S:  # once in fifty times it comes back as if it had counted on
        assert report.lost == within
    assert take.gaps_s("amp.emg") == [pytest.approx(times_s[begin] - times_s[begin - 1], abs=0.1)]
    assert_bystander_whole(take)


def test_out_of_reach_for_two_seconds(tmp_path: Path, installed: dict[str, str]) -> None:
    emulator = emulated(tmp_path)
    with serving(emulator) as options:
        rig = tmp_path / "rig.toml"
        rig.write_text(BYSTANDER + CYTON.format(port=options["port"]), encoding="utf-8")
        with recording(rig, tmp_path / "out", installed) as recorder:
            time.sleep(5.0)
            emulator.radio.clear()
            time.sleep(2.3)
            emulator.radio.set()
            wait_for("samples come again", lambda: emulator.sent[-1][4] == "sent")
            time.sleep(5.0)
            assert recorder.stop() in {0, 1}
            take = JudgedTake.of(recorder.take())
    lives, numbers, times_s = recorded_lives(emulator, take)
    assert len(set(lives)) == 1
    aligned, report, _ = align_stream(take.streams["amp.emg"], 0.0, 1000.0)
    # the count is 8 bits long, and two turns of it went by unseen
    assert max(np.diff(numbers)) > 2 * 256
    assert (report.lost, report.lost_ambiguous) == (int(np.sum(np.diff(numbers) - 1)), True)
    error_s = aligned.time_s - np.array(times_s)
    assert np.max(np.abs(error_s)) < WORST_S, (report, np.quantile(error_s, [0, 0.5, 1]))
    assert_bystander_whole(take)
