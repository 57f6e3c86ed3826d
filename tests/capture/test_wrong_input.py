"""Wrong input gets one clear sentence, DESIGN's exit code, and touches nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from small_rigs import CAMERA, MOCAP


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--subject", "S/12"], ["subject 'S/12'", "letters and digits"]),
        (["--subject", ""], ["subject ''"]),
        (["--subject", "S12", "--action", "A99"], ["no action 'A99'", "A01 to A20"]),
        (["--subject", "S12", "--skill", "master"], ["skill level 'master'", "novice"]),
        (["--subject", "S12", "--session", "../x"], ["session '../x'"]),
        (["--subject", "S12", "--rig", "nowhere.toml"], ["nowhere.toml"]),
        (["--subject", "con"], ["subject 'con'"]),
    ],
)
def test_one_sentence_and_nothing_touched(
    options: list[str], words: list[str], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    outcome = flex_capture("record", *options, "--out", out, "--yes")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    for word in words:
        assert word in outcome.err
    assert not out.exists()


def test_all_mistakes_at_once(tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    outcome = flex_capture("record", "--subject", "a b", "--action", "A99", "--skill", "x", "--out", tmp_path / "o")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "x"\n[[device]\n', ["rig.toml", "line 2"]),
        ('name = "x"\n', ["rig.toml", "device"]),
        ('name = "x"\n' + MOCAP + MOCAP, ["'mocap' is listed twice"]),
        ('name = "x"\n' + MOCAP.replace("delay_s", "dealy_s"), ["rig.toml", "dealy_s"]),
        ('name = "x"\n' + MOCAP.replace("simulated.mocap", "vendor.mocap"), ["no driver 'vendor.mocap'"]),
        ('name = "x"\nreference_view = "view7"\n' + CAMERA, ["view7"]),
        ('name = "x"\n' + MOCAP.replace('"mocap"', '"Mo cap"', 1), ["device name"]),
        ('name = "x"\n' + MOCAP + 'marker_map = "nobody.toml"\n', ["nobody.toml"]),
    ],
)
def test_rig_mistakes(text: str, words: list[str], tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    rig, out = tmp_path / "rig.toml", tmp_path / "out"
    rig.write_text(text, encoding="utf-8")
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes")
    assert outcome.code == 2, outcome
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    for word in words:
        assert word in outcome.err
    assert not out.exists()


def test_mistakes_of_several_devices_are_reported_together(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    rig = write_rig(MOCAP.replace("delay_s", "dealy_s"), CAMERA.replace("width = 320", 'width = "wide"'))
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", tmp_path / "out", "--yes")
    assert outcome.code == 2
    assert "dealy_s" in outcome.err
    assert "width" in outcome.err


def test_an_output_that_is_a_file(tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    out = tmp_path / "out"
    out.write_text("not a folder")
    outcome = flex_capture("record", "--subject", "S12", "--out", out, "--yes")
    assert outcome.code == 2
    assert f"{out} is not a folder" in outcome.err
    assert out.read_text() == "not a folder"


def test_a_dataset_folder_of_somebody_else(tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    foreign = tmp_path / "out" / "dataset" / "holiday.jpg"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"x")
    outcome = flex_capture("record", "--subject", "S12", "--out", tmp_path / "out", "--yes")
    assert outcome.code == 2
    assert "holiday.jpg" in outcome.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dataset"]


def test_a_subject_that_differs_in_case_alone(tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    (tmp_path / "out" / "raw" / "s12").mkdir(parents=True)
    outcome = flex_capture("record", "--subject", "S12", "--out", tmp_path / "out", "--yes")
    assert outcome.code == 2
    assert "is there as 's12'" in outcome.err


@pytest.mark.parametrize("option", ["--duration", "--load-kg"])
def test_nan_is_no_number(option: str, tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    assert flex_capture("record", "--subject", "S12", option, "nan", "--out", tmp_path / "o").code == 2


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (MOCAP + 'marker_map = "opencap_squats"\n', ["device 'mocap'", "marker"]),
        (CAMERA.replace("view1", "corner"), ["device 'corner' is a camera"]),
        (MOCAP.replace('"mocap"', '"view2"', 1), ["device 'view2' is called a view but is no camera"]),
    ],
)
def test_what_no_dataset_could_be_made_from_is_refused_before_the_take(
    device: str, words: list[str], write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    outcome = flex_capture("record", "--subject", "S12", "--rig", write_rig(device), "--out", out, "--yes")
    assert outcome.code == 2, outcome
    for word in words:
        assert word in outcome.err
    assert not out.exists()


def test_validate_of_a_missing_folder(tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    outcome = flex_capture("validate", tmp_path / "nothing")
    assert outcome.code == 2
    assert "not a folder" in outcome.err


def test_resegment_without_takes(tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    outcome = flex_capture("resegment", tmp_path)
    assert outcome.code == 2
    assert "holds no raw take" in outcome.err


def test_an_unknown_option_is_wrong_usage(flex_capture: Callable[..., object]) -> None:
    assert flex_capture("record", "--subjet", "S12").code == 2


def test_an_unexpected_failure_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, flex_capture: Callable[..., object]
) -> None:
    import capture.health

    def broken() -> list[object]:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(capture.health, "health_report", broken)
    outcome = flex_capture("doctor")
    assert outcome.code == 3
    assert "ZeroDivisionError: by design" in outcome.err
    assert "Traceback" not in outcome.err
