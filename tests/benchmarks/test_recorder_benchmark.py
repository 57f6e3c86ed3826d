"""The benchmark of the recorder runs, and its judges find what is wrong. None asserts a duration."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from storage.take_folder import finish_part, part_path, streams_path


@pytest.fixture
def played(tmp_path: Path) -> Path:
    """A closed take of simulated devices with its truth, made without real time."""
    from kill_judge import SMALL_RIG
    from offline_take import record_offline

    rig = tmp_path / "rig.toml"
    rig.write_text(SMALL_RIG, encoding="utf-8")
    return record_offline(tmp_path, repetitions=1, cameras=True, rig_path=rig)


def cut(path: Path, share: float) -> None:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))


def test_a_whole_take_is_in_order(played):
    from kill_judge import is_closed, judge_closed, judge_take

    demanded, problems = judge_take(played, np.inf)
    assert demanded > 10_000
    assert problems == []
    assert judge_closed(played, np.inf) == []
    assert is_closed(played)


def test_the_judge_misses_what_was_cut_off(played):
    from kill_judge import judge_closed, judge_take

    cut(streams_path(played), 0.5)
    cut(played / "view1.frames", 0.5)
    found = "\n".join(judge_take(played, np.inf)[1])
    for words in ("our reader misses", "pyxdf misses", "samples of emg", "samples of view1", "view1.frames misses"):
        assert words in found
    assert "changed" in "\n".join(judge_closed(played, np.inf))
    # nothing is demanded of the time before the devices played
    assert judge_take(played, 1000.0) == (0, [])


def test_the_judge_opens_every_video(played):
    from kill_judge import judge_take

    (played / "view1.mov").write_bytes(b"no video")
    found = "\n".join(judge_take(played, np.inf)[1])
    assert "view1.mov does not open" in found
    assert "the video of view1 holds 0 of" in found


def test_the_judge_knows_an_unfinished_take(played):
    from kill_judge import is_closed, judge_closed, judge_take

    streams_path(played).rename(part_path(streams_path(played)))
    assert judge_take(played, np.inf)[1] == []
    assert not is_closed(played)
    assert "streams.xdf.part is left over" in judge_closed(played, np.inf)
    finish_part(streams_path(played))
    shutil.rmtree(played / "truth")
    assert judge_take(played, np.inf) == (0, [])


def test_the_tail_is_what_was_pushed_and_is_not_there(tmp_path):
    from lsl_mix import LAYOUT, PUSH
    from side_by_side import lost_at_the_end

    from lab.streams import Channel
    from storage.xdf_header import build_header
    from storage.xdf_writer import XdfWriter

    pushed = []
    writer = XdfWriter(tmp_path / "streams.xdf")
    for number, stream in enumerate(LAYOUT):
        channels = [Channel(f"c{channel}") for channel in range(stream.channels)]
        writer.stream_header(
            number + 1,
            build_header(stream.name, "X", channels, stream.rate_hz, stream.format, source_id=stream.source_id),
        )
        values = np.zeros((10, stream.channels), dtype={"float32": "f4", "double64": "f8"}[stream.format])
        # the first stream lacks its last two, and two in the middle
        values[:, stream.counter] = [0, 1, 2, 3, 6, 7, 8, 9, 10, 11] if number == 0 else np.arange(10)
        writer.samples(number + 1, np.arange(10.0), values)
        pushed += [(number, count, 100.0 + count) for count in range(1, 15 if number == 0 else 11)]
    writer.close()
    (tmp_path / "pushed").write_bytes(np.array(pushed, dtype=PUSH).tobytes())
    tail = lost_at_the_end(tmp_path / "streams.xdf", tmp_path / "pushed", 114.5)
    assert (tail.samples, tail.within) == (2, 2)
    assert tail.tail_ms == pytest.approx(1500.0)
    tail = lost_at_the_end(tmp_path / "streams.xdf", tmp_path / "pushed", 112.5)
    assert (tail.samples, tail.tail_ms) == (0, 0.0)


def test_a_loop_holds_its_frames(tmp_path):
    from take_cost import write_loop

    from storage.video_reader import read_video_index

    size_kb = write_loop(tmp_path / "loop.mov", 1, width=320, height=240, rate_hz=30.0, frames=5)
    index = read_video_index(tmp_path / "loop.mov")
    assert (index.codec, len(index.pts_us), index.width) == ("mjpeg", 5, 320)
    assert index.sizes.mean() / 1e3 == pytest.approx(size_kb)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_figure_is_printed(tmp_path, capsys):
    from recorder import FIGURES, main
    from two_recorders import labrecorder

    main(["--quick", "--work", str(tmp_path)])
    shown = capsys.readouterr().out
    for words in (
        "flex-capture",
        "publisher",
        "SIGKILL",
        "3 kills",
        "view5",
        "recording side",
        "growth in the second half",
    ):
        assert words in shown
    assert ("LabRecorder   " in shown) == (labrecorder() is not None)
    assert list(tmp_path.iterdir()) == []
    assert len(FIGURES) == 6
