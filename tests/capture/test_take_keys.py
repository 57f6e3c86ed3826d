"""What is typed while a take runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.keyboard import typed_keys
from capture.take_keys import TakeKeys, TypedNote


def test_enter_stops_and_what_comes_after_is_passed_over() -> None:
    assert TakeKeys().take_in("xq \nnabc\n", 1.0) == [None]


def test_a_note_has_the_moment_at_which_it_was_begun() -> None:
    keys = TakeKeys()
    assert keys.take_in("n", 5.0) == []
    assert keys.take_in("spoter\x7f\x7fter touched bar", 7.0) == []
    assert "note: spotter touched bar" in keys.hint
    assert keys.unfinished() == TypedNote(5.0, "spotter touched bar")
    assert keys.take_in("\r", 9.0) == [TypedNote(5.0, "spotter touched bar")]
    assert keys.unfinished() is None
    assert keys.take_in("\r", 10.0) == [None]


def test_escape_drops_a_note_and_arrows_are_no_text() -> None:
    keys = TakeKeys()
    assert keys.take_in("nab\x1b[A\x1b[1;5Cc", 1.0) == []
    assert keys.unfinished() == TypedNote(1.0, "abc")
    assert keys.take_in("\x1b", 2.0) == []
    assert keys.unfinished() is None
    assert keys.take_in("n  \n", 3.0) == []  # an empty note is none


@given(st.lists(st.text(max_size=20), max_size=20))
def test_whatever_is_typed_a_note_is_one_short_printable_line(pieces: list[str]) -> None:
    keys = TakeKeys()
    for number, piece in enumerate(pieces):
        for asked in keys.take_in(piece, float(number)):
            if asked is not None:
                assert asked.text.isprintable()
                assert 0 < len(asked.text) <= 500
        assert keys.hint.isprintable()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no device that never stops")
def test_a_key_that_is_stuck_does_not_hold_up_who_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/zero").open() as endless:
        monkeypatch.setattr("sys.stdin", endless)
        assert 0 < len(typed_keys()) < 100_000
