from __future__ import annotations

from pathlib import Path

import pytest

import capture
from lab.actions import ACTIONS
from lab.errors import FileFormatError
from storage.protocol_file import read_protocol

FLEX20 = Path(capture.__file__).parent / "protocols" / "flex20.toml"


def test_the_packaged_protocol_says_what_the_table_of_actions_says() -> None:
    protocol = read_protocol(FLEX20)
    assert [action.id for action in protocol.action] == list(ACTIONS)
    for action in protocol.action:
        known = ACTIONS[action.id]
        for field in ("implement", "name", "name_confirmed", "family", "phases", "sides", "targets"):
            assert getattr(action, field) == getattr(known, field), (action.id, field)


def test_every_mistake_is_said(tmp_path: Path) -> None:
    text = FLEX20.read_text(encoding="utf-8")
    path = tmp_path / "p.toml"
    path.write_text(text.replace('"A07"', '"A27"').replace('family = "row"', 'family = "rowing"'), encoding="utf-8")
    with pytest.raises(FileFormatError) as caught:
        read_protocol(path)
    assert len(caught.value.problems) == 3
    assert "action[6].id" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "A02"', 'id = "A01"', "listed twice"),
        ('id = "A16"\nimplement = "barbell"', 'id = "A16"\nimplement = "dumbbell"', "barbell action"),
        ('phases = ["concentric", "eccentric"]', 'phases = ["eccentric", "concentric"]', "begins concentric"),
    ],
)
def test_contradictions_are_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = FLEX20.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "p.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(FileFormatError, match=said):
        read_protocol(path)
