"""``flex-capture show``: the page of a take, of a repetition, of a dataset; and what it refuses."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from reading import Page

from lab.marks import Mark
from lab.take import Event
from storage.checksums import verify_sums, write_sums
from storage.flex import validate
from storage.marks_file import append_mark, marks_path
from storage.take_folder import read_record, write_record
from storage.video_reader import decode_frames


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def take(recorded, tmp_path):
    """A take of its own, to be changed."""
    return Path(shutil.copytree(recorded.take, tmp_path / "raw" / "S12" / "offline" / "A16-01"))


def changed(take: Path, **changes: object) -> None:
    write_record(take, read_record(take).model_copy(update=changes))
    write_sums(take)


def pictures(page: Page) -> list[tuple[str, np.ndarray]]:
    found = []
    for image in page.named("img"):
        kind, _, data = image["src"].partition(",")
        assert kind == "data:image/jpeg;base64"
        decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape[:2] == (int(image["height"]), int(image["width"]))
        found.append((image["alt"], decoded))
    return found


def needs_nothing(path: Path) -> None:
    """Check that a page runs nothing and asks nobody for anything."""
    page = Page(path)
    assert {"script", "link", "iframe", "object", "form", "a"}.isdisjoint(name for name, _ in page.elements)
    for name, given in page.elements:
        assert not [key for key in given if key.startswith("on")]
        assert all(given[key].startswith("data:image/jpeg") for key in ("src", "href") if key in given), name
    text = path.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "http" not in re.sub(r'http-equiv|xmlns="http://www.w3.org/2000/svg"', "", text)
    assert not re.search(r"url\((?!#)", text)
    for _, given in page.elements:
        assert not {"nan", "inf"} & set(re.findall(r"[a-z]+", given.get("d", "") + given.get("y", "")))


def test_a_raw_take_becomes_a_page_and_stays_as_it_is(recorded, flex_capture, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in recorded.take.rglob("*")}
    outcome = flex_capture("show", recorded.take)
    assert outcome.code == 0, outcome
    path = tmp_path / f"{recorded.take_id}.html"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.name in outcome.out
    assert {path: path.stat().st_mtime_ns for path in recorded.take.rglob("*")} == before
    assert verify_sums(recorded.take) == []
    needs_nothing(path)
    page = Page(path)
    assert "2 of 2 repetitions · 5 streams in sync" in page.text
    assert "SIMULATED DEVICES" in page.text
    for said in ("Height of joints", "sEMG", "Heart rate", "Breath rate", "Frames", "eccentric", "device time"):
        assert said in page.text
    assert len(page.named("g")) > 4
    assert len(page.named("rect", "shade")) == 4
    assert len(page.named("line", "turn")) == 2
    images = pictures(page)
    assert len(images) == 2 * 3 * 2
    assert len(page.named("svg", "figure")) == 2 * 3
    for alt, image in images:
        view, number = re.fullmatch(r"(view\d), repetition \d, \w+, frame (\d+)", alt).groups()
        (frame,) = decode_frames(recorded.take / f"{view}.mov", [int(number)])
        small = cv2.resize(frame, image.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert float(np.mean(np.abs(small.astype(float) - image))) < 6


def test_the_frames_shown_are_those_that_the_dataset_names(recorded, flex_capture, tmp_path):
    assert flex_capture("show", recorded.take).code == 0
    assert flex_capture("show", recorded.dataset, "--take", recorded.take_id, "--output", "dataset.html").code == 0
    raw, stored = (Page(tmp_path / name) for name in (f"{recorded.take_id}.html", "dataset.html"))
    rows = pq.read_table(recorded.dataset / "repetitions.parquet").to_pylist()
    named = [
        f"view{view}, repetition {row['repetition']}, {moment}, frame {row[f'view{view}_{moment}_frame']}"
        for row in rows
        for moment in ("start", "turn", "end")
        for view in (1, 2)
    ]
    assert sorted(alt for alt, _ in pictures(raw)) == sorted(named)
    of_clips = [image for _, image in pictures(stored)]
    for (_, one), other in zip(pictures(raw), of_clips, strict=True):
        assert np.array_equal(one, other)


def test_the_same_take_gives_the_same_bytes(recorded, flex_capture, tmp_path):
    for name in ("one.html", "two.html"):
        assert flex_capture("show", recorded.take, "--rep", 2, "--output", name).code == 0
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_one_repetition_is_shown_large(recorded, flex_capture, tmp_path):
    assert flex_capture("show", recorded.take, "--rep", 2).code == 0
    path = tmp_path / f"{recorded.take_id}_rep02.html"
    needs_nothing(path)
    page = Page(path)
    assert "repetition 2 of 2" in page.text
    assert "repetition 2: eccentric" in page.text
    images = pictures(page)
    assert len(images) == 6
    assert all("repetition 2" in alt and image.shape[0] == 240 for alt, image in images)  # not larger than they are
    outcome = flex_capture("show", recorded.take, "--rep", 3, "--output", "no.html")
    assert (outcome.code, "its repetitions are 1 to 2" in outcome.err) == (2, True), outcome
    assert not (tmp_path / "no.html").exists()


def test_a_dataset_has_an_overview_and_a_page_of_each_take(recorded, flex_capture, tmp_path):
    assert flex_capture("show", recorded.dataset).code == 0
    needs_nothing(tmp_path / "dataset.html")
    page = Page(tmp_path / "dataset.html")
    assert "2 repetitions · 1 take · 1 subject · 1 of 20 actions" in page.text
    assert recorded.take_id in page.text
    assert len(page.named("circle", "dot")) == 2
    assert flex_capture("show", recorded.dataset, "--rep", 1).code == 0
    path = tmp_path / f"{recorded.take_id}_rep01.html"
    needs_nothing(path)
    page = Page(path)
    assert "the dataset, which holds the repetitions" in page.text
    assert len(page.named("path", "over")) == 16
    assert page.named("path", "gap") == []
    assert validate(recorded.dataset) == []
    outcome = flex_capture("show", recorded.dataset, "--take", "S12_offline_A16-02")
    assert (outcome.code, f"nearest are {recorded.take_id}" in outcome.err) == (2, True), outcome


def test_what_is_not_in_order_is_said(take, flex_capture, tmp_path):
    record = read_record(take)
    fault = Event(session_s=1003.0, kind="silent", text="stream 'emg' sent nothing for 3.2 s")
    changed(take, events=(*record.events, fault), state="recovered", expected_repetitions=5)
    (take / "view2.mov").write_bytes(b"no video")
    append_mark(take, Mark(utc="2026-11-22T10:00:00+00:00", who="anna", kind="bad", text="the bar slipped"))
    assert flex_capture("show", take).code == 0
    page = Page(tmp_path / "S12_offline_A16-01.html")
    for said in (
        "2 repetitions found where 5 were expected",
        "the take is recovered",
        "view2.mov has changed since it was recorded",
        "stream 'emg' sent nothing for 3.2 s",
        "bad: the bar slipped (anna, 2026-11-22 10:00:00 UTC)",
        "no frame of this moment",
    ):
        assert said in page.text, said
    assert len(page.named("line", "fault")) == 1
    assert len(pictures(page)) == 6


def test_hostile_texts_stay_texts(take, flex_capture, tmp_path):
    evil = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e"
    record = read_record(take)
    event = Event(session_s=1e300, kind=evil, text=evil * 1000)
    rig = {**record.rig, "name": evil}
    changed(take, events=(*record.events, event), stop_reason=evil, rig=rig, simulated_devices=(evil,))
    append_mark(take, Mark(utc=evil[:40], who=evil, kind="note", text=evil))
    with marks_path(take).open("a") as marks:
        marks.write(json.dumps({evil: [evil]}) + "\n" + "[" * 5000 + "\n")
    assert flex_capture("show", take).code == 0
    path = tmp_path / "S12_offline_A16-01.html"
    needs_nothing(path)
    assert "alert(1)" in Page(path).text
    assert "\u202e" not in path.read_text(encoding="utf-8")


def test_a_hostile_id_leads_to_no_other_folder(take, flex_capture, tmp_path):
    (tmp_path / "here").mkdir()
    changed(take, subject="../../../evil", session="/etc/x:\0")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "here")
        for words in (("show", take), ("show", take, "--rep", 1), ("export", take, "--format", "c3d")):
            assert flex_capture(*words).code == 0
    names = sorted(path.name for path in tmp_path.rglob("*evil*"))
    assert names == [f"_.._.._evil__etc_x___A16-01{end}" for end in (".c3d", ".html", "_rep01.html")]
    assert {path.parent.name for path in tmp_path.rglob("*evil*")} == {"here"}


def test_a_take_without_repetitions_shows_its_views_all_the_same(recorded, flex_capture, tmp_path, monkeypatch):
    from capture import process_take
    from lab.repetitions import Segmentation

    monkeypatch.setattr(process_take, "segment", lambda _: Segmentation((), 2, "none", {}, ("nothing moved",)))
    assert flex_capture("show", recorded.take).code == 0
    page = Page(tmp_path / f"{recorded.take_id}.html")
    assert "No repetition was found." in page.text
    assert "nothing moved" in page.text
    assert len(pictures(page)) == 6
    assert flex_capture("show", recorded.take, "--rep", 1).code == 2


def test_only_a_page_of_ours_is_replaced(recorded, flex_capture, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<html>my thesis</html>", encoding="utf-8")
    outcome = flex_capture("show", recorded.dataset, "--output", path)
    assert (outcome.code, "is not a page of flex-capture" in outcome.err) == (2, True), outcome
    assert path.read_text(encoding="utf-8") == "<html>my thesis</html>"
    assert flex_capture("show", recorded.dataset, "--output", path, "--force").code == 0
    assert flex_capture("show", recorded.dataset, "--output", path).code == 0


@pytest.mark.parametrize("inside", ["take", "dataset"])
def test_no_page_lands_among_what_was_recorded(inside, recorded, flex_capture, monkeypatch):
    folder = getattr(recorded, inside)
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    outcome = flex_capture("show", ".")
    assert (outcome.code, "name another place with --output" in outcome.err) == (2, True), outcome
    assert sorted(folder.iterdir()) == before


def test_wrong_input_is_one_sentence(recorded, flex_capture, tmp_path, take):
    (tmp_path / "empty").mkdir()
    for place, more, said in (
        ("nowhere", (), "does not exist"),
        ("empty", (), "neither a raw take nor a dataset"),
        (recorded.take, ("--take", "x"), "--take is for a dataset"),
        (recorded.take, ("--output", tmp_path), "is a folder"),
        (recorded.take, ("--output", tmp_path / "no" / "page.html"), "does not exist"),
    ):
        outcome = flex_capture("show", place, *more)
        assert (outcome.code, said in outcome.err, outcome.err.count("\n")) == (2, True, 1), outcome
    changed(take, state="recording")
    outcome = flex_capture("show", take)
    assert (outcome.code, "must be recovered" in outcome.err) == (3, True), outcome
    (take / "take.json").write_text("{}", encoding="utf-8")
    assert flex_capture("show", take).code == 3


def test_a_damaged_dataset_is_said_in_a_sentence(recorded, flex_capture, tmp_path):
    dataset = Path(shutil.copytree(recorded.dataset, tmp_path / "damaged"))
    (signals,) = dataset.rglob("*.h5")
    data = signals.read_bytes()
    signals.write_bytes(data[: len(data) // 2])
    outcome = flex_capture("show", dataset, "--take", recorded.take_id)
    assert (outcome.code, "cannot be read" in outcome.err) == (3, True), outcome
    (clip, *_) = sorted(dataset.rglob("*.mov"))
    signals.write_bytes(data)
    clip.write_bytes(b"")
    assert flex_capture("show", dataset, "--take", recorded.take_id).code == 0
    assert "cannot be read as video" in Page(tmp_path / f"{recorded.take_id}.html").text
    (dataset / "repetitions.parquet").write_bytes(b"PAR1")
    outcome = flex_capture("show", dataset)
    assert (outcome.code, outcome.err.count("\n")) == (3, 1), outcome
