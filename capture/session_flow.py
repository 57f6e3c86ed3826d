"""A session with the operator: what is next, start, verdict, and what becomes of the take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from capture.amendment import let_dataset_follow, mark_take, new_mark
from capture.console import Choice, Console
from capture.interruption import Interruption
from capture.one_take import INTERRUPTED, TakeOutcome, record_into_dataset
from capture.record_request import CheckedRequest, find_action, require_consent, unknown_action
from capture.remote_commands import RemoteCommands
from capture.session_plan import PlannedSet, SessionPlan, find_set, last_load_kg, open_sets, takes_so_far
from capture.take_history import PastTake
from lab.errors import FlexCaptureError
from storage.take_folder import next_take_name

COUNTDOWN_S: Final = 3
_HEAVIEST_KG: Final = 500.0
_LONGEST_TEXT: Final = 2000

_MARKED: Final = {"retake": "to be done again", "bad": "bad", "note": "note"}
_START: Final = Choice("start", "Enter or space", "start", ("\r", "\n", " "))
_LOAD: Final = Choice("load", "l", "load", ("l",))
_OTHER: Final = Choice("other", "o", "other action", ("o",))
_SKIP: Final = Choice("skip", "s", "skip", ("s",))
_QUIT: Final = Choice("quit", "q", "quit", ("q",))
_KEEP: Final = Choice("keep", "Enter or k", "keep", ("\r", "\n", "k"))
_RETAKE: Final = Choice("retake", "r", "retake", ("r",))
_BAD: Final = Choice("bad", "b", "bad", ("b",))
_NOTE: Final = Choice("note", "n", "note", ("n",))
_FROM_AFAR: Final = Choice("action from afar", "", "", ())
_AGAIN: Final = Choice("again", "a", "go through them again", ("a",))


@dataclass
class _Session:
    """A session under way. ``passed`` are the actions that are not offered again until the end of the list.

    ``remote`` is where commands from afar come in, None where nobody listens for them.
    """

    checked: CheckedRequest
    plan: SessionPlan
    console: Console
    code: int = 0
    passed: set[str] = field(default_factory=set)
    chosen: PlannedSet | None = None
    loads_kg: dict[str, float] = field(default_factory=dict)
    rested_from_s: float | None = None
    last_take: Path | None = None
    remote: RemoteCommands | None = None
    wanted: PlannedSet | None = None


def lead_session(
    checked: CheckedRequest, plan: SessionPlan, console: Console, remote: RemoteCommands | None = None
) -> int:
    """Lead the operator, or who commands from afar, through all sets that have no usable take; return the exit code.

    Quitting loses nothing: the next call goes on with what is left. A device that fails to start is told, and the set
    is offered again.
    """
    session = _Session(checked, plan, console, remote=remote)
    with Interruption().installed():
        try:
            _say_progress(session)
            while (planned := _next_set(session)) is not None:
                if not _one_set(session, planned):
                    break
        except KeyboardInterrupt:
            console.line("")
            _say_goodbye(session)
            return INTERRUPTED
        except EOFError:
            pass  # the terminal is gone: as if quit had been chosen
    _say_goodbye(session)
    return session.code


def _next_set(session: _Session) -> PlannedSet | None:
    """Return the set to offer next; None when all is done or the operator has enough."""
    if session.chosen is not None:
        chosen, session.chosen = session.chosen, None
        return chosen
    left = open_sets(session.plan, takes_so_far(session.checked))
    fresh = [planned for planned in left if planned.action.id not in session.passed]
    if fresh or not left:
        return fresh[0] if fresh else None
    names = ", ".join(planned.title for planned in left)
    session.console.line(f"the end of {session.plan.name}; still without a usable take: {names}", style="bold")
    if session.console.choose((_AGAIN, _QUIT)) is _QUIT:
        return None
    session.passed.clear()
    return left[0]


def _one_set(session: _Session, planned: PlannedSet) -> bool:
    """Offer one set, record it, settle what becomes of it. Return False to end the session."""
    console = session.console
    takes = takes_so_far(session.checked)
    planned = _with_load(session, planned, takes)
    _say_next(session, planned, takes)
    choices = (_START, _LOAD, _SKIP, _OTHER, *((_NOTE,) if session.last_take else ()), _QUIT)
    rest_until_s = None if session.rested_from_s is None else session.rested_from_s + planned.rest_s
    while True:
        choice = console.choose(choices, until_s=rest_until_s, asked=_asked_at_next(session, planned))
        if choice is _QUIT:
            return False
        if choice is _FROM_AFAR:
            session.chosen = session.wanted
            return True
        if choice is _SKIP:
            session.passed.add(planned.action.id)
            return True
        if choice is _OTHER:
            session.chosen = _other(session) or planned
            return True
        if choice is _LOAD:
            planned = _ask_load(session, planned)
        elif choice is _NOTE and session.last_take is not None:
            _note(session, session.last_take, "note on the last take: ")
        elif choice is _START:
            break
    if session.remote is not None:
        session.remote.begin()
    try:
        outcome = _record(session, planned)
    finally:
        if session.remote is not None:
            session.remote.end()
    if outcome is None:  # a device did not come; the sentence is on the screen
        session.chosen = planned
        return True
    session.code = max(session.code, outcome.code)
    unled = outcome.interrupted and not console.interactive  # nobody is there to press Ctrl-C once more
    if outcome.folder is None or outcome.code == INTERRUPTED or unled:
        raise KeyboardInterrupt
    session.rested_from_s, session.last_take = outcome.stopped_s, outcome.folder
    if outcome.ending:
        return False
    return _settle(session, planned, outcome.folder)


def _record(session: _Session, planned: PlannedSet) -> TakeOutcome | None:
    checked, console = session.checked, session.console
    folder, action = checked.request.raw / checked.request.subject / checked.session, planned.action.id
    name = next_take_name(folder, action)
    try:
        require_consent(checked.request.out, checked.request.subject)
        plan = checked.plan(planned.asked)
        countdown_s = COUNTDOWN_S if console.interactive else 0
        return record_into_dataset(plan, checked.request.dataset, console, countdown_s=countdown_s)
    except FlexCaptureError as error:
        console.problems(error)
        if next_take_name(folder, action) == name:
            console.warning("nothing was recorded; set that right, then start again")
        else:  # a take is there that could not be closed, and the sentence says what to do
            session.code = max(session.code, error.exit_code)
        return None


def _settle(session: _Session, planned: PlannedSet, take: Path) -> bool:
    """Ask what becomes of a take until that is settled. Return False to end the session."""
    console = session.console
    while True:
        choice = console.choose((_KEEP, _RETAKE, _BAD, _NOTE, _QUIT), asked=_asked_at_verdict(session))
        if choice is _NOTE:
            _note(session, take, "note: ")
            continue
        if choice is _RETAKE:
            _mark_with_reason(session, take, "retake", "why once more? (Enter: no reason) ")
            session.chosen = planned
        elif choice is _BAD:
            _mark_with_reason(session, take, "bad", "what is bad about it? (Enter: no reason) ")
            session.passed.add(planned.action.id)
        return choice is not _QUIT


def _asked_at_next(session: _Session, planned: PlannedSet) -> Callable[[], Choice | None] | None:
    """Return what looks for a command from afar while a set is offered: another action, or the start of this one."""
    remote = session.remote
    if remote is None:
        return None

    def asked() -> Choice | None:
        _say_notices(session, remote)
        action = remote.wanted_action()
        if action is not None and action != planned.action.id:
            session.wanted = find_set(session.plan, action)
            return _FROM_AFAR
        return _START if remote.begin(only_if_asked=True) else None

    return asked


def _asked_at_verdict(session: _Session) -> Callable[[], Choice | None] | None:
    """Return what keeps a take when the next is asked for from afar; at once where nobody can be asked."""
    remote = session.remote
    if remote is None:
        return None

    def asked() -> Choice | None:
        _say_notices(session, remote)
        return _KEEP if remote.start_waits() or not session.console.interactive else None

    return asked


def _say_notices(session: _Session, remote: RemoteCommands) -> None:
    for notice in remote.notices():
        session.console.warning(notice)


def _mark_with_reason(session: _Session, take: Path, kind: str, question: str) -> None:
    """Ask why, then mark; what was decided stands even if the question is interrupted."""
    try:
        reason = session.console.ask_text(question)
    except KeyboardInterrupt:
        _mark(session, take, kind, "")
        raise
    _mark(session, take, kind, reason)


def _note(session: _Session, take: Path, question: str) -> None:
    text = session.console.ask_text(question)
    if text:
        _mark(session, take, "note", text)


def _mark(session: _Session, take: Path, kind: str, text: str) -> None:
    """Say something of a take; what the dataset cannot take in now it takes in with the next resegment."""
    dataset = session.checked.request.dataset
    try:
        mark_take(take, [new_mark(kind, text[:_LONGEST_TEXT])])
    except FlexCaptureError as error:
        session.console.problems(error)
        session.console.warning(f"{take.name} is not marked; say it again with `flex-capture amend {take}`")
        session.code = max(session.code, 3)
        return
    try:
        let_dataset_follow(take, dataset, session.console, verify=False)
    except FlexCaptureError as error:
        session.console.problems(error)
        session.console.warning(f"the dataset does not follow yet; later type\n  flex-capture resegment {take}")
        session.code = max(session.code, 3)
        return
    session.console.line(f"  {take.name} is marked: {_MARKED[kind]}{f', {text}' if text else ''}; the dataset says so")


def _with_load(session: _Session, planned: PlannedSet, takes: Sequence[PastTake]) -> PlannedSet:
    """Fill in the load: as typed in this session, as the playlist asks, or as at the subject's last take."""
    action, asked = planned.action.id, planned.asked
    typed = session.loads_kg.get(action)
    if typed is None and asked.load_kg is None:
        typed = last_load_kg(action, takes)
    return planned if typed is None else replace(planned, asked=replace(asked, load_kg=typed))


def _ask_load(session: _Session, planned: PlannedSet) -> PlannedSet:
    text = session.console.ask_text(f"load of {planned.title} in kg: ").replace(",", ".").removesuffix("kg")
    try:
        load_kg = float(text)
    except ValueError:
        load_kg = -1.0
    if not 0 <= load_kg <= _HEAVIEST_KG:
        if text:
            session.console.warning(f"'{text}' is no load; it is a number of kilograms from 0 to {_HEAVIEST_KG:g}")
        return planned
    session.loads_kg[planned.action.id] = load_kg
    session.console.line(f"  load {load_kg:g} kg")
    return replace(planned, asked=replace(planned.asked, load_kg=load_kg))


def _other(session: _Session) -> PlannedSet | None:
    """Ask for another action of the session; one that has a take already is done once more, as a retake."""
    for planned in session.plan.sets:
        session.console.line(f"  {planned.title}")
    text = session.console.ask_text("action (id or name): ")
    if not text:
        return None
    found = find_set(session.plan, text)
    if found is not None:
        return found
    action = find_action(text)
    session.console.warning(unknown_action(text) if action is None else f"{action.title} is not in {session.plan.name}")
    return None


def _say_progress(session: _Session) -> None:
    count = len(session.plan.sets)
    done = count - len(open_sets(session.plan, takes_so_far(session.checked)))
    subject, skill = session.checked.request.subject, session.checked.skill
    who = f"{subject}, {skill}" if skill else subject
    line = f"{who} · session {session.checked.session} · {session.plan.name} · {done} of {count} done"
    session.console.line(line, style="bold")
    if skill is None:
        session.console.warning(
            f"the skill level is not given; `flex-capture subject {subject} --skill …` writes it down"
        )


def _say_next(session: _Session, planned: PlannedSet, takes: Sequence[PastTake]) -> None:
    asked, action = planned.asked, planned.action
    load = "load not given" if asked.load_kg is None else f"load {asked.load_kg:g} kg"
    sides = ", right side first" if action.sides == "right_then_left" else ""
    session.console.line("")
    count = f"{asked.repetitions} repetition{'s' if asked.repetitions > 1 else ''}"
    how = f"{action.implement} · {load} · {count}{sides}"
    session.console.line(f"next: {planned.title} · {how}", style="bold", wrap=True)
    session.console.line(f"  {action.instruction}", style="italic", wrap=True)
    before = [take for take in takes if take.action == action.id]
    if before:
        cut_off = before[-1].standing.record.state in {"recording", "recovered"}
        reason = "cut off" if cut_off else before[-1].standing.excluded_reason or "kept"
        session.console.warning(f"  there is a take already ({before[-1].folder.name}: {reason}); this is a retake")


def _say_goodbye(session: _Session) -> None:
    console, count = session.console, len(session.plan.sets)
    left = open_sets(session.plan, takes_so_far(session.checked))
    if left:
        console.line(f"{len(left)} of {count} sets are left; the same command goes on with {left[0].title}")
    else:
        console.line(f"{session.plan.name}: all {count} sets have a usable take", style="bold green")
