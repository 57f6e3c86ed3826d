"""Devices on a serial port and on a socket that are unplugged in a take, come back, or do not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from every_driver import BYSTANDER
from judging import JudgedTake, assert_bystander_whole
from plugs import Amplifier, Plate
from running_recorder import recording

from storage.checksums import verify_sums
from sync.align import align_stream

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(200),
    pytest.mark.skipif(os.name != "posix", reason="a serial port is a pseudo-terminal here"),
]

AMPLIFIER = """
[[device]]
name = "amp"
driver = "serial_amplifier"
port = "{port}"
"""

PLATE = """
[[device]]
name = "plate"
driver = "force_plate"
host = "127.0.0.1"
port = {port}
rate_hz = 200.0
"""


@pytest.fixture
def amplifier(tmp_path: Path) -> Iterator[Amplifier]:
    made = Amplifier(tmp_path)
    made.plug_in()
    yield made
    made.unplug()


@pytest.fixture
def plate() -> Iterator[Plate]:
    made = Plate()
    made.plug_in()
    yield made
    made.unplug()


def write_rig(folder: Path, top: str, amplifier: Amplifier, plate: Plate) -> Path:
    path = folder / "rig.toml"
    path.write_text(top + AMPLIFIER.format(port=amplifier.port) + PLATE.format(port=plate.port), encoding="utf-8")
    return path


def assert_recorded_truly(take: JudgedTake, stream: str, lives: list[list[tuple[int, float]]]) -> None:
    """Check counts, gap and times of a stream against the two lives in which its device sent."""
    recorded = take.counts(stream)
    begin = int(np.argmax(np.abs(np.diff(recorded)) > 50)) + 1  # the gap
    (last_s, first_s), sent_s = (0.0, 0.0), []
    for counts, life in zip((recorded[:begin], recorded[begin:]), lives, strict=True):
        times = dict(life)
        assert counts == list(range(counts[0], counts[0] + len(counts)))
        assert counts[0] in times
        sent_s += [times[count] for count in counts]
    assert recorded[begin - 1] >= lives[0][-1][0] - 40  # what it sent in its last moments may be on the line yet
    last_s, first_s = sent_s[begin - 1], sent_s[begin]
    assert take.gaps_s(stream) == [pytest.approx(first_s - last_s, abs=0.1)]
    aligned, report, _ = align_stream(take.streams[stream], 0.0, 1000.0)
    assert report.samples == len(recorded)
    # the device sends some samples together, and a chunk arrives with its last
    error_s = aligned.time_s - np.array(sent_s)
    assert np.quantile(np.abs(error_s), 0.9) < 0.05, (report, np.quantile(error_s, [0, 0.5, 1]))


def test_unplugged_and_back_and_unplugged_for_good(
    amplifier: Amplifier, plate: Plate, tmp_path: Path, installed: dict[str, str]
) -> None:
    rig = write_rig(tmp_path, BYSTANDER, amplifier, plate)
    with recording(rig, tmp_path / "out", installed) as recorder:
        time.sleep(2.0)
        amplifier.unplug()
        plate.unplug()
        recorder.shows("device 'plate': the force plate closed the connection; it is started again", 10.0)
        recorder.shows("device 'amp': the amplifier was unplugged; check its cable; it is started again", 10.0)
        time.sleep(3.0)
        amplifier.plug_in()
        plate.plug_in()
        recorder.shows("stream 'amp' has a gap of", 30.0)
        recorder.shows("stream 'plate' has a gap of", 30.0)
        time.sleep(3.0)
        plate.unplug()
        time.sleep(2.5)
        assert recorder.stop() == 3
        take, shown = JudgedTake.of(recorder.take()), recorder.shown
    assert verify_sums(take.folder) == []
    take.same_sources()
    assert "Traceback" not in shown
    assert f"device 'plate': the force plate at 127.0.0.1:{plate.port} does not answer" in shown
    assert "device 'plate' was not back when the take ended" in shown
    assert take.record.state == "complete"
    assert {s.name: s.ended for s in take.record.streams} == {
        "bystander": True,
        "bystander.clock": True,
        "amp": True,
        "amp.clock": True,
        "plate": False,
        "plate.clock": False,
    }
    assert_recorded_truly(take, "amp", amplifier.sent)
    assert_recorded_truly(take, "plate", plate.sent)
    assert_bystander_whole(take)


def test_a_take_whose_devices_are_all_away_ends_by_itself(
    amplifier: Amplifier, plate: Plate, tmp_path: Path, installed: dict[str, str]
) -> None:
    rig = write_rig(tmp_path, 'name = "away"\nwait_s = 60.0\n', amplifier, plate)
    with recording(rig, tmp_path / "out", installed) as recorder:
        time.sleep(2.0)
        amplifier.unplug()
        plate.unplug()
        assert recorder.ends(90.0) == 3
        take, shown = JudgedTake.of(recorder.take()), recorder.shown
    assert take.record.stop_reason == "all devices failed"
    assert take.record.state == "complete"
    for device in ("amp", "plate"):
        assert f"device '{device}' was not back when the take ended" in shown
        assert len(take.counts(device)) > 200
        tries = len(take.events("device_again", f"'{device}'"))
        assert 4 <= tries <= 8  # after 0, 1, 2, 4, 8, 8 s
    assert verify_sums(take.folder) == []
