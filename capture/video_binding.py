"""``--video view1=FILE:STREAM[:CHANNEL]``: which video is which view, and what says when its frames were taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from capture.imported_streams import NamedStream
from capture.visible_streams import shown
from lab.device_names import VIEW_NAME
from lab.errors import RequestError
from lab.streams import FRAME_LABELS

_MOST_NAMED: Final = 8


@dataclass(frozen=True)
class VideoRequest:
    """A ``--video`` as it was typed, its file found: ``times`` is the table or the stream that follows, as typed."""

    view: str
    file: Path
    times: str

    @property
    def table(self) -> Path | None:
        """The table of session times, where that was named and no stream."""
        path = Path(self.times)
        return path if path.suffix.lower() == ".csv" else None


@dataclass(frozen=True)
class FrameChannel:
    """The channel of a stream that counts the frames of a video; ``column`` from 0."""

    stream: NamedStream
    column: int


def parse_videos(texts: Sequence[str]) -> tuple[VideoRequest, ...]:
    """Read the options. Raises RequestError with a sentence for each mistake."""
    found: list[VideoRequest] = []
    problems: list[str] = []
    for text in texts:
        view, equals, rest = text.partition("=")
        if not equals or not VIEW_NAME.fullmatch(view):
            problems.append(
                f"--video '{text}' names no view; write it as view1=FILE:STREAM, with a view from view1 to view9"
            )
            continue
        file, times = _file_and_times(rest)
        if not file.is_file():
            problems.append(f"--video {view}: there is no file {file}; check the name")
        elif view in {request.view for request in found}:
            problems.append(f"--video: {view} is given twice; give each video a view of its own")
        else:
            request = VideoRequest(view, file, times)
            if request.table is not None and not request.table.is_file():
                problems.append(f"--video {view}: there is no file {request.table}; check the name")
            found.append(request)
    if problems:
        raise RequestError(*problems)
    return tuple(found)


def parse_first_frames(texts: Sequence[str]) -> dict[str, int]:
    """Read ``view1=0``: the number that a stream gives to the first frame of a video. Raises RequestError."""
    found: dict[str, int] = {}
    for text in texts:
        view, _, number = text.partition("=")
        if not VIEW_NAME.fullmatch(view) or not number.isdecimal() or len(number) > 15:
            raise RequestError(f"--first-frame '{text}' is not understood; write it as view1=0 or view1=1")
        found[view] = int(number)
    return found


def _file_and_times(text: str) -> tuple[Path, str]:
    """Part a text at the colon behind the longest name of a file that is there; ``C:`` and names may have colons."""
    places = [place for place, character in enumerate(text) if character == ":"]
    for place in reversed([*places, len(text)]):
        if Path(text[:place]).is_file():
            return Path(text[:place]), text[place + 1 :]
    drive = len(text) > 1 and text[0].isalpha() and text[1] == ":"
    end = text.find(":", 2 if drive else 0)
    return (Path(text), "") if end < 0 else (Path(text[:end]), text[end + 1 :])


def frame_channel(request: VideoRequest, streams: Sequence[NamedStream]) -> FrameChannel:
    """Find the stream and the channel that count a video's frames. Raises RequestError."""
    numeric = [stream for stream in streams if len(stream.stream.stamps)]
    if not request.times:
        raise RequestError(
            f"--video {request.view}: nothing says when the frames of {request.file.name} were taken; name the stream"
            f" that counts them, as in {request.view}={request.file}:STREAM ({_there(numeric)}), or a table with the"
            f" columns frame and time_s, as in {request.view}={request.file}:times.csv"
        )
    wanted, channel = request.times, ""
    found = _called(wanted, numeric)
    if not found and ":" in wanted:
        wanted, _, channel = wanted.rpartition(":")
        found = _called(wanted, numeric)
    if len(found) != 1:
        what = "no stream" if not found else f"{len(found)} streams"
        raise RequestError(
            f"--video {request.view}: {what} with samples {'is' if not found else 'are'} called '{shown(wanted)}';"
            f" {_there(numeric)}; name one of them"
        )
    return FrameChannel(found[0], _column(request, found[0], channel))


def _called(wanted: str, streams: Sequence[NamedStream]) -> list[NamedStream]:
    """Return the streams of a name in the take, or else of a name or source id in the file."""
    exact = [one for one in streams if one.name == wanted]
    return exact or [one for one in streams if wanted in (one.stream.name, one.stream.header.source_id)]


def _there(streams: Sequence[NamedStream]) -> str:
    names = [f"'{one.name}'" for one in streams[:_MOST_NAMED]]
    more = f" and {len(streams) - _MOST_NAMED} more" if len(streams) > _MOST_NAMED else ""
    return f"the streams are {', '.join(names)}{more}" if names else "there is no stream with samples"


def _column(request: VideoRequest, stream: NamedStream, channel: str) -> int:
    labels = [entry.label for entry in stream.stream.header.channels]
    if tuple(labels) == FRAME_LABELS and not channel:
        return 0
    if not channel:
        framed = [column for column, label in enumerate(labels) if "frame" in label.lower()]
        chosen = [0] if len(labels) == 1 else framed
    elif channel.isdecimal() and channel not in labels:
        chosen = [int(channel) - 1] if 1 <= int(channel) <= len(labels) else []
    else:
        chosen = [column for column, label in enumerate(labels) if label == channel]
    if len(chosen) != 1:
        there = ", ".join(f"{number} {shown(label)}".strip() for number, label in enumerate(labels[:12], 1))
        raise RequestError(
            f"--video {request.view}: say which channel of stream {stream} counts the frames, by label or number, as in"
            f" {request.view}={request.file}:{stream.name}:1; its channels are {there}"
        )
    return chosen[0]
