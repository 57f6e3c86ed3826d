"""What people said of repetitions holds, whatever a segmenter finds then."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.corrections import with_corrections
from lab.marks import Mark
from lab.repetitions import Repetition, Segmentation


def found(*starts_s: float, expected: int | None = None, length_s: float = 3.0) -> Segmentation:
    repetitions = tuple(Repetition(start, start + length_s / 2, start + length_s, 0.9) for start in starts_s)
    return Segmentation(repetitions, expected, "test")


def said(act: str, **more: object) -> Mark:
    fixed = {"utc": "2026-11-22T10:00:00Z", "who": "kim", "kind": "repetition", "act": act}
    return Mark.model_validate(fixed | more)


def bounds(segmentation: Segmentation) -> list[tuple[float, float, float]]:
    return [(one.start_s, one.turn_s, one.end_s) for one in segmentation.repetitions]


def was(one: Repetition) -> tuple[float, float, float]:
    return (one.start_s, one.turn_s, one.end_s)


def test_a_bound_that_was_set_stays_and_the_others_are_those_of_the_segmenter_of_the_day() -> None:
    marks = [said("set", was_s=(14.0, 15.5, 17.0), start_s=13.8)]
    first = with_corrections(found(10, 14, 18), marks, 10.0)
    assert bounds(first.segmentation)[1] == (13.8, 15.5, 17.0)
    assert first.segmentation.repetitions[1].provenance == "corrected"
    assert first.segmentation.repetitions[1].confidence == 1.0
    assert first.remarks == (
        "repetition 2 was corrected (kim, 2026-11-22): 3.80, 5.50, 7.00 s; the segmenter says start +0.20 s",
    )
    better = Segmentation((Repetition(6, 7, 8, 1), Repetition(14.1, 15.4, 17.2, 0.8)), None, "better")
    again = with_corrections(better, marks).segmentation
    assert bounds(again) == [(6, 7, 8), (13.8, 15.4, 17.2)]
    lost = with_corrections(found(10, 18), marks).segmentation
    assert bounds(lost)[1] == (13.8, 15.5, 17.0), "what the person saw stands in where the segmenter finds it no more"


def test_bounds_that_no_longer_fit_are_those_that_the_person_saw() -> None:
    marks = [said("set", was_s=(14.0, 15.5, 17.0), end_s=15.6)]
    moved = Segmentation((Repetition(14.2, 15.7, 16.9, 1),), None, "moved")
    assert bounds(with_corrections(moved, marks).segmentation) == [(14.0, 15.5, 15.6)]


def test_neighbours_give_way_and_what_is_swallowed_is_told() -> None:
    marks = [said("set", was_s=(14.0, 15.5, 17.0), start_s=12.0, end_s=19.0)]
    done = with_corrections(found(10, 14, 18), marks)
    assert bounds(done.segmentation) == [(10, 11.5, 12.0), (12.0, 15.5, 19.0), (19.0, 19.5, 21)]
    assert done.swallowed == ()
    greedy = with_corrections(found(10, 14, 18), [said("set", was_s=(14.0, 15.5, 17.0), start_s=11.0)])
    assert [was(one) for one in greedy.swallowed] == [(10, 11.5, 13)]


def test_one_is_put_in_taken_out_and_the_count_is_told_anew() -> None:
    before = found(10, 14, expected=3)
    before = Segmentation(
        before.repetitions, 3, "test", {}, ("2 repetitions found where 3 were expected", "the body hardly moves")
    )
    put_in = [said("insert", start_s=18.0, turn_s=19.0, end_s=20.0)]
    assert with_corrections(before, put_in).segmentation.doubts == ("the body hardly moves",)
    assert with_corrections(before, put_in).segmentation.found == 3
    out = [*put_in, said("delete", was_s=(10, 11.5, 13), text="he only tied his shoe")]
    done = with_corrections(before, out, 10.0)
    assert done.segmentation.found == 2
    assert done.segmentation.doubts[0] == "2 repetitions found where 3 were expected"
    assert done.remarks[1] == (
        "a repetition from 0.00 to 3.00 s was taken out (kim, 2026-11-22): he only tied his shoe"
    )
    assert with_corrections(found(14), out).segmentation.found == 2, "it is not put in again where it is not found"


def test_one_is_not_to_be_used_until_it_is() -> None:
    out = [said("exclude", was_s=(14, 15.5, 17), text="spotter touched bar")]
    done = with_corrections(found(10, 14, 18), out)
    assert [one.excluded_reason for one in done.segmentation.repetitions] == [None, "spotter touched bar", None]
    assert done.segmentation.repetitions[1].provenance == "auto"
    moved = [*out, said("set", was_s=(14, 15.5, 17), end_s=17.4)]
    assert with_corrections(found(10, 14, 18), moved).segmentation.repetitions[1].excluded_reason is not None
    back = [*moved, said("include", was_s=(14, 15.5, 17.4))]
    assert with_corrections(found(10, 14, 18), back).segmentation.repetitions[1].excluded_reason is None
    gone = with_corrections(found(10), out)
    assert "is not found any more" in gone.remarks[0]
    assert bounds(gone.segmentation) == [(10, 11.5, 13)]


def test_the_last_correction_or_all_are_taken_back() -> None:
    marks = [said("set", was_s=(14, 15.5, 17), start_s=13.5), said("delete", was_s=(10, 11.5, 13))]
    auto = found(10, 14)
    assert with_corrections(auto, [*marks, said("undo")]).segmentation.found == 2
    assert with_corrections(auto, [*marks, said("undo"), said("undo")]).segmentation is auto
    assert with_corrections(auto, [*marks, said("discard")]).segmentation is auto
    assert with_corrections(auto, [*marks, said("discard"), said("undo"), marks[1]]).segmentation.found == 1


def test_of_several_corrections_of_one_repetition_the_last_is_told() -> None:
    marks = [said("set", was_s=(14, 15.5, 17), start_s=13.5), said("set", was_s=(13.5, 15.5, 17), start_s=13.0)]
    done = with_corrections(found(14), marks)
    assert done.remarks == (
        "repetition 1 was corrected (kim, 2026-11-22): 13.00, 15.50, 17.00 s; the segmenter says start +1.00 s",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"act": "set", "was_s": (1, 2, 3)},
        {"act": "set", "start_s": 1},
        {"act": "set", "was_s": (1, 3, 2), "start_s": 0},
        {"act": "set", "was_s": (1, 2, 3), "start_s": 2, "end_s": 1},
        {"act": "set", "was_s": (1, 2, 3), "end_s": 2},
        {"act": "set", "was_s": (1, 2, 3), "start_s": 2.5},
        {"act": "set", "was_s": (1, 2, float("nan")), "start_s": 2},
        {"act": "insert", "start_s": 1, "turn_s": 2},
        {"act": "delete", "was_s": (1, 2, 3), "start_s": 1},
        {"act": "delete"},
        {"act": None},
        {"act": "set", "was_s": (1, 2, 3), "start_s": 1e12},
        {"kind": "note", "act": "undo"},
    ],
)
def test_marks_that_say_nothing_possible_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Mark.model_validate({"utc": "2026-11-22T10:00:00Z", "who": "kim", "kind": "repetition"} | wrong)


times = st.floats(0, 60, allow_nan=False)
spans = st.lists(times, min_size=3, max_size=3, unique=True).map(sorted)


@st.composite
def corrections(draw: st.DrawFn) -> Mark:
    act = draw(st.sampled_from(["set", "insert", "delete", "exclude", "include", "undo", "discard"]))
    if act in {"undo", "discard"}:
        return said(act)
    span = draw(spans)
    if act == "insert":
        return said(act, start_s=span[0], turn_s=span[1], end_s=span[2])
    if act != "set":
        return said(act, was_s=tuple(span))
    new = draw(spans)
    chosen = draw(st.sets(st.sampled_from(range(3)), min_size=1))
    whole = [new[place] if place in chosen else span[place] for place in range(3)]
    assume(whole[0] < whole[1] < whole[2])
    return said(act, was_s=tuple(span), **{("start_s", "turn_s", "end_s")[place]: new[place] for place in chosen})


@given(
    starts=st.lists(st.integers(0, 14), unique=True, max_size=8).map(sorted),
    marks=st.lists(corrections(), max_size=8),
)
def test_whatever_was_said_repetitions_are_in_order_and_apart(starts: list[int], marks: list[Mark]) -> None:
    auto = found(*(start * 4.0 for start in starts))
    done = with_corrections(auto, marks)
    rows = bounds(done.segmentation)
    assert all(start < turn < end for start, turn, end in rows)
    assert all(one[2] <= other[0] for one, other in itertools.pairwise(rows))
    assert with_corrections(auto, marks) == done
