"""What a device worker and the recorder say to each other over the pipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.streams import StreamSpec


@dataclass(frozen=True)
class Subscribe:
    """To the worker: say when all your streams have a consumer."""


@dataclass(frozen=True)
class Start:
    """To the worker: a take begins. Replays and simulations play from host time ``t0_s``.

    A camera writes into ``folder``, which is None where no take is recorded; simulated devices write what they did into
    ``truth_folder``. ``piece`` counts how often the device begins in this take: 2 after it died once.
    """

    t0_s: float
    folder: Path | None
    truth_folder: Path | None
    piece: int = 1


@dataclass(frozen=True)
class Stop:
    """To the worker: the take ends; hand on what arrived up to now, then close your files."""


@dataclass(frozen=True)
class Ready:
    """From the worker: the device is open and its streams are published, by name their source ids.

    ``remarks`` are sentences about what the device leaves out.
    """

    specs: tuple[StreamSpec, ...]
    sources: dict[str, str]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subscribed:
    """From the worker: whether every stream has a consumer."""

    complete: bool


@dataclass(frozen=True)
class Progress:
    """From the worker, a few times a second: what it has published, and how full its video queue is (0 to 1).

    ``problems`` are sentences about frames that could not be kept; ``consumers`` says whether anybody receives any of
    its streams.
    """

    published: dict[str, int]
    queue_fill: float = 0.0
    problems: tuple[str, ...] = ()
    consumers: bool = False


@dataclass(frozen=True)
class Ended:
    """From the worker: a replay or simulated performance is over."""


@dataclass(frozen=True)
class Failed:
    """From the worker: the device failed, in one sentence. What was written is kept."""

    sentence: str


@dataclass(frozen=True)
class Stopped:
    """From the worker: files are closed. ``published`` counts the rows of each stream in this take."""

    published: dict[str, int]
    problems: tuple[str, ...] = ()


ToWorker = Subscribe | Start | Stop
FromWorker = Ready | Subscribed | Progress | Ended | Failed | Stopped
