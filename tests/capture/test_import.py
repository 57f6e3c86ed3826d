"""``import``: what others recorded becomes a raw take, unchanged, and every command knows it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from foreign_recording import AMP, BEGIN_S, CAMERA, FRAME_S, grey, write_video, write_xdf

import capture.import_request
from capture.process_take import process_in_memory
from dying import KilledError, die_at
from storage.checksums import verify_sums
from storage.import_folder import left_imports
from storage.raw_take import read_raw_take
from storage.recording_lock import recording_lock
from storage.take_folder import list_takes, read_record, streams_path
from storage.video_reader import decode_frames

AMP_RIG = f"""
name = "theirs"

[[stream]]
name = "amp"
source_id = "{AMP}"
counter = "count"
counter_modulus = 256
latency_s = 0.03
"""

Run = Callable[..., object]
REMOVE = shutil.rmtree


@pytest.fixture
def run(flex_capture: Callable[..., object], tmp_path: Path) -> Run:
    """Import a file as A16 of S12 below ``tmp_path/out``."""

    def import_file(file: Path, *options: object) -> object:
        return flex_capture("import", file, "--subject", "S12", "--action", "A16", "--out", tmp_path / "out", *options)

    return import_file


def only_take(out: Path) -> Path:
    (take,) = list_takes(out / "raw")
    return take


def nothing_imported(out: Path) -> bool:
    return not out.exists() or not [path for path in out.rglob("*") if path.is_file()]


# -- the file, the rig, the dataset --------------------------------------------------------------------------------


def test_a_recording_of_ours_is_imported_as_it_was_recorded(
    offline_take: Callable[..., Path], run: Run, flex_capture: Callable[..., object], tmp_path: Path
) -> None:
    original = offline_take(subject="S01")
    before = process_in_memory(original, lambda *_: None, verify=True)
    outcome = run(streams_path(original), "--rig", tmp_path / "offline.toml", "--reps", 2, "--session", "visit1")
    assert outcome.code == 0, outcome.out + outcome.err
    assert "2 of 2 repetitions" in outcome.out
    take = tmp_path / "out" / "raw" / "S12" / "visit1" / "A16-01"
    assert streams_path(take).read_bytes() == streams_path(original).read_bytes()
    assert verify_sums(take) == []
    record = read_record(take)
    assert (record.state, record.simulated, record.imported.file.name) == ("complete", True, "streams.xdf")
    assert record.imported.file.sha256 == hashlib.sha256(streams_path(original).read_bytes()).hexdigest()
    assert record.started.utc is None
    after = process_in_memory(take, lambda *_: None, verify=True)
    assert after.segmentation.repetitions == before.segmentation.repetitions
    np.testing.assert_array_equal(after.aligned.pose.time_s, before.aligned.pose.time_s)
    again = run(streams_path(original), "--rig", tmp_path / "offline.toml", "--reps", 2, "--session", "visit1")
    assert again.code == 2
    assert "was imported already" in again.err
    assert "--again" in again.err
    once_more = run(
        streams_path(original), "--rig", tmp_path / "offline.toml", "--reps", 2, "--session", "visit1", "--again"
    )
    assert once_more.code == 0, once_more.out + once_more.err
    assert "it is take 2 of A16" in once_more.out
    table = pd.read_parquet(tmp_path / "out" / "dataset" / "takes.parquet").set_index("take_id")
    assert bool(table.loc["S12_visit1_A16-02", "current"])
    assert not bool(table.loc["S12_visit1_A16-01", "current"])
    assert table["started_utc"].isna().all()
    assert flex_capture("validate", tmp_path / "out" / "dataset").code == 0


def test_the_rig_says_what_the_streams_are(run: Run, tmp_path: Path) -> None:
    rig = tmp_path / "rig.toml"
    rig.write_text(AMP_RIG + '\n[[stream]]\nname = "cue"\nquery = "type=\'Markers\' and channel_count=1"\n')
    outcome = run(write_xdf(tmp_path / "theirs.xdf"), "--rig", rig)
    assert outcome.code == 1, outcome.out + outcome.err  # there is no pose to find repetitions in
    record = read_record(only_take(tmp_path / "out"))
    assert [stream.name for stream in record.streams] == ["amp", "VideoStream", "cue"]
    aligned = process_in_memory(only_take(tmp_path / "out"), lambda *_: None, verify=True).aligned
    assert aligned.emg is not None
    assert [channel.label for channel in aligned.emg.channels] == ["biceps", "triceps"]
    (amp,) = [report for report in aligned.reports if report.stream == "amp"]
    assert (amp.lost, amp.latency_s, amp.method) == (0, 0.03, "device count")
    np.testing.assert_allclose(aligned.emg.time_s[0], BEGIN_S - 0.03, atol=2e-3)


def test_what_the_rig_says_wrongly_is_said_before_anything_is_touched(run: Run, tmp_path: Path) -> None:
    file, rig = write_xdf(tmp_path / "theirs.xdf"), tmp_path / "rig.toml"
    for text, sentence in (
        ('[[stream]]\nname = "a"\nquery = "((("\n', "is no LSL query"),
        ('[[stream]]\nname = "a"\nquery = "channel_count=1"\n', "2 streams of the file match"),
        (f'[[stream]]\nname = "a"\nsource_id = "{AMP}"\n[[stream]]\nname = "b"\nquery = "type=\'EMG\'"\n', "the same"),
        (f'[[stream]]\nname = "a"\nsource_id = "{AMP}"\ncounter = "cnt"\n', "its counter 'cnt' is no channel"),
        (f'[[stream]]\nname = "a"\nsource_id = "{AMP}"\nunit = "apples"\n', "'apples' is not a known unit of voltage"),
        (f'[[stream]]\nname = "a"\nsource_id = "{AMP}"\nlabels = ["one"]\n', "'labels' names 1 channels"),
    ):
        rig.write_text(f'name = "r"\n{text}')
        outcome = run(file, "--rig", rig)
        assert outcome.code == 2, outcome.out
        assert sentence in outcome.err
        assert "Traceback" not in outcome.err
        assert nothing_imported(tmp_path / "out")
    outcome = run(write_xdf(tmp_path / "odd.xdf", unit="apples"))
    assert outcome.code == 2
    assert "[[stream]] in a rig file" in outcome.err


def test_a_stream_of_the_rig_that_is_not_in_the_file_marks_the_take(run: Run, tmp_path: Path) -> None:
    rig = tmp_path / "rig.toml"
    rig.write_text(AMP_RIG + '\n[[stream]]\nname = "vest"\nsource_id = "vest-1"\n')
    outcome = run(write_xdf(tmp_path / "theirs.xdf"), "--rig", rig)
    assert outcome.code == 1
    assert "stream 'vest' of the rig is not in theirs.xdf" in outcome.out
    assert "vest" in read_record(only_take(tmp_path / "out")).faults[0]


def test_every_file_of_others_is_imported_or_refused_in_a_sentence(run: Run, data_folder: Path, tmp_path: Path) -> None:
    files = sorted((data_folder / "xdf").glob("*.xdf"))
    assert files
    imported = 0
    for file in files:
        before = file.read_bytes()
        outcome = run(file)
        assert file.read_bytes() == before
        assert "Traceback" not in outcome.out + outcome.err
        if outcome.code == 2:
            assert len(outcome.err.strip().splitlines()) == 1
        else:
            assert outcome.code == 1, outcome.out + outcome.err
            imported += 1
    takes = list_takes(tmp_path / "out" / "raw")
    assert len(takes) == imported >= 6
    assert all(verify_sums(take) == [] for take in takes)


def test_a_damaged_file_is_kept_as_it_is_and_marks_the_take(run: Run, tmp_path: Path) -> None:
    whole = write_xdf(tmp_path / "whole.xdf").read_bytes()
    torn = tmp_path / "torn.xdf"
    torn.write_bytes(whole[: len(whole) // 2 - 7])
    outcome = run(torn)
    assert outcome.code == 1, outcome.out + outcome.err
    take = only_take(tmp_path / "out")
    assert streams_path(take).read_bytes() == torn.read_bytes()
    assert read_record(take).state == "recovered"
    assert "cannot be used" in outcome.out
    assert verify_sums(take) == []


def test_checksums_that_were_lost_are_written_again_and_compared_with_what_was_imported(
    run: Run, flex_capture: Callable[..., object], tmp_path: Path
) -> None:
    whole = write_xdf(tmp_path / "whole.xdf").read_bytes()
    torn, video = tmp_path / "torn.xdf", write_video(tmp_path / "cam1.mp4", 200)
    torn.write_bytes(whole[: len(whole) - 500])
    assert run(torn, "--video", f"view1={video}:VideoStream", "--first-frame", "view1=0").code == 1
    take = only_take(tmp_path / "out")
    for change, words in ((b"", ""), (b"x", "view1.mp4 is not what was imported from cam1.mp4")):
        (take / "SHA256SUMS").unlink()
        with (take / "view1.mp4").open("ab") as file:
            file.write(change)
        outcome = flex_capture("recover", take)
        assert outcome.code == 0, outcome
        assert "its checksums were missing" in outcome.out
        assert words in outcome.out
        assert ("is not what was imported" in outcome.out) == bool(words)
        assert verify_sums(take) == []


# -- when it was ---------------------------------------------------------------------------------------------------


def test_what_nobody_said_of_the_time_is_not_known(run: Run, tmp_path: Path) -> None:
    file = write_xdf(tmp_path / "theirs.xdf")
    said = run(file, "--recorded-utc", "2026-11-22T09:30:00Z")
    assert said.code == 1, said.err
    record = read_record(only_take(tmp_path / "out"))
    assert record.started.utc == "2026-11-22T09:30:00.000000+00:00"
    assert record.started.width_s is None
    np.testing.assert_allclose(record.started.session_s, BEGIN_S, atol=1e-6)
    assert record.session.startswith("20261122-")
    for wrong in ("2026-11-22T09:30:00", "yesterday"):
        outcome = run(file, "--recorded-utc", wrong, "--again")
        assert outcome.code == 2
        assert "no time with its zone" in outcome.err


# -- videos --------------------------------------------------------------------------------------------------------


def frame_times(take: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (place in the video, session time, frame number) of the frames of view1."""
    (view,) = process_in_memory(take, lambda *_: None, verify=True).aligned.views
    return view.index, view.time_s, view.frame_id


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("mkv", "mjpeg"), ("avi", "mjpeg")])
def test_a_video_has_the_times_of_the_stream_that_counts_its_frames(
    run: Run, tmp_path: Path, ending: str, codec: str
) -> None:
    file, video = write_xdf(tmp_path / "theirs.xdf"), write_video(tmp_path / f"cam1.{ending}", 200, codec)
    outcome = run(file, "--video", f"view1={video}:VideoStream")
    assert outcome.code == 1, outcome.out + outcome.err
    take = only_take(tmp_path / "out")
    assert (take / f"view1.{ending}").read_bytes() == video.read_bytes()
    assert verify_sums(take) == []
    index, time_s, _ = frame_times(take)
    np.testing.assert_array_equal(index, np.arange(200))
    np.testing.assert_allclose(time_s, BEGIN_S + FRAME_S * np.arange(200), atol=1e-3)  # not at the 30 Hz of the file
    assert "VideoStream" not in {stream.name for stream in read_raw_take(take).streams}
    bound = read_record(take).imported.videos[0]
    assert (bound.stream, bound.channel, bound.first_frame) == ("VideoStream", 1, 0)
    images = decode_frames(read_raw_take(take).views[0].video_path, [0, 99, 199])
    assert [abs(float(image.mean()) - grey(place)) < 6 for image, place in zip(images, (0, 99, 199), strict=True)] == [
        True
    ] * 3


def test_frames_that_only_the_stream_or_only_the_video_has_move_no_others(run: Run, tmp_path: Path) -> None:
    numbers = [number for number in range(5, 210) if number not in range(40, 50)]
    times = [BEGIN_S + FRAME_S * number for number in numbers]
    file = write_xdf(tmp_path / "theirs.xdf", numbers=numbers, frame_times_s=times)
    video = write_video(tmp_path / "cam1.mp4", 200)
    refused = run(file, "--video", f"view1={video}:{CAMERA}")
    assert refused.code == 2
    assert "the numbers run from 5 to 209 and cam1.mp4 has 200 frames" in refused.err
    assert "--first-frame" in refused.err
    outcome = run(file, "--video", f"view1={video}:{CAMERA}:frame", "--first-frame", "view1=0")
    assert outcome.code == 1, outcome.out + outcome.err
    assert "view1: 10 frames that were counted are not in cam1.mp4" in outcome.out
    assert "15 frames of cam1.mp4 have no time and are left out: 10 within it, 5 at its ends" in outcome.out
    index, time_s, frame_id = frame_times(only_take(tmp_path / "out"))
    np.testing.assert_array_equal(frame_id, numbers)
    np.testing.assert_array_equal(index, [number if number < 200 else -1 for number in numbers])
    np.testing.assert_allclose(time_s, times, atol=1e-3)
    record = read_record(only_take(tmp_path / "out"))
    assert (record.views[0].frames, record.views[0].encoded) == (len(numbers) + 15, 200)


def test_a_table_of_session_times_places_a_video_too(run: Run, tmp_path: Path) -> None:
    file, video = write_xdf(tmp_path / "theirs.xdf"), write_video(tmp_path / "cam1.mp4", 50)
    times = [BEGIN_S + 1 + 0.05 * frame + 0.004 * (frame % 2) for frame in range(50)]
    table = tmp_path / "cam1.csv"
    table.write_text(
        "frame,time_s\n" + "".join(f"{frame},{'' if frame == 7 else time_s}\n" for frame, time_s in enumerate(times))
    )
    outcome = run(file, "--video", f"view1={video}:{table}")
    assert outcome.code == 1, outcome.out + outcome.err
    take = only_take(tmp_path / "out")
    assert (take / "view1.times.csv").read_bytes() == table.read_bytes()
    index, time_s, _ = frame_times(take)
    np.testing.assert_array_equal(index, [frame for frame in range(50) if frame != 7])
    np.testing.assert_allclose(time_s, [time_s for frame, time_s in enumerate(times) if frame != 7], atol=5e-3)
    (report,) = [
        report
        for report in process_in_memory(take, lambda *_: None, verify=True).aligned.reports
        if report.stream == "view1"
    ]
    assert report.in_sync, report


@pytest.mark.parametrize(
    ("binding", "sentence"),
    [
        ("", "nothing says when the frames of cam1.mp4 were taken"),
        (":Nobody", "no stream with samples is called 'Nobody'; the streams are 'Amplifier', 'VideoStream', 'Cues'"),
        (":Amplifier", "say which channel of stream 'Amplifier' counts the frames"),
        (":Amplifier:9", "say which channel of stream 'Amplifier' counts the frames"),
        (":Cues", "no sample of its stream holds the number of a frame"),
        (":nowhere.csv", "there is no file nowhere.csv"),
    ],
)
def test_a_video_that_nothing_places_in_time_is_refused(run: Run, tmp_path: Path, binding: str, sentence: str) -> None:
    file, video = write_xdf(tmp_path / "theirs.xdf"), write_video(tmp_path / "cam1.mp4", 20)
    outcome = run(file, "--video", f"view1={video}{binding}")
    assert outcome.code == 2
    assert sentence in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert nothing_imported(tmp_path / "out")


def test_what_is_typed_wrongly_is_said_all_at_once(run: Run, tmp_path: Path) -> None:
    outcome = run(
        tmp_path / "none.xdf",
        *("--video", "cam1.mp4", "--video", "view1=none.mp4:x", "--skill", "elite", "--session", "a/b"),
    )
    assert outcome.code == 2
    for sentence in ("names no view", "there is no file none.mp4", "skill level 'elite'", "session 'a/b'", "none.xdf"):
        assert sentence in outcome.err
    assert run(write_xdf(tmp_path / "a.xdf"), "--first-frame", "view1=1").code == 2
    text = tmp_path / "text.xdf"
    text.write_text("not XDF")
    assert "is not an XDF file" in run(text).err


@pytest.mark.parametrize("of_view", [False, True])
def test_the_delay_of_a_camera_is_the_views_or_else_the_streams(run: Run, tmp_path: Path, of_view: bool) -> None:
    file, video = write_xdf(tmp_path / "theirs.xdf"), write_video(tmp_path / "cam1.mp4", 200)
    view = '\n[[device]]\nname = "view1"\ndriver = "simulated.camera"\nlatency_s = 0.02\n' if of_view else ""
    rig = tmp_path / "rig.toml"
    rig.write_text(f'name = "r"\n[[stream]]\nname = "frames"\nsource_id = "{CAMERA}"\nlatency_s = 0.04\n{view}')
    outcome = run(file, "--rig", rig, "--video", f"view1={video}:frames")
    assert outcome.code == 1, outcome.out + outcome.err
    _, time_s, _ = frame_times(only_take(tmp_path / "out"))
    delay_s = 0.02 if of_view else 0.04
    np.testing.assert_allclose(time_s, BEGIN_S + FRAME_S * np.arange(200) - delay_s, atol=1e-3)


def test_the_rows_of_a_camera_of_ours_find_their_own_frames(recorded: object, run: Run, tmp_path: Path) -> None:
    from capture.process_take import process_in_memory

    original = recorded.take
    videos = [f"{name}={original / name}.mov:{name}" for name in ("view1", "view2")]
    outcome = run(
        streams_path(original), "--reps", 2, "--rig", original.parents[3] / "rig.toml",
        *("--video", videos[0], "--video", videos[1]),
    )  # fmt: skip
    assert outcome.code == 0, outcome.out + outcome.err
    before = process_in_memory(original, lambda *_: None, verify=True).aligned.views
    after = process_in_memory(only_take(tmp_path / "out"), lambda *_: None, verify=True).aligned.views
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.index, other.index)
        np.testing.assert_array_equal(one.time_s, other.time_s)
    assert len(after) == 2


# -- a part of a file ----------------------------------------------------------------------------------------------


def test_each_part_of_a_long_file_is_a_take_with_the_whole_file(
    run: Run, flex_capture: Callable[..., object], tmp_path: Path
) -> None:
    file, video = write_xdf(tmp_path / "theirs.xdf"), write_video(tmp_path / "cam1.mp4", 200)
    bind = ("--video", f"view1={video}:VideoStream")
    first = run(file, *bind, "--from-marker", "squat", "--to-marker", "end")
    assert first.code == 1, first.out + first.err
    second = run(file, *bind, "--from", 3.0, "--to", 6.0, "--action", "A17")
    assert second.code == 1, second.out + second.err
    one, two = list_takes(tmp_path / "out" / "raw")
    assert streams_path(one).read_bytes() == streams_path(two).read_bytes() == file.read_bytes()
    for take, low_s, high_s in ((one, 1500.5, 1503.0), (two, BEGIN_S + 3, BEGIN_S + 6)):
        aligned = process_in_memory(take, lambda *_: None, verify=True).aligned
        for time_s in (aligned.emg.time_s, aligned.views[0].time_s):
            assert low_s - 2e-3 <= time_s[0] < low_s + FRAME_S
            assert high_s - FRAME_S - 2e-3 < time_s[-1] <= high_s + 2e-3
        np.testing.assert_allclose(aligned.views[0].time_s, BEGIN_S + FRAME_S * aligned.views[0].index, atol=1e-3)
    overlapping = run(file, "--from", 2.0, "--to", 4.0)
    assert overlapping.code == 2
    assert "was imported already" in overlapping.err
    for options, sentence in (
        (("--from-marker", "rest"), "is there 2 times, at 4.000, 5.000 s"),
        (("--from-marker", "nobody"), "there is no marker 'nobody' in the file; markers are 'squat', 'end', 'rest'"),
        (("--from-marker", "end", "--to-marker", "squat"), "there is no marker 'squat' after the beginning"),
        (("--from", 20.0), "there is nothing: the file has samples from 0 s to"),
        (("--from", 3.0, "--to", 3.0), "there is nothing"),
        (("--from", 3.0, "--from-marker", "end"), "leave out one"),
    ):
        outcome = run(file, *options, "--again")
        assert outcome.code == 2, outcome.out
        assert sentence in outcome.err
    page = tmp_path / "page.html"
    assert flex_capture("show", one, "--output", page).code == 0
    assert "theirs.xdf" in page.read_text(encoding="utf-8")


# -- whole or not at all -------------------------------------------------------------------------------------------


def test_killed_at_any_change_of_a_name_nothing_is_left_that_looks_like_a_take(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from capture.import_request import ImportRequest
    from capture.import_take import import_take
    from capture.import_window import WindowRequest

    file, out = write_xdf(tmp_path / "theirs.xdf", seconds=3.0), tmp_path / "out"
    request = ImportRequest(
        file, "S12", "A16", None, None, 10, None, out, "visit", None, WindowRequest(), (), (), again=False
    )
    number, whole = 0, False
    while not whole:
        number += 1
        with monkeypatch.context() as patch:
            patch.setattr("capture.import_take.take_into_dataset", lambda *_: 0)
            patch.setattr("capture.import_take.recording_lock", lambda *_: contextlib.nullcontext())
            calls = die_at(patch, number)

            def while_alive(
                folder: Path, *, ignore_errors: bool, calls: Callable[[], int] = calls, number: int = number
            ) -> None:
                if calls() < number:
                    REMOVE(folder, ignore_errors=ignore_errors)

            patch.setattr(shutil, "rmtree", while_alive)
            try:
                import_take(request)
                whole = calls() < number
            except KilledError:
                pass
        takes = list_takes(out / "raw") if (out / "raw").is_dir() else []
        if takes:
            assert verify_sums(takes[0]) == []
            assert streams_path(takes[0]).read_bytes() == file.read_bytes()
            break
        assert number < 50
    assert number > 1
    outcome = run(file, "--session", "visit", "--again")
    assert outcome.code == 1, outcome.out + outcome.err
    assert left_imports(out / "raw" / "S12") == []
    assert all(verify_sums(take) == [] for take in list_takes(out / "raw"))


def test_a_killed_import_leaves_what_the_next_one_and_withdraw_remove(
    run: Run, flex_capture: Callable[..., object], tmp_path: Path
) -> None:
    file, out = write_xdf(tmp_path / "theirs.xdf"), tmp_path / "out"
    left = out / "raw" / "S12" / "visit" / "A16-01.importing"
    left.mkdir(parents=True)
    (left / "streams.xdf").write_bytes(b"XDF:half")
    outcome = run(file, "--session", "visit")
    assert outcome.code == 1, outcome.err
    assert "what an import that was cut off had left is removed" in outcome.out
    assert not left.exists()
    left.mkdir()
    (left / "streams.xdf").write_bytes(b"XDF:half")
    assert flex_capture("withdraw", "S12", "--out", out, "--confirm", "S12").code == 0
    assert not (out / "raw" / "S12").exists()


@pytest.mark.slow
def test_a_process_that_is_killed_or_interrupted_while_it_copies(run: Run, tmp_path: Path) -> None:
    import signal

    out = tmp_path / "out"
    file = write_xdf(tmp_path / "theirs.xdf")
    video = tmp_path / "large.mp4"
    write_video(video, 200)
    with video.open("r+b") as longer:  # what follows the boxes of an MP4 is passed over
        longer.truncate(video.stat().st_size + 400_000_000)
    command = [sys.executable, "-c", "from capture.cli import main; main()", "import", file, "--subject", "S12"]
    command += ["--action", "A16", "--out", out, "--session", "visit", "--video", f"view1={video}:VideoStream"]
    for number in (signal.SIGINT, signal.SIGKILL):
        with subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            deadline_s = time.monotonic() + 60
            while not list(out.glob("raw/S12/visit/*.importing/view1.mp4")):
                assert process.poll() is None
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
            process.send_signal(number)
            said, _ = process.communicate(timeout=60)
        if number == signal.SIGINT:
            assert process.returncode == 130
            assert b"nothing was imported" in said
            assert not out.exists()
        else:
            assert list_takes(out / "raw") == []
            assert len(left_imports(out / "raw" / "S12")) == 1
    assert run(file, "--session", "visit").code == 1
    assert left_imports(out / "raw" / "S12") == []


def test_two_at_once_and_a_recorder_are_told_of_each_other(run: Run, tmp_path: Path) -> None:
    file, out = write_xdf(tmp_path / "theirs.xdf", seconds=2.0), tmp_path / "out"
    with recording_lock(out / "raw", "import"):
        outcome = run(file)
        assert outcome.code == 2
        assert "an import is under way" in outcome.err
    with recording_lock(out / "raw"):
        assert "a recording is under way" in run(file).err
    assert nothing_imported(out)


def test_a_file_that_is_still_recorded_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_xdf(tmp_path / "theirs.xdf", seconds=2.0)
    require_room = capture.import_request.require_room

    def grow(out: Path, size: int) -> None:
        with file.open("ab") as growing:
            growing.write(b"\x01")
        require_room(out, size)

    monkeypatch.setattr("capture.import_take.require_room", grow)
    outcome = run(file)
    assert outcome.code == 2
    assert "changed while it was imported" in outcome.err
    assert nothing_imported(tmp_path / "out")


def test_a_disk_without_room_is_said_before(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_xdf(tmp_path / "theirs.xdf", seconds=2.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))
    outcome = run(file)
    assert outcome.code == 2
    assert "does not fit on the disk" in outcome.err
    assert nothing_imported(tmp_path / "out")


def test_a_disk_that_fails_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.errors import TakeError

    file = write_xdf(tmp_path / "theirs.xdf", seconds=2.0)

    def fail(*_arguments: object) -> None:
        raise TakeError("the disk is full")

    monkeypatch.setattr("capture.import_take.write_sums", fail)
    outcome = run(file)
    assert outcome.code == 3
    assert "the disk is full" in outcome.err
    assert nothing_imported(tmp_path / "out")


def test_consent_and_sheet_count_as_for_a_recording(
    run: Run, flex_capture: Callable[..., object], tmp_path: Path
) -> None:
    file, out = write_xdf(tmp_path / "theirs.xdf", seconds=2.0), tmp_path / "out"
    assert flex_capture("subject", "S12", "--out", out, "--skill", "novice", "--no-consent").code == 0
    outcome = run(file)
    assert outcome.code == 2
    assert "consent" in outcome.err
    assert flex_capture("subject", "S12", "--out", out, "--consent").code == 0
    assert run(file).code == 1
    assert read_record(only_take(out)).skill == "novice"


# -- afterwards ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_command_knows_an_imported_take(run: Run, flex_capture: Callable[..., object], tmp_path: Path) -> None:
    file, video = write_xdf(tmp_path / "theirs.xdf"), write_video(tmp_path / "cam1.mp4", 200)
    out, backup = tmp_path / "out", tmp_path / "backup"
    assert run(file, "--session", "visit", "--video", f"view1={video}:VideoStream").code == 1
    take, take_id = only_take(out), "S12_visit_A16-01"
    backup.mkdir()
    assert flex_capture("verify", take).code == 0
    assert flex_capture("recover", take).code == 0
    assert flex_capture("status", "--out", out).code == 0
    assert flex_capture("status", "--out", out, "--subject", "S12").code == 0
    assert flex_capture("resegment", take).code == 1
    assert flex_capture("validate", out / "dataset").code == 0
    assert flex_capture("rebuild", out / "dataset").code == 0
    assert flex_capture("backup", out, backup).code == 0
    aligned = flex_capture("sync", take, "--output", tmp_path / "aligned.h5")
    assert aligned.code in {0, 1}, aligned.err
    assert "view1" in aligned.out
    assert flex_capture("export", take, "--format", "c3d", "--output", tmp_path / "c3d").code in {0, 2}
    assert flex_capture("replay", take, "--now", "--duration", 1).code == 0
    assert verify_sums(backup / "raw" / "S12" / "visit" / "A16-01") == []
    for place in ((take,), (out / "dataset",), (out / "dataset", "--take", take_id)):
        page = tmp_path / "page.html"
        assert flex_capture("show", *place, "--output", page).code == 0
        assert ">None<" not in page.read_text(encoding="utf-8")
    assert flex_capture("amend", "--out", out, take_id, "--action", "A17", "--note", "belt").code in {0, 1}
    with (take / "streams.xdf").open("r+b") as raw:
        raw.write(b"?")
    assert flex_capture("verify", take).code == 1
    assert flex_capture("withdraw", "S12", "--out", out, "--confirm", "S12").code == 0
    assert not list_takes(out / "raw")


def test_take_json_of_an_import_says_where_everything_is_from(run: Run, tmp_path: Path) -> None:
    file, video = write_xdf(tmp_path / "theirs.xdf"), write_video(tmp_path / "cam1.mp4", 200)
    run(file, "--video", f"view1={video}:VideoStream", "--load-kg", 40, "--reps", 8)
    said = json.loads((only_take(tmp_path / "out") / "take.json").read_text())
    assert (said["load_kg"], said["expected_repetitions"]) == (40, 8)
    assert said["imported"]["videos"][0]["file"] == {
        "name": "cam1.mp4",
        "sha256": hashlib.sha256(video.read_bytes()).hexdigest(),
        "size": video.stat().st_size,
    }
    assert said["events"][0]["kind"] == "imported"
    assert str(tmp_path) not in json.dumps(said)
