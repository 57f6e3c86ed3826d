"""What a take counts as after all that was said of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.marks import Mark, set_right
from lab.take import Candidate, ClockAnchor, TakeRecord, current_take

NOW = ClockAnchor(session_s=1.0, utc="2026-11-22T09:30:00+00:00", width_s=0.0)
RECORD = TakeRecord(
    subject="S12",
    session="20261122-0930",
    take="A16-01",
    action="A16",
    skill="novice",
    load_kg=40.0,
    expected_repetitions=10,
    state="complete",
    simulated=True,
    rig={},
    software={},
    started=NOW,
)


def mark(kind: str, **said: object) -> Mark:
    return Mark.model_validate({"utc": "2026-11-22T10:00:00Z", "who": "lab", "kind": kind} | said)


def test_without_marks_a_take_is_what_it_was() -> None:
    standing = set_right(RECORD, [])
    assert standing.record is RECORD
    assert (standing.excluded_reason, standing.notes) == (None, ())
    said_again = set_right(RECORD, [mark("amend", subject="S13"), mark("amend", subject="S12", load_kg=40)])
    assert said_again.record is RECORD


def test_the_last_word_on_a_fact_counts_and_the_id_stays() -> None:
    standing = set_right(
        RECORD,
        [
            mark("amend", subject="S13", load_kg=45.0),
            mark("note", text="belt on"),
            mark("amend", subject="S14", action="A17", clear=["skill"], text="wrong form"),
        ],
    )
    record = standing.record
    assert (record.subject, record.action, record.skill, record.load_kg) == ("S14", "A17", None, 45.0)
    assert record.id == RECORD.id == "S12_20261122-0930_A16-01"
    assert record.take == "A16-01"
    assert standing.notes == (
        "the subject was set right from S12 to S14",
        "the action was set right from A16 to A17",
        "the skill level was set right from novice to not given",
        "the load in kg was set right from 40 to 45",
        "belt on",
        "wrong form",
    )


def test_bad_is_taken_back_by_good() -> None:
    bad = mark("bad", text="spotter in view")
    assert set_right(RECORD, [bad]).excluded_reason == "bad: spotter in view"
    assert set_right(RECORD, [bad, mark("retake")]).excluded_reason == "to be done again"
    assert set_right(RECORD, [bad, mark("good", text="it was fine")]) == set_right(
        RECORD, [mark("note", text="it was fine")]
    )


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "amend", "subject": "../S1"},
        {"kind": "amend", "action": "A21"},
        {"kind": "amend", "load_kg": float("nan")},
        {"kind": "amend", "load_kg": -1},
        {"kind": "note", "subject": "S13"},
        {"kind": "bad", "clear": ["skill"]},
        {"kind": "delete"},
        {"kind": "note", "text": "x" * 2001},
        {"kind": "note", "else": 1},
    ],
)
def test_impossible_marks_are_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        mark(**said)  # type: ignore[arg-type]


def take(
    name: str, *, usable: bool = True, complete: bool = True, utc: str = "", series: str = "S1_s_A16"
) -> Candidate:
    return Candidate(f"{series}-{name}", usable, complete, utc)


def test_the_last_usable_and_complete_take_counts() -> None:
    assert current_take([take("01"), take("02")]) == "S1_s_A16-02"
    assert current_take([take("9"), take("10", utc="early")]) == "S1_s_A16-10"
    assert current_take([take("01"), take("02", usable=False)]) == "S1_s_A16-01"
    assert current_take([take("01"), take("02", complete=False)]) == "S1_s_A16-01"
    assert current_take([take("01", complete=False), take("02", usable=False)]) == "S1_s_A16-01"
    assert current_take([take("01", usable=False), take("02", usable=False)]) == "S1_s_A16-02"


def test_of_two_series_the_one_recorded_later_counts() -> None:
    earlier = take("05", utc="2026-11-22T09:00:00+00:00", series="S2_s_A16")
    later = take("01", utc="2026-11-22T09:10:00+00:00")
    assert current_take([later, earlier]) == later.take_id
