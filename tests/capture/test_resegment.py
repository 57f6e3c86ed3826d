"""``resegment``: what is up to date stays, clips whose frames stay are not cut again, a dry run touches nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from capture import process_take as processing
from lab.aligned import AlignedTake
from lab.repetitions import Segmentation
from resegmenting import content
from storage.flex import clips, validate
from storage.take_folder import read_record, write_record

NOTHING = "the recording was cut off before anything was recorded"


@pytest.fixture
def raw(recorded, tmp_path: Path) -> Path:
    """A raw tree of one take with two views."""
    shutil.copytree(recorded.take.parents[2], tmp_path / "out" / "raw")
    return tmp_path / "out" / "raw"


@pytest.fixture
def take(raw: Path, recorded) -> Path:
    return raw / recorded.take.relative_to(recorded.take.parents[2])


def cuts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the name of every clip that is cut from now on."""
    seen: list[str] = []

    def noted(source: Path, destination: Path, *rest: object) -> None:
        seen.append(destination.name)
        cut_clip(source, destination, *rest)  # type: ignore[arg-type]

    cut_clip = clips.cut_clip
    monkeypatch.setattr(clips, "cut_clip", noted)
    return seen


def move_first_start(monkeypatch: pytest.MonkeyPatch, by_s: float) -> None:
    """Let the first repetition of every take begin later than it did."""

    def moved(aligned: AlignedTake) -> Segmentation:
        found = segment(aligned)
        first, *others = found.repetitions
        return replace(found, repetitions=(replace(first, start_s=first.start_s + by_s), *others))

    segment = processing.segment
    monkeypatch.setattr(processing, "segment", moved)


def test_only_clips_whose_frames_moved_are_cut_and_the_bytes_are_those_of_an_empty_folder(
    raw: Path, tmp_path: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, grown = tmp_path / "scratch", tmp_path / "grown"
    assert flex_capture("resegment", raw, "--dataset", scratch).code == 0
    with pytest.MonkeyPatch.context() as patch:
        move_first_start(patch, 0.31)
        assert flex_capture("resegment", raw, "--dataset", grown).code == 0
    assert content(grown).keys() != content(scratch).keys()
    seen = cuts(monkeypatch)
    assert flex_capture("resegment", raw, "--dataset", grown, "--force").code == 0
    assert len(seen) == 4
    with pytest.MonkeyPatch.context() as patch:
        move_first_start(patch, 0.31)
        assert flex_capture("resegment", raw, "--dataset", grown, "--force").code == 0
    del seen[:]
    _forget_what_it_was_made_from(grown, "0" * 16)
    assert flex_capture("resegment", raw, "--dataset", grown).code == 0
    assert sorted(seen) == ["rep_01_view1.mov", "rep_01_view2.mov"]
    assert content(grown) == content(scratch)
    assert validate(grown) == []


def _forget_what_it_was_made_from(dataset: Path, made_from: str | None) -> None:
    """Let a dataset say that its takes were made from something else, in tables and takes' files alike."""
    from storage.flex.tables import read_entries, write_tables

    entries = read_entries(dataset)
    told = {id_: replace(entry, take=entry.take | {"made_from": made_from}) for id_, entry in entries.items()}
    write_tables(dataset, told)


def test_without_hard_links_clips_are_copied(
    raw: Path, tmp_path: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = tmp_path / "dataset"
    assert flex_capture("resegment", raw, "--dataset", dataset).code == 0
    before = content(dataset)

    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refused)
    seen = cuts(monkeypatch)
    _forget_what_it_was_made_from(dataset, "0" * 16)
    assert flex_capture("resegment", raw, "--dataset", dataset).code == 0
    assert seen == []
    assert content(dataset) == before


def test_a_take_as_it_should_be_is_left_alone_until_something_is_new(
    take: Path, raw: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = raw.parent / "dataset"
    assert flex_capture("resegment", raw).code == 0
    before, times = content(dataset), {path: path.stat().st_mtime_ns for path in dataset.rglob("*")}
    again = flex_capture("resegment", raw)
    assert again.code == 0
    assert "already up to date" in again.out
    assert "2 of 2 repetitions" in again.out
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*")} == times
    seen = cuts(monkeypatch)
    # a clip that was lost
    clip = next(dataset.rglob("rep_01_view2.mov"))
    clip.unlink()
    assert "up to date" not in flex_capture("resegment", raw).out
    assert seen == ["rep_01_view2.mov"]
    assert content(dataset) == before
    # something said
    assert flex_capture("amend", take, "--note", "belt on").code == 0
    assert "up to date" in flex_capture("resegment", raw).out
    with (take / "marks.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"utc": "", "who": "", "kind": "note", "text": "chalk"}\n')
    assert "up to date" not in flex_capture("resegment", raw).out
    # the subject's sheet
    (raw.parent / "subjects").mkdir()
    (raw.parent / "subjects" / "S12.toml").write_text('skill = "expert"\n', encoding="utf-8")
    assert "up to date" not in flex_capture("resegment", raw).out
    assert "up to date" in flex_capture("resegment", raw).out
    # a newer program
    _forget_what_it_was_made_from(dataset, "0" * 16)
    assert "up to date" not in flex_capture("resegment", raw).out
    assert seen == ["rep_01_view2.mov"]
    assert flex_capture("validate", dataset).code == 0


def test_a_clip_that_was_damaged_is_cut_again(
    raw: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = raw.parent / "dataset"
    assert flex_capture("resegment", raw).code == 0
    before = content(dataset)
    clip = next(dataset.rglob("rep_02_view1.mov"))
    data = bytearray(clip.read_bytes())
    data[len(data) // 2] ^= 1
    clip.write_bytes(data)
    seen = cuts(monkeypatch)
    _forget_what_it_was_made_from(dataset, "0" * 16)
    assert flex_capture("resegment", raw).code == 0
    assert seen == ["rep_02_view1.mov"]
    assert content(dataset) == before


def test_a_damaged_video_marks_the_take_and_when_it_is_restored_no_longer(
    take: Path, raw: Path, flex_capture: Callable[..., object]
) -> None:
    dataset, video = raw.parent / "dataset", take / "view1.mov"
    assert flex_capture("resegment", raw).code == 0
    before, whole = content(dataset), video.read_bytes()
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 0x10
    video.write_bytes(damaged)
    for _ in range(2):  # it is said each time
        outcome = flex_capture("resegment", raw)
        assert outcome.code == 1
        assert "view1.mov has changed" in outcome.out
    stamp = (take / "SHA256SUMS").stat().st_mtime - 60
    video.write_bytes(whole)
    os.utime(video, (stamp, stamp))  # as a backup brings it back
    assert flex_capture("resegment", raw).code == 0
    assert content(dataset) == before


def test_a_video_that_rotted_in_silence_is_found_when_it_is_cut_from(
    take: Path, raw: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, video = raw.parent / "dataset", take / "view1.mov"
    assert flex_capture("resegment", raw).code == 0
    stat = video.stat()
    damaged = bytearray(video.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    video.write_bytes(damaged)
    os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "up to date" in flex_capture("resegment", raw).out
    move_first_start(monkeypatch, 0.31)
    _forget_what_it_was_made_from(dataset, "0" * 16)
    outcome = flex_capture("resegment", raw)
    assert outcome.code == 1
    assert "view1.mov has changed" in outcome.out
    afresh = raw.parent / "afresh"
    assert flex_capture("resegment", raw, "--dataset", afresh).code == 1
    assert content(afresh) == content(dataset)


def everything(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")}


@pytest.mark.parametrize("there", [False, True])
def test_a_dry_run_says_what_would_change_and_touches_nothing(
    there: bool, raw: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        assert flex_capture("resegment", raw).code == 0
        _forget_what_it_was_made_from(raw.parent / "dataset", "0" * 16)
        move_first_start(monkeypatch, 0.31)
    before = everything(raw.parent)
    said = flex_capture("resegment", raw, "--dry-run")
    assert said.code == 0
    told = json.loads(flex_capture("resegment", raw, "--dry-run", "--json").out)
    assert everything(raw.parent) == before
    (take,) = told["takes"]
    assert take["found"] == {"old": 2 if there else None, "new": 2}
    if not there:
        assert "not in the dataset yet: 2 of 2 repetitions, 4 clips to cut" in said.out
        assert (take["state"], take["clips"]["kept"]) == ("new", 0)
        return
    assert "1 change; 2 clips to cut, 2 stay" in said.out
    assert "repetition 1: start +310 ms, turn +0 ms, end +0 ms" in said.out
    first, second = take["repetitions"]
    assert first["difference_ms"] == {"start": 310.0, "turn": 0.0, "end": 0.0}
    assert first["new"]["start_s"] - first["old"]["start_s"] == pytest.approx(0.31)
    assert second["difference_ms"] == {"start": 0.0, "turn": 0.0, "end": 0.0}
    assert take["clips"] == {"cut": ["rep_01_view1", "rep_01_view2"], "kept": 2}
    # and that is what happens
    seen = cuts(monkeypatch)
    assert flex_capture("resegment", raw).code == 0
    assert sorted(seen) == ["rep_01_view1.mov", "rep_01_view2.mov"]
    row = pd.read_parquet(raw.parent / "dataset" / "repetitions.parquet").iloc[0]
    assert row.start_s == first["new"]["start_s"]


def test_json_without_a_dry_run_is_refused(raw: Path, flex_capture: Callable[..., object]) -> None:
    refused = flex_capture("resegment", raw, "--json")
    assert refused.code == 2
    assert "--dry-run" in refused.err


def test_takes_that_hold_nothing_are_one_line(take: Path, raw: Path, flex_capture: Callable[..., object]) -> None:
    for number in range(2, 22):
        folder = take.parent / f"A16-{number:02d}"
        folder.mkdir()
        record = read_record(take).model_copy(
            update={"take": folder.name, "state": "failed", "streams": (), "views": (), "stop_reason": NOTHING}
        )
        write_record(folder, record)
    outcome = flex_capture("resegment", raw)
    assert outcome.code == 0
    assert outcome.out.count("cut off before anything was recorded") == 1
    assert "21 takes: 1 written, 20 hold nothing" in outcome.out
    (take.parent / "A16-30").mkdir()
    outcome = flex_capture("resegment", raw)
    assert outcome.code == 1
    assert "has no take.json" in outcome.out
    told = json.loads(flex_capture("resegment", raw, "--dry-run", "--json").out)
    assert [one["state"] for one in told["takes"]].count("nothing") == 21


def test_two_takes_of_one_id_cannot_both_be_in_a_dataset(
    take: Path, raw: Path, flex_capture: Callable[..., object]
) -> None:
    copy = take.parent / "A16-00"
    shutil.copytree(take, copy)
    outcome = flex_capture("resegment", raw)
    assert outcome.code == 3
    assert f"{copy}:\n  it says that it is S12_offline_A16-01, as {take} does" in outcome.out
    assert len(pd.read_parquet(raw.parent / "dataset" / "takes.parquet")) == 1


def test_what_cannot_be_processed_leaves_no_dataset(take: Path, raw: Path, flex_capture: Callable[..., object]) -> None:
    (take / "streams.xdf").unlink()
    outcome = flex_capture("resegment", raw)
    assert outcome.code == 3
    assert "streams" in outcome.out
    assert not (raw.parent / "dataset").exists()


def test_a_folder_of_something_else_is_no_dataset(
    raw: Path, tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.docx").write_bytes(b"x")
    outcome = flex_capture("resegment", raw, "--dataset", tmp_path / "thesis")
    assert outcome.code == 3
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.docx"]


def test_corrections_are_kept_unless_they_are_to_be_discarded(
    take: Path, raw: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = raw.parent / "dataset"
    assert flex_capture("resegment", raw).code == 0
    found = pd.read_parquet(dataset / "repetitions.parquet")
    before = content(dataset)
    seen = cuts(monkeypatch)
    recording_s = read_record(take).recording_s
    start_s = found.start_s[0] - recording_s + 0.25
    assert flex_capture("reps", take, "--set", 1, "--start", f"{start_s:.3f}").code in {0, 1}
    assert sorted(seen) == ["rep_01_view1.mov", "rep_01_view2.mov"]
    assert "up to date" in flex_capture("resegment", raw).out
    corrected = pd.read_parquet(dataset / "repetitions.parquet")
    assert list(corrected.provenance) == ["corrected", "auto"]
    said = (take / "marks.jsonl").read_bytes()
    would = flex_capture("resegment", raw, "--discard-corrections", "--dry-run")
    assert "start -0.25" in would.out or "-250 ms" in would.out, would.out
    assert (take / "marks.jsonl").read_bytes() == said
    assert flex_capture("resegment", raw, "--force").code == 0
    assert pd.read_parquet(dataset / "repetitions.parquet").equals(corrected)
    assert flex_capture("resegment", raw, "--discard-corrections").code == 0
    assert list(pd.read_parquet(dataset / "repetitions.parquet").provenance) == ["auto", "auto"]
    assert (take / "marks.jsonl").read_bytes().startswith(said)
    assert "up to date" in flex_capture("resegment", raw, "--discard-corrections").out
    (take / "marks.jsonl").unlink()
    assert flex_capture("resegment", raw).code == 0
    assert content(dataset) == before
