"""The list of a session: protocol, playlist, an order by seed, and what of it is open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.record_request import RecordRequest, check_request
from capture.session_plan import last_load_kg, open_sets, plan_session, takes_so_far
from lab.actions import ACTIONS
from lab.errors import FlexCaptureError
from lab.playlist import PlaylistSet, shuffled
from small_rigs import MOCAP
from storage.take_folder import list_takes


def request(out: Path, rig: Path | None = None, **asked: object) -> RecordRequest:
    empty = dict.fromkeys(("action", "skill", "load_kg", "reps", "session", "seed", "duration"))
    return RecordRequest(**{**empty, "subject": "S12", "rig": rig, "out": out, "yes": False, "truth": False, **asked})


def ids(plan: object) -> list[str]:
    return [planned.action.id for planned in plan.sets]


def test_without_a_playlist_it_is_the_protocol_in_its_order(tmp_path: Path) -> None:
    plan = plan_session(request(tmp_path))
    assert ids(plan) == list(ACTIONS)
    assert {planned.asked.repetitions for planned in plan.sets} == {10}
    assert {planned.rest_s for planned in plan.sets} == {60.0}


def test_a_playlist_says_which_how_heavy_and_how_much_rest(tmp_path: Path) -> None:
    playlist = tmp_path / "legs.toml"
    playlist.write_text(
        'name = "legs"\n[[set]]\naction = "A17"\nload_kg = 40\nrest_s = 120\n[[set]]\naction = "A16"\nrepetitions = 5\n'
    )
    plan = plan_session(request(tmp_path, playlist=playlist))
    assert [(p.action.id, p.asked.load_kg, p.asked.repetitions, p.rest_s) for p in plan.sets] == [
        ("A17", 40.0, 10, 120.0),
        ("A16", None, 5, 60.0),
    ]
    playlist.write_text('name = "two"\norder = ["A20", "A01"]\n')
    assert ids(plan_session(request(tmp_path, playlist=playlist))) == ["A20", "A01"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "x"\n', "order"),
        ('name = "x"\norder = ["A16", "A16"]\n', "listed twice"),
        ('name = "x"\norder = ["A21"]\n', "A21"),
        ('name = "x"\norder = ["A16"]\n[[set]]\naction = "A01"\n', "one of the two"),
        ('name = "x"\n[[set]]\naction = "A16"\nload_kg = -1\n', "load_kg"),
        ('name = "x"\n[[set]]\naction = "A16"\nweight = 1\n', "weight is not a known key"),
        ("name = 3\norder = 7\n", "order"),
    ],
)
def test_a_wrong_playlist_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    playlist = tmp_path / "p.toml"
    playlist.write_text(text)
    with pytest.raises(FlexCaptureError) as caught:
        plan_session(request(tmp_path, playlist=playlist))
    assert any(said in problem and problem.startswith(str(playlist)) for problem in caught.value.problems)


def test_a_playlist_asks_for_actions_of_the_protocol(tmp_path: Path, project: Path) -> None:
    text = (project / "capture" / "protocols" / "flex20.toml").read_text(encoding="utf-8")
    short, playlist = tmp_path / "short.toml", tmp_path / "p.toml"
    short.write_text("[[action]]".join(text.split("[[action]]")[:3]), encoding="utf-8")
    playlist.write_text('name = "x"\norder = ["A16"]\n')
    assert ids(plan_session(request(tmp_path, protocol=short))) == ["A01", "A02"]
    with pytest.raises(FlexCaptureError, match="A16 is not in the protocol"):
        plan_session(request(tmp_path, protocol=short, playlist=playlist))


@given(st.integers(0, 2**31 - 1), st.sampled_from(["S1", "S2"]))
def test_an_order_by_seed_has_every_set_once(seed: int, subject: str) -> None:
    sets = [PlaylistSet(action=action) for action in ACTIONS]
    order = shuffled(sets, seed, subject)
    assert sorted(order, key=lambda entry: entry.action) == sets
    assert shuffled(list(reversed(sets)), seed, subject) == order
    assert shuffled(sets, seed + 1, subject) != order
    assert shuffled(sets, seed, subject + "1") != order


def test_what_has_a_usable_take_is_not_open(
    offline_take: Callable[..., Path],
    write_rig: Callable[..., Path],
    tmp_path: Path,
    flex_capture: Callable[..., object],
) -> None:
    out, rig = tmp_path / "out", write_rig(MOCAP)
    offline_take(action="A01")
    bad, wrong = offline_take(action="A02"), offline_take(action="A03")
    assert flex_capture("amend", bad, "--bad", "").code == 0
    assert flex_capture("amend", wrong, "--action", "A04", "--load-kg", 12).code == 0
    checked = check_request(request(out, rig))
    plan, takes = plan_session(checked.request), takes_so_far(checked)
    assert [planned.action.id for planned in open_sets(plan, takes)][:3] == ["A02", "A03", "A05"]
    assert last_load_kg("A04", takes) == 12
    assert last_load_kg("A03", takes) is None
    # a session that is named is a list of its own
    named = check_request(request(out, rig, session="second"))
    assert len(open_sets(plan, takes_so_far(named))) == 20


@pytest.mark.slow
def test_without_an_operator_the_next_set_of_the_list_is_recorded(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out, playlist = tmp_path / "out", tmp_path / "p.toml"
    playlist.write_text(
        'name = "two"\n[[set]]\naction = "A20"\nload_kg = 8\nrepetitions = 1\n[[set]]\naction = "A16"\n'
    )
    asked = ("record", "--subject", "S12", "--rig", write_rig(MOCAP), "--out", out, "--yes", "--duration", 2)
    for name in ("A20-01", "A16-01"):
        assert flex_capture(*asked, "--playlist", playlist).code in {0, 1}
        assert name in {take.name for take in list_takes(out / "raw")}
    done = flex_capture(*asked, "--playlist", playlist)
    assert done.code == 0
    assert "all 2 actions" in done.out
    assert len(list_takes(out / "raw")) == 2
    assert flex_capture(*asked, "--playlist", playlist, "--action", "A16").code == 2
