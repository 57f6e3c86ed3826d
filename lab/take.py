"""A take: what was asked, and the record of it that ``take.json`` holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.actions import Skill

#: Names that Windows keeps for devices; a folder cannot be called so there.
_RESERVED: Final = r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)$)"
SUBJECT: Final = re.compile(_RESERVED + r"[A-Za-z0-9]{1,32}")
SESSION: Final = re.compile(_RESERVED + r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
TAKE: Final = re.compile(r"A\d\d-\d\d+")


def subject_problem(text: str) -> str | None:
    """Return what is wrong with a subject's id in a sentence; None where it is possible."""
    if SUBJECT.fullmatch(text):
        return None
    return f"subject '{text}' is not possible; use 1 to 32 letters and digits, such as S12"


TakeState = Literal["recording", "complete", "recovered", "failed"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClockAnchor(_Model):
    """Session time and UTC, read together: ``utc`` is ISO 8601 at session time ``session_s``.

    The two clocks were read within ``width_s`` of each other. Of a recording that others made ``utc`` is None where
    nobody said it, and ``width_s`` is None: nobody measured it.
    """

    session_s: float
    utc: str | None
    width_s: float | None


class StreamRecord(_Model):
    """One recorded stream. ``stream_id`` is its id in ``streams.xdf``; stamps are host time."""

    stream_id: int
    name: str
    device: str
    source_id: str
    samples: int = 0
    ended: bool = True


class ViewRecord(_Model):
    """One camera's files. ``frames`` counts the rows of the frame records, ``encoded`` those in the video.

    Files in the take's folder are made, renamed and removed by the name of the ``view``: it leads nowhere else.
    """

    view: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")
    video: str
    records: str
    codec: str
    width: int
    height: int
    frames: int = 0
    encoded: int = 0
    stamped_by: str | None = Field(
        None, description="Of an imported view the stream whose stamps its frames have; None: they are session times."
    )


class Event(_Model):
    """Something that happened during the take, in session time: an operator's act, an alarm."""

    session_s: float
    kind: str
    text: str

    @property
    def marker(self) -> str:
        """The event as a sample of ``FlexMarkers``: its kind, a colon and its text; the kind alone without a text."""
        return f"{self.kind}: {self.text}" if self.text else self.kind

    @classmethod
    def of_marker(cls, session_s: float, marker: str) -> Event:
        """Return the event that a sample of ``FlexMarkers`` tells of."""
        kind, _, text = marker.partition(": ")
        return cls(session_s=session_s, kind=kind, text=text)


#: Kinds of events that mark a take for good.
FAULTS: Final = frozenset(
    {
        "clock_jump",
        "device_failed",
        "disk_full",
        "frames_not_kept",
        "gap",
        "recorder_failed",
        "recovered",
        "silent",
        "tail_lost",
        "watch_failed",
    }
)


class ImportedFile(_Model):
    """A file that was copied into a take: its own name, without folders, and what it was."""

    name: str
    sha256: str
    size: int


class ImportedVideo(_Model):
    """A video that was copied into a take, and what says when its frames were taken.

    That is a channel of a stream which counts frames (``stream`` is its name in the take, ``channel`` from 1), or a
    table of session times (``times``). ``first_frame`` is the number that either gives to the first frame of the video.
    """

    view: str
    file: ImportedFile
    stream: str | None = None
    channel: int | None = None
    times: ImportedFile | None = None
    first_frame: int = 0


class ImportRecord(_Model):
    """Where a take comes from that another program recorded: nothing of it was observed by flex-capture.

    ``header_datetime`` is what the recorder wrote into the file's header, a hint. ``from_s`` and ``to_s`` are the part
    of the file that is the take, in session time; None: from its beginning, to its end.
    """

    file: ImportedFile
    imported_utc: str
    header_datetime: str = ""
    from_s: float | None = None
    to_s: float | None = None
    from_marker: str | None = None
    to_marker: str | None = None
    videos: tuple[ImportedVideo, ...] = ()

    def overlaps(self, from_s: float | None, to_s: float | None) -> bool:
        """Whether a part of the same file shares some time with this one."""
        low = max((start for start in (self.from_s, from_s) if start is not None), default=None)
        high = min((end for end in (self.to_s, to_s) if end is not None), default=None)
        return low is None or high is None or low < high


class TakeRecord(_Model):
    """The content of ``take.json``: what was asked, what ran, and how it ended."""

    version: Literal[1] = 1
    subject: str
    session: str
    take: str
    action: str
    skill: Skill | None = None
    load_kg: float | None = None
    expected_repetitions: int | None = None
    state: TakeState
    simulated: bool
    simulated_devices: tuple[str, ...] = ()
    rig: dict[str, Any]
    software: dict[str, str]
    started: ClockAnchor
    recording_s: float | None = Field(None, description="Session time at which 'recording' was announced.")
    stopped: ClockAnchor | None = None
    stop_reason: str = ""
    streams: tuple[StreamRecord, ...] = ()
    views: tuple[ViewRecord, ...] = ()
    events: tuple[Event, ...] = ()
    imported: ImportRecord | None = None

    @property
    def id(self) -> str:
        """Unique id of the take in a dataset: subject, session and take."""
        return f"{self.subject}_{self.session}_{self.take}"

    @property
    def faults(self) -> tuple[str, ...]:
        """What failed while it was recorded, in sentences."""
        return tuple(event.text for event in self.events if event.kind in FAULTS)


@dataclass(frozen=True)
class Candidate:
    """What decides which of several takes of one subject, session and action counts.

    ``usable`` is False where it was marked not to be used. One whose ``started_utc`` nobody knows is no later than any.
    """

    take_id: str
    usable: bool
    complete: bool
    started_utc: str | None

    @property
    def series(self) -> str:
        """The folder and action under which its number was given."""
        return self.take_id.rpartition("-")[0]

    @property
    def number(self) -> int:
        """Its number in the series; 0 where a damaged id has none."""
        number = self.take_id.rpartition("-")[2]
        return int(number) if number.isdecimal() else 0


def current_take(candidates: Iterable[Candidate]) -> str:
    """Return the id of the take that replaces the others: the last one, a usable and complete one before any other.

    Numbers tell the order. Takes of several series, as after a subject or action was set right, are ordered by the UTC
    of their start.
    """
    takes = list(candidates)
    one_series = len({take.series for take in takes}) == 1
    best = max(
        takes, key=lambda t: (t.usable, t.complete, "" if one_series else t.started_utc or "", t.number, t.series)
    )  # fmt: skip
    return best.take_id


__all__ = [
    "SESSION",
    "SUBJECT",
    "TAKE",
    "Candidate",
    "ClockAnchor",
    "Event",
    "ImportRecord",
    "ImportedFile",
    "ImportedVideo",
    "StreamRecord",
    "TakeRecord",
    "TakeState",
    "ViewRecord",
    "current_take",
    "subject_problem",
]
