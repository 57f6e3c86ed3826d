"""What a take must hold, by what its devices say that they delivered."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyxdf
from faulty_driver import Delivered, read_delivered

from lab.take import Event, TakeRecord
from storage.raw_take import read_raw_take
from storage.take_folder import read_record, streams_path
from sync.align import align_stream

#: Times are right within microseconds on a quiet computer; here a dozen processes start on two cores.
_WORST_S: Final = 0.01


@dataclass(frozen=True)
class JudgedTake:
    """A take read back twice: by the project's own reader, and ``streams.xdf`` by pyxdf."""

    folder: Path
    record: TakeRecord
    streams: dict[str, Any]
    theirs: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> JudgedTake:
        theirs, _ = pyxdf.load_xdf(streams_path(folder), synchronize_clocks=False, dejitter_timestamps=False)
        names = [stream["info"]["name"][0] for stream in theirs]
        assert len(set(names)) == len(names)
        streams = {stream.name: stream for stream in read_raw_take(folder).streams}
        return cls(folder, read_record(folder), streams, dict(zip(names, theirs, strict=True)))

    @property
    def t0_s(self) -> float:
        """When replays and simulations played their first sample."""
        return next(event.session_s for event in self.record.events if event.kind == "t0")

    def events(self, kind: str, about: str = "") -> list[Event]:
        """Return the events of a kind whose text tells of a device or stream."""
        return [event for event in self.record.events if event.kind == kind and about in event.text]

    def gaps_s(self, stream: str) -> list[float]:
        """Return the lengths of a stream's gaps, as ``gap`` events say them."""
        found = [re.fullmatch(r"stream '(.+)' has a gap of ([\d.]+) s; it is back", e.text) for e in self.events("gap")]
        return [float(match[2]) for match in found if match is not None and match[1] == stream]

    def counts(self, stream: str) -> list[int]:
        """Return a stream's counts as pyxdf reads them: those of ``sample_counter``, or of frames."""
        values = np.asarray(self.theirs[stream]["time_series"])
        column = 0 if self.theirs[stream]["info"]["type"][0] == "VideoCompressed" else -1
        return [int(count) for count in values[:, column]]

    def same_sources(self) -> None:
        """Check that each stream is there once, under the source id that it had at the begin."""
        for stream in self.record.streams:
            assert self.theirs[stream.name]["info"]["source_id"] == [stream.source_id]


def delivered_of(folder: Path, device: str, stream: str) -> list[Delivered]:
    """Return what a device delivered of one of its published streams."""
    own = stream.partition(".")[2]
    return [piece for piece in read_delivered(folder, device) if piece.stream == own]


def counts_of(pieces: list[Delivered]) -> list[int]:
    return [count for piece in pieces for count in range(piece.first, piece.last + 1)]


def assert_all_until_the_stop(take: JudgedTake, recorded: list[int], delivered: list[Delivered]) -> None:
    """Check that each sample that came before the stop was recorded once; later ones may be."""
    counts = counts_of(delivered)
    assert take.record.stopped is not None
    due = counts_of([piece for piece in delivered if piece.arrival_s <= take.record.stopped.session_s])
    assert len(due) <= len(recorded) <= len(counts)
    assert recorded == counts[: len(recorded)]


def assert_bystander_whole(take: JudgedTake, device: str = "bystander") -> None:
    """Check a device that nothing happened to against its truth: each sample once, nothing said of it."""
    rows = [json.loads(line) for line in (take.folder / "truth" / f"{device}.jsonl").read_text().splitlines()[1:]]
    true = [Delivered(0, "", row["counter"] - row["samples"] + 1, row["counter"], row["arrival_s"]) for row in rows]
    assert len(true) > 10
    assert_all_until_the_stop(take, take.counts(device), true)
    about = [event.text for event in take.record.events if f"'{device}'" in event.text]
    assert about == []


def assert_times_right(take: JudgedTake, stream: str, true_rate_hz: float, latency_s: float, first: int = 0) -> None:
    """Check session times of all samples, before and after a gap, against when they were due; ``first`` was at t0."""
    aligned, report, _ = align_stream(take.streams[stream], latency_s, 1000.0)
    error_s = aligned.time_s - (take.t0_s + (aligned.counter - first) / true_rate_hz)
    assert np.max(np.abs(error_s)) < _WORST_S, (stream, report, np.quantile(error_s, [0, 0.5, 1]))
