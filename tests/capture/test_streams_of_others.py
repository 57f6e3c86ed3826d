"""Streams that somebody else publishes, by a plain pylsl program in a process of its own, recorded through the rig."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pylsl
import pytest
import pyxdf
from publisher import TEXTS

from capture.streams_of_others import find_streams_of_others
from lab.errors import DeviceError, RigError
from lab.rig import Rig
from small_rigs import MOCAP
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes, read_record

PUBLISHER = Path(__file__).with_name("publisher.py")

EMG_OF_OTHERS = """
[[stream]]
name = "amp"
query = "type='EMG' and name='Vendor EMG (2)'"
counter = "count"
counter_modulus = 256
max_uncertainty_ms = 50.0
"""

MARKERS = """
[[stream]]
name = "cues"
source_id = "cue-box"
"""


@contextlib.contextmanager
def publishing(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PUBLISHER), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        yield process
        process.communicate(timeout=20)  # it ends when its input closes


def rig_of(*streams: str, wait_s: float = 6.0) -> Rig:
    from storage.toml_file import tomllib

    return Rig.model_validate(tomllib.loads(f'name = "x"\nwait_s = {wait_s}\n' + "".join(streams)))


def entry(name: str, more: str) -> str:
    return f'[[stream]]\nname = "{name}"\n{more}\n'


def sample_numbers(values: np.ndarray) -> np.ndarray:
    """Return which samples of the publisher these are, modulo 2000; every channel must agree."""
    numbers = (values[:, 0].astype(int) + 1000) % 2000
    for channel in range(8):
        assert (values[:, channel] == (numbers * (channel + 1)) % 2000 - 1000).all()
    return numbers


@pytest.mark.slow
def test_emg_and_markers_beside_a_simulated_mocap(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    rig, out = write_rig(MOCAP, EMG_OF_OTHERS, MARKERS), tmp_path / "out"
    with (
        publishing("emg", "Vendor EMG (2)", "amp-0042"),
        publishing("markers", 'it\'s a "box"', "cue-box"),
    ):
        outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--reps", 1, "--out", out, "--yes")
    assert outcome.code == 0, outcome
    assert "1 of 1 repetitions" in outcome.out
    assert "3 streams in sync" in outcome.out
    (take,) = list_takes(out / "raw")
    record = read_record(take)
    by_name = {stream.name: stream for stream in record.streams}
    assert set(by_name) == {"mocap", "mocap.clock", "amp", "cues"}
    assert by_name["amp"].source_id == "amp-0042"
    assert record.simulated_devices == ("mocap",)

    # untouched in the raw take: somebody else's reader finds every value under the publisher's own names
    streams, _ = pyxdf.load_xdf(take / "streams.xdf", synchronize_clocks=False, dejitter_timestamps=False)
    theirs = {stream["info"]["name"][0]: stream for stream in streams}
    emg = theirs["Vendor EMG (2)"]
    values = np.asarray(emg["time_series"])
    assert values.shape[1] == 9
    numbers = sample_numbers(values)
    assert (np.diff(numbers) % 2000 == 1).all()
    assert (np.diff(values[:, 8].astype(int)) % 256 == 1).all()
    assert len(emg["footer"]["info"]["clock_offsets"][0]["offset"]) >= 1
    cues = theirs['it\'s a "box"']
    said = [row[0] for row in cues["time_series"]]
    assert len(said) >= 3
    begin = TEXTS.index(said[0])
    assert said == [TEXTS[(begin + number) % len(TEXTS)] for number in range(len(said))]

    # our reader: the rig's names, the counter taken out, nothing lost
    recorded = {stream.name: stream for stream in read_raw_take(take).streams}
    assert set(recorded) == {"mocap", "amp", "cues"}
    assert recorded["amp"].values.shape[1] == 9
    assert [row[0] for row in recorded["cues"].values] == said
    rows = pd.read_parquet(out / "dataset" / "streams.parquet").set_index("stream")
    assert rows.loc["amp", "method"] == "device count"
    assert rows.loc["amp", "lost"] == 0
    assert rows.loc["cues", "method"] == "own stamps"

    # and the dataset
    repetition = pd.read_parquet(out / "dataset" / "repetitions.parquet").iloc[0]
    with h5py.File(out / "dataset" / repetition.signals_file) as signals:
        inside = signals["rep_01/emg/values"][:]
        assert inside.shape[1] == 8
        assert not signals["rep_01/emg"].attrs["simulated"]
        assert (np.diff(sample_numbers(inside)) % 2000 == 1).all()
        spacing_s = np.diff(signals["rep_01/emg/time"][:])
        assert abs(np.median(spacing_s) - 1e-3) < 5e-5
    assert flex_capture("validate", out / "dataset").code == 0


@pytest.mark.slow
def test_a_rig_of_others_alone_and_a_marker_stream_that_says_nothing(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    bare = entry(
        "heart",
        'source_id = "s1"\ncontent_type = "Physio"\nunit = "1/min"\nlabels = ["n", "hr", "br", "ch4"]\n'
        'channel_types = ["", "HeartRate", "BreathRate", "misc"]\ncounter = 1\nmax_uncertainty_ms = 100.0',
    )
    rig, out = write_rig(bare, entry("quiet", 'source_id = "s2"')), tmp_path / "out"
    with publishing("bare", "x", "s1"), publishing("mute", "y", "s2"):
        outcome = flex_capture(
            "record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--duration", 4, "--reps", 1
        )
    assert outcome.code == 1, outcome  # no pose, hence no repetition; nothing else is wrong
    assert "2 streams in sync" in outcome.out
    assert "silent" not in outcome.out
    (take,) = list_takes(out / "raw")
    record = read_record(take)
    assert record.stop_reason == "duration reached"
    assert record.faults == ()
    assert {stream.name: stream.samples > 0 for stream in record.streams} == {"heart": True, "quiet": False}
    rows = pd.read_parquet(out / "dataset" / "streams.parquet").set_index("stream")
    assert rows.loc["heart", "method"] == "device count"
    assert list(pd.read_parquet(out / "dataset" / "takes.parquet").modalities.iloc[0]) == ["heart_rate", "breath_rate"]


@pytest.mark.slow
def test_a_publisher_that_is_killed_marks_the_take_and_the_others_go_on(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    cues = MARKERS.replace("cue-box", "cue-box-2")
    rig, out = write_rig(MOCAP, EMG_OF_OTHERS, cues), tmp_path / "out"
    with (
        publishing("emg", "Vendor EMG (2)", "amp-0043") as amp,
        publishing("mute", "cues", "cue-box-2") as box,
    ):

        def kill_later() -> None:
            while not list(out.rglob("streams.xdf.part")):
                time.sleep(0.05)
            time.sleep(3.0)
            amp.kill()
            box.kill()

        killer = threading.Thread(target=kill_later)
        killer.start()
        outcome = flex_capture(
            "record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--duration", 18, "--reps", 3
        )
        killer.join()
    assert outcome.code == 3, outcome
    (take,) = list_takes(out / "raw")
    record = read_record(take)
    said = " ".join(record.faults)
    assert "stream 'amp' of device 'amp' was silent" in said
    assert "stream 'amp' has gone" in said
    assert "stream 'cues' has gone" in said
    recorded = {stream.name: stream for stream in read_raw_take(take).streams}
    span_s = recorded["mocap"].stamps[-1] - recorded["mocap"].stamps[0]
    assert span_s > 15
    assert 1000 < len(recorded["amp"].stamps) < 10_000
    assert (np.diff(sample_numbers(recorded["amp"].values)) % 2000 == 1).all()
    assert flex_capture("resegment", take).code == 1  # marked for good


@pytest.mark.slow
def test_none_two_and_the_same_twice_are_said_before_anything_is_recorded(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    rig = write_rig(entry("eeg", 'source_id = "nobody\'s \\"box\\""'), top='name = "x"\nwait_s = 1.0\n')
    with publishing("bare", "Bare\x1b[31m", "one"):
        outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes")
    assert outcome.code == 3, outcome
    assert len(outcome.err.strip().splitlines()) == 1
    assert "stream 'eeg'" in outcome.err
    assert 'nobody\'s "box"' in outcome.err
    assert "'Bare�[31m'" in outcome.err  # what is there is named, without what would steer the terminal
    assert not out.exists()

    with publishing("bare", "A", "left"), publishing("bare", "A", "right"), publishing("bare", "B", "both"):
        with pytest.raises(DeviceError, match=r"2 streams match query \"name='A'\".*'left'.*'right'") as caught:
            find_streams_of_others(rig_of(entry("one", "query = \"name='A'\"")), ())
        assert len(caught.value.problems) == 1
        twice = rig_of(entry("one", 'source_id = "both"'), entry("two", "query = \"name='B'\""))
        with pytest.raises(DeviceError, match="streams 'one' and 'two' of the rig are the same"):
            find_streams_of_others(twice, ())
        both = rig_of(entry("one", 'source_id = "right"\nquery = "name=\'A\'"'))
        (found,) = find_streams_of_others(both, ())
        assert found.source_id == "right"
        with pytest.raises(DeviceError, match="no stream matches"):
            find_streams_of_others(rig_of(entry("one", 'source_id = "right"'), wait_s=0.5), {"right"})


@pytest.mark.parametrize("query", ["type='EMG", "((", "name=='x'", "name='it's'"])
def test_a_query_that_is_none_is_said(query: str) -> None:
    with pytest.raises(RigError, match=r"stream 'one': .* is no LSL query"):
        find_streams_of_others(rig_of(entry("one", f'query = "{query}"'), wait_s=0.5), ())


def test_a_name_full_of_quotes_can_be_asked_for() -> None:
    name = 'it\'s "odd" <b>&amp;</b> ]'
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "EEG", 1, 100.0, "float32", "a'b\"c] or 1"))
    (found,) = find_streams_of_others(rig_of("[[stream]]\nname = 'one'\nsource_id = '''a'b\"c] or 1'''\n"), ())
    assert found.info.name() == name
    query = "query = '''name=concat('it', \"'\", 's \"odd\" <b>&amp;</b> ]')'''"
    (found,) = find_streams_of_others(rig_of("[[stream]]\nname = 'one'\n" + query + "\n"), ())
    assert found.source_id == "a'b\"c] or 1"
    del outlet


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('content_type = "EMG"', ["unit"]),
        ('content_type = "MoCap"', ["no channel is a position"]),
        ('content_type = "MoCap"\nunit = "mm"\nlabels = ["n", "LASI_X", "LASI_Y", "LASI_Z"]', ["marker_map"]),
        ('labels = ["a", "b"]', ["'labels' names 2 channels, but the stream has 4"]),
        ('channel_types = ["a", "b"]', ["'channel_types' names 2"]),
        ('counter = "count"', ["'count' is no channel of 4", "ch1"]),
        ("counter = 5", ["'5' is no channel of 4"]),
        ('labels = ["a", "a", "b", "c"]\ncounter = "a"', ["'a' is more than one channel"]),
    ],
)
def test_what_a_stream_does_not_say_the_rig_must(
    said: str,
    words: list[str],
    write_rig: Callable[..., Path],
    tmp_path: Path,
    flex_capture: Callable[..., object],
) -> None:
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("bare", "", 4, 200.0, "float32", "bare-1"))
    rig = write_rig(entry("one", f'source_id = "bare-1"\n{said}'))
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", tmp_path / "out", "--yes")
    assert outcome.code in {2, 3}, outcome
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    for word in ("stream 'one'", *words):
        assert word in outcome.err
    assert not (tmp_path / "out").exists()
    del outlet


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Vendor EMG (2)", "it's back"])
def test_a_publisher_that_comes_back_is_recorded_again(
    name: str, write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    source = f"amp-back-{len(name)}"
    rig, out = write_rig(MOCAP, entry("amp", f'source_id = "{source}"\ncounter = "count"')), tmp_path / "out"
    ended = threading.Event()

    def come_and_go() -> None:
        with publishing("emg", name, source) as amp:
            there.set()
            while not list(out.rglob("streams.xdf.part")):
                time.sleep(0.05)
            time.sleep(3.0)
            amp.kill()
        time.sleep(2.5)
        with publishing("emg", name, source):
            ended.wait(60)

    there = threading.Event()
    publisher = threading.Thread(target=come_and_go)
    publisher.start()
    assert there.wait(20)
    try:
        outcome = flex_capture(
            "record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--duration", 20, "--reps", 4
        )
    finally:
        ended.set()
        publisher.join()
    assert outcome.code in {1, 3}, outcome
    (take,) = list_takes(out / "raw")
    amp = next(stream for stream in read_raw_take(take).streams if stream.name == "amp")
    steps = np.diff(sample_numbers(amp.values)) % 2000
    assert (steps != 1).sum() == 1, outcome  # one break: the new publisher counts anew
    gap = int(np.argmax(steps != 1))
    assert len(steps) - gap > 3000
    assert "stream 'amp' of device 'amp' was silent" in " ".join(read_record(take).faults)
