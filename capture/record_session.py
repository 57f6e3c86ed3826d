"""What ``record`` does: one take, or a whole session with the operator."""

from __future__ import annotations

from dataclasses import replace

from capture.console import Console
from capture.one_take import record_into_dataset
from capture.record_request import (
    PRACTICE_ACTION,
    AskedSet,
    CheckedRequest,
    RecordRequest,
    check_request,
)
from capture.recovery import recover_before_recording
from capture.remote_commands import RemoteCommands
from capture.remote_control import parse_address, remote_control
from capture.running_take import TakePlan
from capture.session_flow import COUNTDOWN_S, lead_session
from capture.session_plan import SessionPlan, find_set, last_load_kg, open_sets, plan_session, takes_so_far
from lab.actions import ACTIONS
from lab.errors import RequestError
from storage.recording_lock import recording_lock
from storage.take_folder import next_take_name

_REPETITIONS = 10


def record(request: RecordRequest) -> int:
    """Record what was asked for and return the exit code. Raises FlexCaptureError before anything was recorded.

    Where an operator sits at a terminal and names no action, the session is led through the protocol. Else it is one
    take: of the action, of the next set of the playlist, or of the practice action. Nobody else records into the folder
    meanwhile; takes in it that were cut off are recovered first.
    """
    console = Console()
    with_operator = console.interactive and not request.yes
    if request.action is not None and (request.playlist or request.protocol or request.shuffle is not None):
        raise RequestError("--action asks for one take; leave out --playlist, --protocol and --shuffle, or --action")
    if request.remote is not None:
        if request.action is not None or request.yes:
            raise RequestError(
                "--remote leads a session, in which `filename {task:A16}` names an action; leave out --action and --yes"
            )
        parse_address(request.remote)
    checked = check_request(request)
    with recording_lock(request.raw):
        recover_before_recording(request.raw, console)
        return _record(checked, console, with_operator=with_operator)


def _record(checked: CheckedRequest, console: Console, *, with_operator: bool) -> int:
    request = checked.request
    listed = request.playlist or request.protocol or request.shuffle is not None
    if request.action is None and (with_operator or listed or request.remote is not None):
        plan = plan_session(request)
        if with_operator or request.remote is not None:
            _say_simulated(checked, console)
            return _session(checked, plan, console)
        takes = takes_so_far(checked)
        left = open_sets(plan, takes)
        if not left:
            console.line(f"{request.subject} has a usable take of all {len(plan.sets)} actions of {plan.name}")
            return 0
        asked = left[0].asked
        if asked.load_kg is None:
            asked = replace(asked, load_kg=last_load_kg(asked.action.id, takes))
    else:
        asked = AskedSet(checked.action or ACTIONS[PRACTICE_ACTION], request.reps or _REPETITIONS, request.load_kg)
    return _one_take(checked, asked, console, with_operator=with_operator)


def _session(checked: CheckedRequest, plan: SessionPlan, console: Console) -> int:
    """Lead the session, with the port for commands from afar open for as long as it lasts."""
    if checked.request.remote is None:
        return lead_session(checked, plan, console)
    remote = RemoteCommands(checked.request.subject, lambda text: _id_in(plan, text))
    with remote_control(checked.request.remote, remote.answer) as control:
        console.line(f"remote control on {control.host}, port {control.port}: start, stop, filename")
        if control.beyond_this_computer:
            console.warning("whoever reaches this port over the network can start and stop takes")
        console.stop_asked = remote.stop_asked
        return lead_session(checked, plan, console, remote)


def _id_in(plan: SessionPlan, text: str) -> str | None:
    planned = find_set(plan, text)
    return None if planned is None else planned.action.id


def _one_take(checked: CheckedRequest, asked: AskedSet, console: Console, *, with_operator: bool) -> int:
    _say_simulated(checked, console)
    plan = checked.plan(asked)
    if not _retake_is_meant(plan, console, ask=with_operator):
        console.line("nothing was recorded")
        return 0
    dataset = checked.request.dataset
    outcome = record_into_dataset(plan, dataset, console, countdown_s=COUNTDOWN_S if with_operator else 0)
    if outcome.folder is not None and outcome.code in {0, 1}:
        console.line(f"next: flex-capture validate {dataset}   or record the next take")
    return outcome.code


def _say_simulated(checked: CheckedRequest, console: Console) -> None:
    if checked.simulated:
        console.simulated(checked.simulated)


def _retake_is_meant(plan: TakePlan, console: Console, *, ask: bool) -> bool:
    name = next_take_name(plan.raw / plan.subject / plan.session, plan.action.id)
    if name.endswith("-01"):
        return True
    sentence = f"{plan.subject} already has {plan.action.title} in session {plan.session}; this is retake {name}"
    if not ask:
        console.line(sentence)
        return True
    return console.ask(f"{sentence}. Go on?")
