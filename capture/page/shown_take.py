"""What a page shows of a take, wherever it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from lab.aligned import Pose, StreamReport
from lab.repetitions import Repetition

Float64 = npt.NDArray[np.float64]

Moment = Literal["start", "turn", "end", "middle"]
MOMENTS: Final[tuple[Moment, ...]] = ("start", "turn", "end")


@dataclass(frozen=True)
class Signal:
    """Channels to draw: ``values`` (samples, channels) with ``time_s`` (samples,), NaN where absent."""

    name: str
    unit: str
    labels: tuple[str, ...]
    rate_hz: float
    time_s: Float64
    values: npt.NDArray[np.floating]


@dataclass(frozen=True)
class ShownView:
    """A view: the times of the frames that are in its video, and the time between two of them."""

    view: str
    time_s: Float64
    period_s: float


@dataclass(frozen=True)
class PictureRequest:
    """A frame to show: of a repetition (its number) or, with 0, of the take. ``index`` counts in the video at ``path``.

    ``index`` is -1 where the view has no frame of that moment.
    """

    repetition: int
    moment: Moment
    view: str
    path: Path
    index: int


@dataclass(frozen=True)
class ShownEvent:
    """Something that happened, or was said later; ``session_s`` is NaN for what has no place on the axis."""

    session_s: float
    kind: str
    text: str
    fault: bool = False


@dataclass(frozen=True)
class ShownTake:
    """A take's content.

    ``verdict`` is the one line of ``record``; ``marks`` what is not in order, ``remarks`` what a person may want to
    look at; ``source`` says what was read. Times are session time; the axis begins at ``from_s`` and its labels count
    from ``zero_s``.
    """

    take_id: str
    title: str
    source: str
    simulated_devices: tuple[str, ...]
    verdict: str
    marks: tuple[str, ...]
    remarks: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    phases: tuple[str, str]
    from_s: float
    to_s: float
    zero_s: float
    zero: str
    repetitions: tuple[Repetition, ...]
    pose: Pose | None
    emg: Signal | None
    envelope: Signal | None
    others: tuple[Signal, ...]
    views: tuple[ShownView, ...]
    reports: tuple[StreamReport, ...]
    events: tuple[ShownEvent, ...]
    pictures: tuple[PictureRequest, ...]
