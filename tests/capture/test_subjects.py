"""Subjects: sheets, consent, how far each is, and one who withdraws."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.withdrawal import holdings_of, withdraw
from lab.errors import RequestError
from lab.subject import SubjectSheet
from storage.marks_file import marks_path
from storage.subject_sheets import list_sheets, read_sheet, sheet_path, write_sheet


@given(
    st.builds(
        SubjectSheet,
        skill=st.sampled_from(["novice", "amateur", "expert"]),
        sex=st.none() | st.sampled_from(["female", "male", "other"]),
        age_years=st.none() | st.integers(0, 130),
        height_m=st.none() | st.floats(0.4, 2.8),
        mass_kg=st.none() | st.floats(5, 500),
        consent=st.none() | st.booleans(),
        consent_until=st.none() | st.dates(date(2000, 1, 1)),
    )
)
def test_a_sheet_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, sheet: SubjectSheet) -> None:
    out = tmp_path_factory.mktemp("out")
    write_sheet(out, "S12", sheet)
    assert read_sheet(out, "S12") == sheet
    assert list_sheets(out) == ["S12"]


def test_a_sheet_is_written_shown_and_said_in_the_dataset(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out, take = tmp_path / "out", offline_take()
    assert flex_capture("resegment", take).code == 0
    assert flex_capture("subject", "S12", "--out", out).code == 2
    assert "skill is missing" in flex_capture("subject", "S12", "--out", out, "--sex", "male").err
    assert not sheet_path(out, "S12").exists()
    written = flex_capture("subject", "S12", "--out", out, "--skill", "amateur", "--height-m", 1.8, "--consent")
    assert written.code == 0, written
    assert flex_capture("subject", "S12", "--out", out, "--mass-kg", 71.5, "--age-years", 24).code == 0
    shown = flex_capture("subject", "S12", "--out", out)
    for line in ("skill: amateur", "height_m: 1.8", "mass_kg: 71.5", "consent: True"):
        assert line in shown.out
    (row,) = pd.read_parquet(out / "dataset" / "subjects.parquet").to_dict("records")
    assert (row["skill"], row["height_m"], row["mass_kg"], row["age_years"]) == ("amateur", 1.8, 71.5, 24)
    assert flex_capture("validate", out / "dataset").code == 0
    # edited by hand, then said again with the take
    sheet_path(out, "S12").write_text('skill = "expert"\n')
    assert flex_capture("resegment", take).code == 0
    assert pd.read_parquet(out / "dataset" / "subjects.parquet").skill.tolist() == ["expert"]
    sheet_path(out, "S12").write_text('skill = "expert"\nname = "J. Doe"\n')
    broken = flex_capture("resegment", take)
    assert broken.code == 0
    assert "name is not a known key" in broken.out
    assert flex_capture("rebuild", out / "dataset").code == 2


def test_a_sheet_tells_of_takes_that_differ(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take = offline_take()
    assert flex_capture("amend", take, "--skill", "novice").code == 0
    said = flex_capture("subject", "S12", "--out", tmp_path / "out", "--skill", "expert")
    assert f"flex-capture amend {take} --skill expert" in said.out


@pytest.mark.parametrize(
    ("sheet", "said"),
    [
        ({"consent": False}, "has not consented"),
        ({"consent": True, "consent_until": date.today() - timedelta(days=1)}, "consented until"),  # noqa: DTZ011
    ],
)
def test_nobody_is_recorded_without_consent(
    sheet: dict[str, object],
    said: str,
    write_rig: Callable[..., Path],
    tmp_path: Path,
    flex_capture: Callable[..., object],
) -> None:
    from small_rigs import MOCAP

    out = tmp_path / "out"
    write_sheet(out, "S12", SubjectSheet.model_validate({"skill": "novice"} | sheet))
    refused = flex_capture("record", "--subject", "S12", "--rig", write_rig(MOCAP), "--out", out, "--yes")
    assert refused.code == 2
    assert said in refused.err
    assert not (out / "raw").exists()
    assert SubjectSheet(skill="novice", consent_until=date(2026, 1, 2)).refusal(date(2026, 1, 2)) is None


def test_status_shows_what_is_done_retaken_marked_bad_and_missing(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    empty = flex_capture("status", "--out", out)
    assert empty.code == 0
    assert "nothing was recorded" in empty.out
    done, _, retaken = offline_take(), offline_take(action="A01"), offline_take(action="A01", seed=3)
    bad, short = offline_take(action="A20"), offline_take("S2", action="A15")
    assert flex_capture("resegment", out / "raw").code == 0
    missed = offline_take("S2", action="A16")
    assert flex_capture("amend", bad, "--bad", "wrong bar").code == 0
    assert flex_capture("amend", short, "--reps", 5).code == 1
    write_sheet(out, "S3", SubjectSheet(skill="novice"))
    matrix = flex_capture("status", "--out", out)
    assert matrix.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in matrix.out.splitlines() if line.startswith("S")}
    assert rows["S12"] == ["2", *["."] * 14, "1", *["."] * 3, "x", "2/20"]
    assert rows["S2"] == [*["."] * 14, "1!", "1!", *["."] * 4, "2/20"]
    assert rows["S3"] == [*["."] * 20, "0/20"]
    one = flex_capture("status", "--out", out, "--subject", "S12").out
    assert "wrong bar" in one
    assert retaken.name in one
    assert done.name in one
    other = flex_capture("status", "--out", out, "--subject", "S2").out
    assert "not in the dataset" in other.replace("\n", " ")
    assert missed.name in other
    assert flex_capture("status", "--out", out, "--subject", "S9").code == 2
    (missed / "take.json").write_text("{")
    assert flex_capture("status", "--out", out).code == 1


def test_nothing_is_left_of_a_subject_who_withdraws(
    offline_take: Callable[..., Path],
    tmp_path: Path,
    flex_capture: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    offline_take(action="A01")
    wrong = offline_take()  # in truth of S13
    theirs = offline_take("S2", session="s2")  # in truth of S12
    other = offline_take("S13", session="s13")
    assert flex_capture("resegment", out / "raw").code == 0
    assert flex_capture("amend", wrong, "--subject", "S13").code == 0
    assert flex_capture("amend", theirs, "--subject", "S12").code == 0
    assert flex_capture("subject", "S12", "--out", out, "--skill", "novice").code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    monkeypatch.setattr(sys, "stdin", io.StringIO("S2\n"))
    refused = flex_capture("withdraw", "S12", "--out", out)
    assert refused.code == 2
    assert "A01-01" in refused.out
    assert flex_capture("withdraw", "S12", "--out", out, "--confirm", "S2").code == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # nobody is there
    assert flex_capture("withdraw", "S12", "--out", out).code == 2
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    gone = flex_capture("withdraw", "S12", "--out", out, "--confirm", "S12")
    assert gone.code == 0, gone
    for said in ("dataset: 2 takes", "raw takes: 2", "S12.toml", f"stays · {wrong}"):
        assert said in gone.out
    assert wrong.is_dir()
    assert other.is_dir()
    assert not theirs.exists()
    assert not (out / "raw" / "S2").exists()
    assert not sheet_path(out, "S12").exists()
    assert flex_capture("validate", out / "dataset").code == 0
    takes = pd.read_parquet(out / "dataset" / "takes.parquet")
    assert set(takes.subject) == {"S13"}
    assert not list(out.rglob("*subject=S12*"))
    assert flex_capture("withdraw", "S99", "--out", out, "--confirm", "S99").code == 2


@pytest.mark.slow
def test_a_withdrawal_that_is_killed_goes_on_and_gives_no_take_to_another(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    offline_take()
    theirs = offline_take("S2", session="s2")
    assert flex_capture("resegment", out / "raw").code == 0
    assert flex_capture("amend", theirs, "--subject", "S12").code == 0

    class KilledError(BaseException):
        pass

    removed = 0
    for number in range(40):
        with pytest.MonkeyPatch.context() as patch:
            calls = {"left": number}

            def dying(act: Callable[..., object], calls: dict[str, int] = calls) -> Callable[..., object]:
                def call(*arguments: object, **options: object) -> object:
                    calls["left"] -= 1
                    if calls["left"] < 0:
                        raise KilledError
                    return act(*arguments, **options)

                return call

            for name in ("unlink", "rmdir", "rename"):
                patch.setattr(os, name, dying(getattr(os, name)))
            patch.setattr(Path, "rename", dying(Path.rename))
            try:
                withdraw(holdings_of(out, "S12"))
            except KilledError:
                assert flex_capture("status", "--out", out, "--subject", "S2").code != 0
                continue
            except RequestError:
                pass
            removed = number
            break
    assert removed
    assert not [path for path in out.rglob("*") if path.is_file() and "S12" in str(path)]
    assert not list(out.rglob("streams.xdf"))
    assert not (out / ".withdrawn").exists()


def test_what_may_be_the_subject_s_is_named(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    given, broken, theirs = offline_take(), offline_take(), offline_take("S2", session="s2")
    assert flex_capture("amend", given, "--subject", "S13").code == 0
    (given / "take.json").write_text("{")  # its marks still say whose it is
    (broken / "take.json").write_text("{")
    marks_path(theirs).write_text("garbled\n")
    (out / "raw" / "S12" / "face.jpg").write_bytes(b"")
    gone = flex_capture("withdraw", "S12", "--out", out, "--confirm", "S12")
    assert gone.code == 1
    assert "face.jpg: it is no part of a take" in gone.out
    assert "line 1 is not understood" in gone.out
    assert given.is_dir()
    assert theirs.is_dir()
    assert not broken.exists()
