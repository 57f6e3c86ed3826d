"""Before a take: the streams of others that a rig names are found and looked at; everything wrong is said at once."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from capture.stream_description import describe
from capture.stream_state import ExpectedStream
from capture.visible_streams import SeenStream, matching_streams, shown, visible_streams
from drivers.publish import clock_source_id
from lab.errors import DeviceError, FlexCaptureError, RigError
from lab.rig import Rig, StreamEntry
from lab.streams import CLOCK_SUFFIX
from storage.xdf_header import StreamHeader, parse_header

_LOOK_S: Final = 0.5
_DESCRIPTION_S: Final = 10.0
_HIGHEST_RATE_HZ: Final = 1e6
#: An inlet's buffer is measured in seconds, 180 of them in the recorder, and must hold some samples: with room for
#: fewer than two, liblsl 1.18 never comes back from pulling.
_LOWEST_RATE_HZ: Final = 0.05
_MOST_NAMED: Final = 8
_OURS: Final = "flex-capture/"


@dataclass(frozen=True)
class _Match:
    """What an entry of the rig may mean; ``clock`` is the ``.clock`` stream beside a stream of flex-capture."""

    stream: SeenStream
    clock: SeenStream | None


@dataclass(frozen=True)
class LookedFor:
    """What was found of a rig's streams of others, and by the stream's name in the rig what is wrong with the rest."""

    expected: tuple[ExpectedStream, ...]
    problems: dict[str, tuple[str, ...]]


def find_streams_of_others(rig: Rig, own: Collection[str]) -> list[ExpectedStream]:
    """Find each ``[[stream]]`` of the rig, wait for it where needed, and ask it what it sends.

    ``own`` are the source ids of this take's own devices, which are never meant. A stream of another flex-capture comes
    with its ``.clock``. Raises RigError for a query that is none, DeviceError with a sentence for each stream that is
    not there, is there more than once, is named twice by the rig or cannot be recorded.
    """
    found = look_for_streams(rig, own)
    if found.problems:
        raise DeviceError(*(problem for problems in found.problems.values() for problem in problems))
    return list(found.expected)


def look_for_streams(rig: Rig, own: Collection[str]) -> LookedFor:
    """Do what ``find_streams_of_others`` does, but let no stream's absence hide the others.

    Raises RigError for a query that is none.
    """
    if not rig.stream:
        return LookedFor((), {})
    matches, seen = _look(rig, own)
    expected: list[ExpectedStream] = []
    problems: dict[str, tuple[str, ...]] = {}
    by_outlet: dict[str, str] = {}
    for entry in rig.stream:
        found = matches[entry.name]
        if not found:
            problems[entry.name] = (_missing(entry, seen, rig),)
        elif len(found) > 1:
            named = "; ".join(str(match.stream) for match in found[:_MOST_NAMED])
            sentence = f"stream '{entry.name}': {len(found)} streams match {_wanted(entry)}: {named};"
            problems[entry.name] = (f"{sentence} say more in its 'query', or stop the others",)
        elif (other := by_outlet.setdefault(found[0].stream.uid, entry.name)) != entry.name:
            problems[entry.name] = (
                f"streams '{other}' and '{entry.name}' of the rig are the same: {found[0].stream}; correct the rig",
            )
        else:
            try:
                expected += _expected(entry, found[0])
            except FlexCaptureError as error:
                problems[entry.name] = error.problems
    return LookedFor(tuple(expected), problems)


def _look(rig: Rig, own: Collection[str]) -> tuple[dict[str, list[_Match]], list[SeenStream]]:
    """Look until two looks in a row find the same, something for each entry; at most as long as the rig waits."""
    deadline_s = time.monotonic() + rig.wait_s
    before: dict[str, list[tuple[str, bool]]] = {}
    while True:
        seen = {stream.uid: stream for stream in visible_streams(_LOOK_S)}
        by_query: dict[str, list[SeenStream]] = {}
        for entry in rig.stream:
            if entry.query is not None and entry.query not in by_query:
                by_query[entry.query] = _matching(entry.name, entry.query)
                seen |= {stream.uid: stream for stream in by_query[entry.query]}
        others = [stream for stream in seen.values() if stream.source_id not in own]
        clocks = {stream.source_id: stream for stream in others if _is_clock(stream)}
        matches: dict[str, list[_Match]] = {}
        for entry in rig.stream:
            chosen = others if entry.query is None else by_query[entry.query]
            matches[entry.name] = [
                _Match(stream, clocks.get(clock_source_id(stream.source_id)))
                for stream in chosen
                if not _is_clock(stream) and stream.source_id not in own and entry.source_id in (None, stream.source_id)
            ]
        now = {
            name: sorted((match.stream.uid, match.clock is not None) for match in found)
            for name, found in matches.items()
        }
        if (all(now.values()) and now == before) or time.monotonic() > deadline_s:
            return matches, others
        before = now


def _matching(name: str, query: str) -> list[SeenStream]:
    try:
        return matching_streams(query, _LOOK_S)
    except RigError as error:
        raise RigError(*(f"stream '{name}': {problem}" for problem in error.problems)) from error


def _is_clock(stream: SeenStream) -> bool:
    return stream.source_id.startswith(_OURS) and stream.name.endswith(CLOCK_SUFFIX)


def _wanted(entry: StreamEntry) -> str:
    parts = [] if entry.source_id is None else [f"source_id '{shown(entry.source_id)}'"]
    parts += [] if entry.query is None else [f'query "{shown(entry.query)}"']
    return " and ".join(parts)


def _missing(entry: StreamEntry, seen: Sequence[SeenStream], rig: Rig) -> str:
    named = [str(stream) for stream in seen if not _is_clock(stream)]
    there = f"there are {'; '.join(named[:_MOST_NAMED])}" if named else "there are none of others"
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    advice = "start its publisher, or correct the rig"
    if rig.lsl.scope == "machine":
        advice += " (its [lsl] scope is 'machine': streams of other computers cannot be seen)"
    return (
        f"stream '{entry.name}': no stream matches {_wanted(entry)} within {rig.wait_s:.0f} s; {there}{more}; {advice}"
    )


def _expected(entry: StreamEntry, match: _Match) -> list[ExpectedStream]:
    header = _ask(entry, match.stream)
    described = describe(entry, header)
    silent = described.spec.rate_hz <= 0
    found = ExpectedStream(
        name=entry.name,
        device=entry.name,
        source_id=match.stream.source_id,
        spec=described.spec,
        info=match.stream.info,
        counter=described.counter,
        may_be_silent=silent,
    )
    if match.clock is None or not header.has_counter:
        return [found]
    return [
        found,
        ExpectedStream(
            name=entry.name + CLOCK_SUFFIX,
            device=entry.name,
            source_id=match.clock.source_id,
            spec=None,
            info=match.clock.info,
            may_be_silent=True,
        ),
    ]


def _ask(entry: StreamEntry, stream: SeenStream) -> StreamHeader:
    """Ask a stream for its whole description. Raises DeviceError where it does not answer or cannot be recorded."""
    import pylsl

    _check_rate(entry, stream, stream.info.nominal_srate())  # before liblsl makes room for a second of it
    inlet: Any = pylsl.StreamInlet(stream.info, max_buflen=1, recover=False)
    try:
        header = parse_header(inlet.info(_DESCRIPTION_S).as_xml())
    except (pylsl.util.TimeoutError, pylsl.util.LostError, RuntimeError) as error:
        raise DeviceError(
            f"stream '{entry.name}': {stream} does not describe itself ({error}); check its publisher and the firewall"
        ) from error
    except UnicodeDecodeError:
        header = StreamHeader(notes=("its description is no text",))
    if header.format is None or not header.channel_count:
        why = "; ".join(header.notes) or "it has no channels"
        raise DeviceError(f"stream '{entry.name}': {stream} cannot be recorded ({shown(why)}); correct its publisher")
    _check_rate(entry, stream, header.rate_hz)
    return header


def _check_rate(entry: StreamEntry, stream: SeenStream, rate_hz: float) -> None:
    """Raise DeviceError where a stream claims a rate that cannot be."""
    if rate_hz > _HIGHEST_RATE_HZ:
        raise DeviceError(f"stream '{entry.name}': {stream} claims {rate_hz:g} samples a second; correct its publisher")
    if 0 < rate_hz < _LOWEST_RATE_HZ:
        raise DeviceError(
            f"stream '{entry.name}': {stream} claims {rate_hz:g} samples a second, which LSL cannot buffer; let"
            " its publisher call it irregular (rate 0)"
        )
