from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.errors import RequestError, TakeError
from lab.take import ClockAnchor, TakeRecord, ViewRecord
from storage import take_folder
from storage.checksums import SUMS_NAME, digest_of, verify_sums, write_sums
from storage.take_folder import (
    MARKS_NAME,
    create_take,
    finish_part,
    list_takes,
    next_take_name,
    part_path,
    read_record,
    streams_path,
    write_record,
)


def record(**changes: object) -> TakeRecord:
    given: dict[str, object] = {
        "subject": "S12",
        "session": "20261122-0930",
        "take": "A16-01",
        "action": "A16",
        "state": "complete",
        "simulated": True,
        "rig": {"name": "räck", "device": [{"name": "emg"}]},
        "software": {"flex-capture": "0.1.0"},
        "started": ClockAnchor(session_s=1 / 3, utc="2026-11-22T09:30:00Z", width_s=1e-6),
    }
    return TakeRecord.model_validate(given | changes)


def test_takes_are_numbered_after_the_highest(tmp_path: Path) -> None:
    assert next_take_name(tmp_path / "none", "A16") == "A16-01"
    first = create_take(tmp_path, "S12", "20261122-0930", "A16")
    assert first == tmp_path / "S12" / "20261122-0930" / "A16-01"
    for name in ("A16-07", "A16-99x", "A17-40", "A16-junk"):
        (first.parent / name).mkdir()
    assert next_take_name(first.parent, "A16") == "A16-08"
    (first.parent / "A16-123").mkdir()
    assert create_take(tmp_path, "S12", "20261122-0930", "A16").name == "A16-124"


def test_programs_that_ask_at_once_get_takes_of_their_own(tmp_path: Path) -> None:
    found: list[Path] = []
    together = threading.Barrier(6)

    def ask() -> None:
        together.wait()
        found.extend(create_take(tmp_path, "S1", "s", "A01") for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in found) == [f"A01-{number:02d}" for number in range(1, 31)]


@pytest.mark.parametrize(
    ("subject", "session", "action"),
    [("../x", "s", "A01"), ("", "s", "A01"), ("S1", "..", "A01"), ("S1", "a/b", "A01"), ("S1", "s", "squat")],
)
def test_names_that_are_not_allowed_touch_nothing(tmp_path: Path, subject: str, session: str, action: str) -> None:
    with pytest.raises(RequestError, match=r"is not allowed; .+\.$"):
        create_take(tmp_path, subject, session, action)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "S1").write_text("a file where a folder should be")
    with pytest.raises(RequestError, match=r"No take can be created in .+\.$") as caught:
        create_take(tmp_path, "S1", "s", "A01")
    assert len(caught.value.problems) == 1


def test_an_endless_race_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_take(tmp_path, "S1", "s", "A01")
    monkeypatch.setattr(take_folder, "next_take_name", lambda folder, action: "A01-01")
    with pytest.raises(RequestError, match="always taken"):
        create_take(tmp_path, "S1", "s", "A01")


def test_records_come_back(tmp_path: Path) -> None:
    write_record(tmp_path, record())
    assert read_record(tmp_path) == record()
    write_record(tmp_path, record(state="recovered"))
    assert read_record(tmp_path).state == "recovered"
    assert [path.name for path in tmp_path.iterdir()] == ["take.json"]
    with pytest.raises(TakeError, match=r"take\.json cannot be written"):
        write_record(tmp_path / "none", record())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b"\xff", b'{"a": ' * 5000])
def test_damaged_records_get_sentences(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "take.json").write_bytes(content)
    with pytest.raises(TakeError) as caught:
        read_record(tmp_path)
    assert all(sentence.startswith(str(tmp_path)) and sentence.endswith(".") for sentence in caught.value.problems)
    assert not any("b'" in sentence or "Invalid JSON" in sentence for sentence in caught.value.problems)


@pytest.mark.parametrize("name", ["../A16-02/view1", "..", "", "a/b", "a\\b", "/tmp/view1", "view1\n"])
def test_a_view_leads_to_no_other_folder(tmp_path: Path, name: str) -> None:
    view = ViewRecord(view="view1", video="view1.mov", records="view1.frames", codec="mjpeg", width=64, height=48)
    write_record(tmp_path, record().model_copy(update={"views": (view.model_copy(update={"view": name}),)}))
    with pytest.raises(TakeError, match=r"view"):
        read_record(tmp_path)


def test_missing_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(TakeError, match="is missing"):
        read_record(tmp_path)


def test_takes_are_listed_in_order(tmp_path: Path) -> None:
    for name in (
        "S2/s/A01-01",
        "S1/t/A16-10",
        "S1/t/A16-02",
        "S1/s/A16-100",
        "S1/s/A16-99",
        "S1/s/junk",
        "no-one/s/A01-01",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "S1" / "s" / "A01-01").write_text("a file")
    (tmp_path / "notes.txt").write_text("")
    names = [path.relative_to(tmp_path).as_posix() for path in list_takes(tmp_path)]
    assert names == ["S1/s/A16-99", "S1/s/A16-100", "S1/t/A16-02", "S1/t/A16-10", "S2/s/A01-01"]
    with pytest.raises(RequestError, match="cannot be listed"):
        list_takes(tmp_path / "none")


def test_parts_get_their_names_and_replace_nothing(tmp_path: Path) -> None:
    path = streams_path(tmp_path)
    assert part_path(path).name == "streams.xdf.part"
    part_path(path).write_bytes(b"whole")
    finish_part(path)
    assert path.read_bytes() == b"whole"
    part_path(path).write_bytes(b"other")
    with pytest.raises(TakeError, match="exists already"):
        finish_part(path)
    assert path.read_bytes() == b"whole"
    path.unlink()
    part_path(path).unlink()
    with pytest.raises(TakeError, match="cannot be renamed"):
        finish_part(path)


def test_checksums_find_what_is_changed_missing_or_new(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.mov", "a b.xdf", "sub/c.frames"):
        (tmp_path / name).write_bytes(name.encode())
    write_sums(tmp_path)
    lines = (tmp_path / SUMS_NAME).read_text().splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == ["a b.xdf", "b.mov", "sub/c.frames"]
    digest = digest_of(tmp_path)
    (tmp_path / MARKS_NAME).write_bytes(b"{}\n")
    assert verify_sums(tmp_path) == []
    write_sums(tmp_path)
    assert digest_of(tmp_path) == digest
    (tmp_path / "b.mov").write_bytes(b"B.mov")
    (tmp_path / "a b.xdf").unlink()
    (tmp_path / "new").write_bytes(b"")
    with (tmp_path / SUMS_NAME).open("a") as file:
        file.write("nonsense\n")
    problems = verify_sums(tmp_path)
    assert [problem.removeprefix(str(tmp_path)).lstrip("/\\") for problem in problems] == [
        "SHA256SUMS, line 4 is not a checksum.",
        "a b.xdf is missing.",
        "b.mov has changed since it was recorded.",
        "new was not there when the take was closed.",
    ]


def test_a_take_without_checksums_says_so(tmp_path: Path) -> None:
    for act in (verify_sums, digest_of):
        with pytest.raises(TakeError, match="has no SHA256SUMS"):
            act(tmp_path)
    with pytest.raises(TakeError, match="cannot be written"):
        write_sums(tmp_path / "none")
