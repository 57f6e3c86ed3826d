"""Marks are appended, never changed, and one that is torn spoils no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import TakeError
from lab.marks import Mark
from storage.marks_file import append_mark, marks_path, read_marks


def mark(**said: object) -> Mark:
    return Mark.model_validate({"utc": "2026-11-22T09:30:00Z", "who": "lab", "kind": "note"} | said)


def test_a_torn_mark_spoils_no_other(tmp_path: Path) -> None:
    assert read_marks(tmp_path) == ([], [])
    first = mark(text="zwei\nZeilen ü")
    append_mark(tmp_path, first)
    with marks_path(tmp_path).open("ab") as file:
        file.write(b'{"kind": "torn')
    marks, notes = read_marks(tmp_path)
    assert marks == [first]
    assert len(notes) == 1
    assert "line 2" in notes[0]
    append_mark(tmp_path, mark(kind="bad"))
    with marks_path(tmp_path).open("ab") as file:
        file.write(b'[1]\n\xff\n\n{"utc": "", "who": "", "kind": "of tomorrow"}\n')
    append_mark(tmp_path, mark(kind="amend", load_kg=40))
    marks, notes = read_marks(tmp_path)
    assert [entry.kind for entry in marks] == ["note", "bad", "amend"]
    assert [note.split()[2] for note in notes] == ["2", "4", "5", "7"]
    with pytest.raises(TakeError, match="cannot be written"):
        append_mark(tmp_path / "none", first)


@given(
    st.text(max_size=200),
    st.sampled_from(["note", "bad", "good", "retake", "amend"]),
    st.none() | st.floats(0, 500),
)
def test_what_is_said_is_read_back(tmp_path_factory: pytest.TempPathFactory, text: str, kind: str, load: float) -> None:
    folder = tmp_path_factory.mktemp("take")
    said = mark(text=text, kind=kind, load_kg=load if kind == "amend" else None)
    append_mark(folder, said)
    append_mark(folder, said)
    assert read_marks(folder) == ([said, said], [])
