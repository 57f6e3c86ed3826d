"""What a session has still to record: the list of sets, and what of it is done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files

from capture.record_request import AskedSet, CheckedRequest, RecordRequest, find_action
from capture.take_history import PastTake, by_action, read_history, that_counts
from lab.actions import ACTIONS
from lab.errors import RequestError
from lab.playlist import Playlist, PlaylistSet, shuffled
from lab.protocol import Protocol, ProtocolAction
from storage.protocol_file import read_playlist, read_protocol


@dataclass(frozen=True)
class PlannedSet:
    """A set of the session: what the protocol says of its action, and what is asked for."""

    action: ProtocolAction
    asked: AskedSet
    rest_s: float

    @property
    def title(self) -> str:
        """Id and the lab's name of the action."""
        return f"{self.action.id} {self.action.name}"


@dataclass(frozen=True)
class SessionPlan:
    """All sets of a session, in their order."""

    name: str
    sets: tuple[PlannedSet, ...]


def find_set(plan: SessionPlan, text: str) -> PlannedSet | None:
    """Return the first set of an action by its id, its name or the lab's name for it; None if there is none."""
    action = find_action(text)
    for planned in plan.sets:
        if (action is not None and planned.action.id == action.id) or planned.action.name == text.strip().lower():
            return planned
    return None


def plan_session(request: RecordRequest) -> SessionPlan:
    """Return the sets that protocol, playlist and seed ask for. Raises FileFormatError or RequestError."""
    protocol = _protocol(request)
    described = {action.id: action for action in protocol.action}
    playlist = None if request.playlist is None else read_playlist(request.playlist)
    sets = _all_of(protocol) if playlist is None else _known(playlist, described, request)
    if request.shuffle is not None:
        sets = shuffled(sets, request.shuffle, request.subject)
    return SessionPlan(
        name=protocol.name if playlist is None else playlist.name,
        sets=tuple(
            PlannedSet(
                action=described[entry.action],
                asked=AskedSet(
                    action=ACTIONS[entry.action],
                    repetitions=request.reps or entry.repetitions or protocol.repetitions,
                    load_kg=entry.load_kg if request.load_kg is None else request.load_kg,
                ),
                rest_s=protocol.rest_s if entry.rest_s is None else entry.rest_s,
            )
            for entry in sets
        ),
    )


def _protocol(request: RecordRequest) -> Protocol:
    if request.protocol is not None:
        return read_protocol(request.protocol)
    with as_file(files("capture") / "protocols" / "flex20.toml") as packaged:
        return read_protocol(packaged)


def _all_of(protocol: Protocol) -> tuple[PlaylistSet, ...]:
    return tuple(PlaylistSet(action=action.id) for action in protocol.action)


def _known(playlist: Playlist, described: Collection[str], request: RecordRequest) -> tuple[PlaylistSet, ...]:
    strange = [entry.action for entry in playlist.sets if entry.action not in described]
    if strange:
        raise RequestError(f"{request.playlist}: action {strange[0]} is not in the protocol; add it or leave it out")
    return playlist.sets


def takes_so_far(checked: CheckedRequest) -> list[PastTake]:
    """Return the subject's takes: of all sessions, or of the one that was named."""
    takes, _ = read_history(checked.request.raw, checked.request.subject)
    if checked.request.session is None:
        return takes
    return [take for take in takes if take.standing.record.session == checked.request.session]


def open_sets(plan: SessionPlan, takes: Sequence[PastTake]) -> list[PlannedSet]:
    """Return the sets without a usable take that was not cut off, in their order."""
    done = {take.action for take in takes if take.whole}
    return [entry for entry in plan.sets if entry.action.id not in done]


def last_load_kg(action: str, takes: Sequence[PastTake]) -> float | None:
    """Return the load of the subject's take of an action that counts; None where none is known."""
    of_action = by_action(takes).get(action)
    return that_counts(of_action).standing.record.load_kg if of_action else None
