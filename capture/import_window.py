"""``--from`` and ``--to``: which part of a long recording is the take, by seconds or by markers in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from capture.visible_streams import shown
from lab.errors import RequestError
from storage.take_window import rough_session_s
from storage.xdf_reader import XdfStream

_MOST_NAMED: Final = 6


@dataclass(frozen=True)
class WindowRequest:
    """The options as they were typed; seconds are counted from the file's first sample."""

    from_s: float | None = None
    to_s: float | None = None
    from_marker: str | None = None
    to_marker: str | None = None


@dataclass(frozen=True)
class ImportWindow:
    """Session times of a file's first and last sample, and of the part that is the take (None: from, to its end)."""

    first_s: float
    last_s: float
    from_s: float | None
    to_s: float | None

    @property
    def begins_s(self) -> float:
        """Session time at which the take begins."""
        return self.first_s if self.from_s is None else max(self.from_s, self.first_s)

    @property
    def ends_s(self) -> float:
        """Session time at which the take ends."""
        return self.last_s if self.to_s is None else min(self.to_s, self.last_s)


def session_times(stream: XdfStream) -> npt.NDArray[np.float64]:
    """Return a stream's stamps in session time, (samples,), good to some milliseconds; NaN for what is no time."""
    return rough_session_s(stream.stamps, np.column_stack((stream.clock_times, stream.clock_offsets)))


def find_window(streams: Sequence[XdfStream], request: WindowRequest) -> ImportWindow:
    """Find the part of a file that was asked for. Raises RequestError where there is no such part.

    First and last sample are those of streams whose clock was probed, where there are any: the stamps of others may be
    of another clock.
    """
    first_s, last_s = _ends(streams)
    if request.from_s is not None and request.from_marker is not None:
        raise RequestError("--from and --from-marker both say where the take begins; leave out one")
    if request.to_s is not None and request.to_marker is not None:
        raise RequestError("--to and --to-marker both say where the take ends; leave out one")
    from_s = None if request.from_s is None else first_s + request.from_s
    if request.from_marker is not None:
        from_s = _only(streams, request.from_marker, first_s)
    to_s = None if request.to_s is None else first_s + request.to_s
    if request.to_marker is not None:
        after = first_s if from_s is None else from_s
        times = [time_s for time_s in _times_of(streams, request.to_marker) if time_s > after]
        if not times:
            raise RequestError(_no_marker(streams, request.to_marker, "after the beginning"))
        to_s = times[0]
    window = ImportWindow(first_s, last_s, from_s, to_s)
    asked = from_s is not None or to_s is not None
    if window.begins_s > window.ends_s or (asked and window.begins_s == window.ends_s):
        raise RequestError(
            f"from {window.begins_s - first_s:.3f} s to {(last_s if to_s is None else to_s) - first_s:.3f} s there is"
            f" nothing: the file has samples from 0 s to {last_s - first_s:.3f} s; correct --from and --to"
        )
    return window


def _ends(streams: Sequence[XdfStream]) -> tuple[float, float]:
    probed = [stream for stream in streams if len(stream.clock_offsets)]
    for chosen in (probed, streams):
        times = [session_times(stream) for stream in chosen]
        times = [found for found in (each[np.isfinite(each)] for each in times) if found.size]
        if times:
            return min(float(found.min()) for found in times), max(float(found.max()) for found in times)
    raise RequestError("it holds no sample with a time; there is nothing to import")


def _times_of(streams: Sequence[XdfStream], text: str) -> list[float]:
    """Return the session times at which a stream of texts says just this, in order."""
    found: list[float] = []
    for stream in streams:
        if stream.format == "string" and len(stream.stamps):
            said = np.array([any(str(value).strip() == text for value in row) for row in stream.values])
            times = session_times(stream)[said]
            found += times[np.isfinite(times)].tolist()
    return sorted(found)


def _only(streams: Sequence[XdfStream], text: str, first_s: float) -> float:
    times = _times_of(streams, text)
    if not times:
        raise RequestError(_no_marker(streams, text, "in the file"))
    if len(times) > 1:
        named = ", ".join(f"{time_s - first_s:.3f}" for time_s in times[:_MOST_NAMED])
        more = " …" if len(times) > _MOST_NAMED else ""
        raise RequestError(
            f"marker '{shown(text)}' is there {len(times)} times, at {named}{more} s; say which with --from"
        )
    return times[0]


def _no_marker(streams: Sequence[XdfStream], text: str, where: str) -> str:
    said = dict.fromkeys(
        str(value).strip() for stream in streams if stream.format == "string" for row in stream.values for value in row
    )
    there = ", ".join(f"'{shown(value)}'" for value in list(said)[:_MOST_NAMED]) or "none"
    advice = "correct it, or give seconds with --from, --to"
    return f"there is no marker '{shown(text)}' {where}; markers are {there}; {advice}"
