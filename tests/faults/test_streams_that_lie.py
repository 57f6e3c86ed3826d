"""Streams that are silent, never send, say what is not so, are many, or are there twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from every_driver import Kind, rig_of
from faulty_driver import read_delivered
from judging import JudgedTake, assert_bystander_whole
from publishing_oddly import entry, outlet, publishing
from running_recorder import recording

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_rig(*entries: str, wait_s: float = 20.0) -> Path:
        path = tmp_path / "rig.toml"
        path.write_text(f'name = "odd"\nwait_s = {wait_s}\n' + "\n".join(entries), encoding="utf-8")
        return path

    return write_rig


def mocap_of(tmp_path: Path, more: dict[str, Any]) -> tuple[Kind, ...]:
    return (Kind("mocap", "simulated.mocap", {"mocap": 100.0}, {"repetitions": 9, **more}),)


def test_a_device_that_falls_silent_is_an_alarm_within_a_second_of_its_limit(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    rig = tmp_path / "rig.toml"
    rig.write_text(rig_of(mocap_of(tmp_path, {"silent_after_s": 2.0}), tmp_path), encoding="utf-8")
    with recording(rig, tmp_path / "out", installed) as recorder:
        time.sleep(2.0)
        (tmp_path / "mocap.order").write_text("silent", encoding="utf-8")
        recorder.shows("device 'mocap' has sent nothing for 2 s; check it", 15.0)
        assert recorder.stop() == 1
        take = JudgedTake.of(recorder.take())
    (silent,) = take.events("silent")
    assert silent.text == "stream 'mocap' of device 'mocap' was silent for more than 2 s"
    after_s = silent.session_s - read_delivered(tmp_path, "mocap")[-1].arrival_s
    assert 2.0 < after_s < 3.0
    assert_bystander_whole(take)


def test_a_device_that_never_sends_is_told_before_the_take(
    tmp_path: Path, installed: dict[str, str], flex_capture: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = tmp_path / "rig.toml"
    (tmp_path / "mocap.order").write_text("silent", encoding="utf-8")
    text = rig_of(mocap_of(tmp_path, {}), tmp_path).replace("wait_s = 60.0", "wait_s = 6.0")
    rig.write_text(text, encoding="utf-8")
    for folder in reversed(installed["PYTHONPATH"].split(":")):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", installed["PYTHONPATH"])
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", tmp_path / "out", "--yes")
    assert outcome.code == 3
    sentence = (
        "flex-capture: stream '{}' of device 'mocap' sent nothing within 6 s; check the device, then record again"
    )
    assert outcome.err.splitlines() == [sentence.format("mocap"), sentence.format("mocap.clock")]
    assert not (tmp_path / "out").exists()


def test_rates_that_are_none_are_refused_or_told(
    write: Callable[..., Path], tmp_path: Path, installed: dict[str, str], flex_capture: Callable[..., Any]
) -> None:
    arguments = ("record", "--subject", "S12", "--out", tmp_path / "out", "--yes")
    with publishing(outlet("fast", 1e9, 50.0), outlet("slow", 0.001, 0.0), outlet("nan", "nan", 50.0)):
        refused = flex_capture(*arguments, "--rig", write(entry("fast")))
        assert refused.code == 3
        assert "claims 1e+09 samples a second; correct its publisher" in refused.err
        refused = flex_capture(*arguments, "--rig", write(entry("slow")))
        assert refused.code == 3
        assert "claims 0.001 samples a second, which LSL cannot buffer" in refused.err
        refused = flex_capture(*arguments, "--rig", write(entry("nan"), wait_s=3.0))
        assert refused.code == 3  # liblsl describes such a stream as none at all
        assert "stream 'nan': no stream matches source_id 'odd-nan'" in refused.err
    assert not (tmp_path / "out").exists()
    odd = (outlet("half", 100.0, 50.0), outlet("right"), outlet("mute", 0.0, 0.0))
    rig = write(entry("half"), entry("right"), entry("mute"))
    with publishing(*odd), recording(rig, tmp_path / "out", installed) as recorder:
        recorder.shows("stream 'half' does not come at the 100 Hz it promises; check its settings", 30.0)
        recorder.stop()
        take = JudgedTake.of(recorder.take())
    assert len(take.events("rate")) == 1
    assert take.record.faults == ()
    for name in ("half", "right"):
        counts = take.counts(name)
        assert len(counts) > 200
        assert counts == list(range(counts[0], counts[0] + len(counts)))
    assert len(take.theirs["mute"]["time_series"]) == 0


def test_forty_streams_at_once_lose_nothing(
    write: Callable[..., Path], tmp_path: Path, installed: dict[str, str]
) -> None:
    names = [f"s{number}" for number in range(40)]
    with (
        publishing(*(outlet(name) for name in names)),
        recording(write(*(entry(name) for name in names)), tmp_path / "out", installed) as recorder,
    ):
        time.sleep(4.0)
        recorder.stop()
        take = JudgedTake.of(recorder.take())
    assert take.record.faults == ()
    assert set(names) <= set(take.theirs)
    for name in names:
        counts = take.counts(name)
        assert len(counts) > 300
        assert counts == list(range(counts[0], counts[0] + len(counts)))


def test_two_of_one_source_id_are_both_named(
    write: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    twins = (outlet("left", source_id="odd-one"), outlet("right", source_id="odd-one"))
    with publishing(*twins):
        refused = flex_capture(
            "record", "--subject", "S12", "--out", tmp_path / "out", "--yes", "--rig", write(entry("one"), wait_s=3.0)
        )
    assert refused.code == 3
    assert "2 streams match source_id 'odd-one': 'left' (Misc, source_id 'odd-one')" in refused.err
    assert "'right' (Misc, source_id 'odd-one')" in refused.err
    assert not (tmp_path / "out").exists()
