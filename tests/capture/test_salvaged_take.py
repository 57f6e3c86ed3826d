"""A recovery that is itself cut off, at any step, is taken up by the next one; nothing is lost or made up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.console import Console
from capture.recovery import recover_before_recording, recover_met
from capture.salvaged_take import is_unfinished, salvage_take
from dying import KilledError, die_at
from lab.errors import TakeError
from lab.streams import MARKERS_LABELS, MARKERS_NAME, Channel
from lab.take import Event
from storage.checksums import verify_sums
from storage.raw_take import read_raw_take
from storage.take_folder import part_path, read_record, streams_path, write_record
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter, variable_length

VIEWS = ("view1", "view2")
#: The torn end: a chunk of which half is there.
TORN = variable_length(4000) + b"\x03\x00" + b"\x01" * 1000


def cut_off(whole: Path, folder: Path) -> Path:
    """Copy a closed take as it would be had its recorder been killed a minute ago."""
    take = folder / "raw" / "S12" / "offline" / "A16-01"
    shutil.copytree(whole, take, ignore=shutil.ignore_patterns("truth"))
    (take / "SHA256SUMS").unlink()
    whole_bytes = (take / "streams.xdf").read_bytes()
    footer = whole_bytes.find(b"<first_timestamp>")
    end = whole_bytes.rfind(b"<?xml", 0, footer) - 15  # somewhere in the chunk before, too
    part_path(take / "streams.xdf").write_bytes(whole_bytes[:end] + TORN)
    (take / "streams.xdf").unlink()
    for view in VIEWS:
        for name in (f"{view}.mov", f"{view}.frames"):
            (take / name).rename(part_path(take / name))
    (take / "take.json.tmp-77").write_bytes(b"{")
    (take / ".reserve-0").write_bytes(b"\0" * 100)
    record = read_record(take)
    write_record(take, record.model_copy(update={"state": "recording", "stopped": None, "events": ()}))
    for path in take.iterdir():
        os.utime(path, (1e9, 1e9))
    return take


def content(take: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in take.iterdir()}


@pytest.fixture(scope="module")
def salvaged(recorded: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a take that was recovered without interruption."""
    take = cut_off(recorded.take, tmp_path_factory.mktemp("salvaged"))
    salvage_take(take)
    assert verify_sums(take) == []
    return content(take)


def assert_recovered(take: Path, salvaged: dict[str, bytes]) -> None:
    now = content(take)
    assert now.keys() == salvaged.keys()
    assert [name for name in now if now[name] != salvaged[name] and not name.endswith(".mov")] == ["SHA256SUMS"] or (
        now == salvaged
    )
    assert verify_sums(take) == []
    assert not is_unfinished(take, sealed=False)


def test_all_that_was_whole_is_there_again(recorded: Any, salvaged: dict[str, bytes], tmp_path: Path) -> None:
    take = cut_off(recorded.take, tmp_path)
    assert is_unfinished(take)
    said = salvage_take(take)
    assert said[0] == f"{take}: cut off, and recovered"
    assert any("bytes of streams.xdf are no whole chunk" in line for line in said)
    assert_recovered(take, salvaged)
    assert sorted(salvaged) == sorted(
        ["SHA256SUMS", "take.json", "streams.xdf", *(f"{v}.{ext}" for v in VIEWS for ext in ("mov", "frames"))]
    )
    before, after = read_raw_take(recorded.take), read_raw_take(take)
    assert after.notes == ()
    for old, new in zip(before.streams, after.streams, strict=True):
        assert new.name == old.name
        assert len(old.stamps) - 200 < len(new.stamps) <= len(old.stamps)
        assert new.stamps.tolist() == old.stamps[: len(new.stamps)].tolist()
        assert np.array_equal(new.values, old.values[: len(new.values)], equal_nan=True)
    for old, new in zip(before.views, after.views, strict=True):
        assert new.index.tolist() == old.index.tolist()
        assert new.pts_us.tolist() == old.pts_us.tolist()
    record = read_record(take)
    assert (record.state, record.stopped) == ("recovered", None)
    assert record.views == read_record(recorded.take).views
    assert record.events[-1].kind == "recovered"


def test_cut_off_at_any_step_the_next_recovery_ends_the_same(
    recorded: Any, salvaged: dict[str, bytes], tmp_path: Path
) -> None:
    died = 0
    for number in range(1, 100):
        take = cut_off(recorded.take, tmp_path / str(number))
        with pytest.MonkeyPatch.context() as patch:
            calls = die_at(patch, number)
            try:
                salvage_take(take)
            except KilledError:
                died += 1
            if calls() < number:
                assert_recovered(take, salvaged)
                break
        recover_met([take], Console())
        assert_recovered(take, salvaged)
        shutil.rmtree(take)
    assert died > 15


SALVAGE = """
import sys
from pathlib import Path
from typing import Any
from capture.salvaged_take import is_unfinished, salvage_take
print("ready", flush=True)
if is_unfinished(Path(sys.argv[1])):
    salvage_take(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost(recorded: Any, salvaged: dict[str, bytes], tmp_path: Path) -> None:
    take = cut_off(recorded.take, tmp_path)
    rng = np.random.default_rng(4)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", SALVAGE, str(take)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(float(rng.uniform(0, 0.3)))
            process.kill()
    recover_met([take], Console())
    assert_recovered(take, salvaged)


def test_originals_stay_until_the_recovered_take_was_read_back(
    recorded: Any, salvaged: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = cut_off(recorded.take, tmp_path)
    before = content(take)
    originals = {name: data for name, data in before.items() if name.endswith(".part")}

    def unreadable(_folder: Path) -> None:
        raise TakeError("it cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr("capture.salvaged_take.read_raw_take", unreadable)
        with pytest.raises(TakeError, match="it cannot be read"):
            salvage_take(take)
    now = content(take)
    assert {name: now[name] for name in originals} == originals
    assert is_unfinished(take)
    assert "is finished" in salvage_take(take)[0]
    assert_recovered(take, salvaged)


def test_a_take_that_only_lacks_its_checksums_gets_them_from_record_and_recover_alone(
    recorded: Any, tmp_path: Path
) -> None:
    take = tmp_path / "raw" / "S12" / "offline" / "A16-01"
    shutil.copytree(recorded.take, take, ignore=shutil.ignore_patterns("truth"))
    (take / "SHA256SUMS").unlink()
    recover_met([take], Console())
    assert not (take / "SHA256SUMS").exists()
    recover_before_recording(tmp_path / "raw", Console())
    assert verify_sums(take) == []


def test_streams_that_their_recorder_closed_keep_their_bytes(recorded: Any, tmp_path: Path) -> None:
    """Killed between the renaming of the files and the last ``take.json``."""
    take = tmp_path / "raw" / "S12" / "offline" / "A16-01"
    shutil.copytree(recorded.take, take, ignore=shutil.ignore_patterns("truth"))
    before = content(take)
    (take / "SHA256SUMS").unlink()
    record = read_record(take)
    write_record(take, record.model_copy(update={"state": "recording", "stopped": None}))
    part_path(streams_path(take)).hardlink_to(streams_path(take))
    streams_path(take).unlink()
    salvage_take(take)
    now = content(take)
    assert read_record(take).state == "recovered"
    assert {name for name in now if now[name] != before[name]} == {"take.json", "SHA256SUMS"}


def test_events_come_back_and_the_last_sign_of_life_may_be_a_mark(recorded: Any, tmp_path: Path) -> None:
    take = cut_off(recorded.take, tmp_path)
    part = part_path(streams_path(take))
    record = read_record(take)
    part.unlink()
    writer = XdfWriter(part)
    for stream in record.streams:
        channel = [Channel("x")]
        writer.stream_header(stream.stream_id, build_header(stream.name, "", channel, 0.0, "double64"))
    source = f"flex-capture/{MARKERS_NAME}"
    header = build_header(MARKERS_NAME, "Markers", [Channel(MARKERS_LABELS[0])], 0.0, "string", source_id=source)
    writer.stream_header(99, header)
    last_s = record.started.session_s + 1000.0
    writer.samples(99, [last_s - 990, last_s], [["recording: every stream has delivered"], ["note: belt: on"]])
    writer.samples(1, [last_s - 5 + 700], np.ones((1, 1)))
    writer.clock_offset(1, last_s, -700.0)
    writer.close()
    write_record(take, record.model_copy(update={"recording_s": None}))
    os.utime(part, (1e9, 1e9))
    said = salvage_take(take)
    recovered = read_record(take)
    assert recovered.recording_s == last_s - 990
    assert recovered.events[1] == Event(session_s=last_s, kind="note", text="belt: on")
    assert recovered.events[-1].session_s == last_s
    assert f"  stream '{record.streams[0].name}' ends 5.00 s before the last sign of life" in said
    assert f"  stream '{record.streams[1].name}' has no samples" in said


def test_what_cannot_be_read_is_kept(recorded: Any, tmp_path: Path) -> None:
    take = cut_off(recorded.take, tmp_path)
    part_path(streams_path(take)).write_bytes(b"\0" * 5000)
    os.utime(part_path(streams_path(take)), (1e9, 1e9))
    said = salvage_take(take)
    assert "  streams.xdf has nothing that can be read" in said
    assert read_record(take).state == "failed"
    assert (take / "streams.xdf.unreadable").read_bytes() == b"\0" * 5000
    assert verify_sums(take) == []
    assert read_raw_take(take).streams == ()
    assert not is_unfinished(take, sealed=False)
    damaged = cut_off(recorded.take, tmp_path / "second")
    (damaged / "take.json").write_text("{")
    before = content(damaged)
    recover_met([damaged], Console())
    recover_before_recording(tmp_path / "second" / "raw", Console())
    assert content(damaged) == before


@pytest.mark.parametrize("written", [None, b"", b"XD", b"XDF:", b"XDF:\x01\x50\x01\x00<?xml"])
def test_killed_before_the_first_stream_was_announced_the_take_can_be_read(
    recorded: Any, tmp_path: Path, written: bytes | None
) -> None:
    take = cut_off(recorded.take, tmp_path)
    part = part_path(streams_path(take))
    for path in [part, *(found for view in VIEWS for found in take.glob(f"{view}.*"))]:
        path.unlink()
    if written is not None:
        part.write_bytes(written)
        os.utime(part, (1e9, 1e9))
    assert salvage_take(take) == [f"{take}: cut off before anything was recorded; it is kept as failed"]
    assert verify_sums(take) == []
    assert not list(take.glob("*.part*"))
    assert not list(take.glob("*.unreadable"))
    assert read_raw_take(take).streams == ()
    assert not is_unfinished(take, sealed=False)


def test_a_take_over_which_the_recovery_stumbles_keeps_no_other_from_being_recorded(
    recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take = cut_off(recorded.take, tmp_path)
    before = content(take)

    def stumbles(_folder: Path) -> list[str]:
        raise ValueError("never seen before")

    monkeypatch.setattr("capture.recovery.salvage_take", stumbles)
    recover_before_recording(tmp_path / "raw", Console())
    assert f"{take} could not be recovered (ValueError: never seen before)" in " ".join(capsys.readouterr().out.split())
    assert content(take) == before
