"""Judge what SIGKILL leaves of a recording: of the recorder alone, or of it and all its workers, at any moment.

A recording with ``--truth`` on small simulated devices. Demanded of each kill: every sample that a truth file shows as
arrived more than ``GRACE_S`` before it is readable, with pyxdf and with our reader, from the files as the kill left
them; every video opens and holds its frames but the last, which the muxer keeps back; no process of the recording
lives ``SURVIVE_S`` longer; the next ``record`` closes the take by itself, and then all that holds again and the
checksums are right.

After the stop a device's truth goes on, though nothing of it belongs to the take: where take.json does not say when the
stop was, nothing is demanded that arrived later than ``GRACE_S`` before the take's length was over. ``Killing`` does
one kill; ``tests/faults`` uses it as ``benchmarks/recorder.py`` does.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import psutil
from two_recorders import COMMAND, clock_s, our_command, recording

from capture.take_run import TRUTH_FOLDER
from lab.errors import FlexCaptureError
from storage.checksums import verify_sums
from storage.frame_records import read_frame_records
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes, part_path, read_record, streams_path
from storage.video_reader import read_video_index
from storage.xdf_reader import read_xdf

GRACE_S: Final = 0.1
SURVIVE_S: Final = 2.0
Moment = Literal["start", "take", "stop"]
MOMENTS: Final[tuple[Moment, ...]] = ("start", "take", "stop")
_LOOK_S: Final = 0.02
_GIVE_UP_S: Final = 10.0

SMALL_RIG: Final = """
name = "small devices"
wait_s = 30.0

[[device]]
name = "mocap"
driver = "simulated.mocap"

[[device]]
name = "emg"
driver = "simulated.emg"

[[device]]
name = "view1"
driver = "simulated.camera"
rate_hz = 15.0
width = 320
height = 240
focal_px = 260.0
"""


@dataclass(frozen=True)
class Pace:
    """How long the parts of a recording that nobody kills take: to "recording", and from the stop to its end."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Verdict:
    """What one kill did. ``demanded`` samples and frames had to be there; ``problems`` is empty where all is well.

    ``survived_s`` is how long the last process of the recording outlived the kill. ``by_itself`` says whether the next
    ``record`` closed the take; True as well where the kill left no unfinished one.
    """

    moment: Moment
    group: bool
    demanded: int
    survived_s: float
    by_itself: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Killing:
    """Kills recordings of one rig below one folder: ``out`` collects their takes."""

    rig: Path
    out: Path
    env: dict[str, str]
    take_s: float = 2.0

    def undisturbed(self) -> Pace:
        """Record one take that nobody kills, to know how long its parts take."""
        began_s = clock_s()
        with self._record(self.take_s) as running:
            recording_s = running.wait_for("recording S12")
            code = running.wait()
            if code not in {0, 1}:
                raise RuntimeError(f"a recording that nobody killed ended with {code}:\n{running.said}")
        return Pace(recording_s - began_s, clock_s() - recording_s - self.take_s)

    def once(self, moment: Moment, share: float, pace: Pace, *, group: bool) -> Verdict:
        """Kill one recording at a ``share`` (0 to 1) of the start, the take or the stop, and judge what is left."""
        before = set(self._takes())
        with self._record(self.take_s) as running:
            if moment == "start":
                time.sleep(share * (pace.start_s + GRACE_S))
            else:
                running.wait_for("recording S12")
                # what can go wrong at the stop goes on in its first part, before the dataset is written
                time.sleep(share * self.take_s if moment == "take" else self.take_s + share**2 * pace.end_s)
            killed_s = running.kill(group=group)
            survived_s = wait_for_orphans(running.process.pid, killed_s)
            running.wait()
            recording_s = running.heard("recording S12")
        stop_s = math.inf if recording_s is None else recording_s + self.take_s
        takes = [take for take in self._takes() if take not in before]
        problems = [f"{len(takes)} takes are there after one recording"] if len(takes) > 1 else []
        if survived_s > SURVIVE_S:
            problems.append(f"a process of the recording outlived it by {survived_s:.1f} s")
        demanded, unfinished = 0, False
        before_s: dict[Path, float] = {}
        for take in takes:
            before_s[take] = min(killed_s - GRACE_S, stopped_s(take, stop_s - GRACE_S))
            count, found = judge_take(take, before_s[take])
            demanded += count
            problems += [f"as killed: {problem}" for problem in found]
            unfinished = unfinished or not is_closed(take)
        problems += self._next_record()
        by_itself = all(is_closed(take) for take in takes) or not unfinished
        if unfinished and not by_itself:
            problems += self._recover(takes)
        for take in takes:
            problems += [f"salvaged: {problem}" for problem in judge_closed(take, before_s[take])]
        return Verdict(moment, group, demanded, survived_s, by_itself, tuple(problems))

    def many(self, count: int, seed: int = 1) -> Iterator[Verdict]:
        """Kill ``count`` recordings at random moments: start, take and stop in turns, every second one the group."""
        rng = random.Random(seed)
        pace = self.undisturbed()
        for number in range(count):
            moment = MOMENTS[number % len(MOMENTS)]
            yield self.once(moment, rng.random(), pace, group=number % 2 == 1)

    def _record(self, seconds: float) -> Any:
        more = ("--truth", "--reps", "1", "--duration", str(seconds))
        return recording("flex-capture", our_command(self.rig, self.out, *more), self.env)

    def _takes(self) -> list[Path]:
        raw = self.out / "raw"
        return list_takes(raw) if raw.is_dir() else []

    def _next_record(self) -> list[str]:
        """Record another take, as the operator would; say what is wrong with that."""
        with self._record(0.5) as running:
            code = running.wait()
        return [] if code in {0, 1} else [f"the next record ended with {code}: {running.said}"]

    def _recover(self, takes: list[Path]) -> list[str]:
        command = [*COMMAND, "recover", *(str(take) for take in takes)]
        with recording("flex-capture recover", command, self.env) as running:
            code = running.wait()
        return [] if code == 0 else [f"recover ended with {code}: {running.said}"]


def wait_for_orphans(group: int, killed_s: float) -> float:
    """Wait until no process of a group is alive; return how long after ``killed_s`` (LSL clock) the last one was seen.

    Infinity where one is alive after ten seconds.
    """
    while True:
        alive = _alive(group)
        now_s = clock_s()
        if not alive:
            return now_s - killed_s
        if now_s - killed_s > _GIVE_UP_S:
            return math.inf
        time.sleep(_LOOK_S)


def _alive(group: int) -> bool:
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except (psutil.Error, ProcessLookupError, PermissionError):
            continue
    return False


def is_closed(take: Path) -> bool:
    """Tell whether a take is complete or recovered, and nothing of it has a provisional name."""
    try:
        closed = read_record(take).state != "recording"
    except FlexCaptureError:
        return False
    return closed and not list(take.glob("*.part"))


def stopped_s(take: Path, at_the_earliest_s: float) -> float:
    """Return when a take was stopped (LSL clock); ``at_the_earliest_s`` where take.json does not say it."""
    try:
        events = read_record(take).events
    except FlexCaptureError:
        return at_the_earliest_s
    return next((event.session_s for event in events if event.kind == "stop"), at_the_earliest_s)


def arrived_before(truth: Path, before_s: float) -> npt.NDArray[np.int64]:
    """Return the counters (samples,) that a truth file shows as arrived before a moment of the LSL clock."""
    counters: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    for line in truth.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the kill tore it
        if "arrival_s" in row and row["arrival_s"] < before_s:
            counters.append(np.arange(row["counter"] - row["samples"] + 1, row["counter"] + 1))
    return np.concatenate(counters)


def judge_take(take: Path, before_s: float) -> tuple[int, list[str]]:
    """Return how many samples and frames must be in a take, closed or not, and a sentence for each that is not."""
    demanded = {
        truth.stem: found
        for truth in sorted((take / TRUTH_FOLDER).glob("*.jsonl"))
        if len(found := arrived_before(truth, before_s))
    }
    if not demanded:
        return 0, []
    streams = _existing(streams_path(take))
    if streams is None:
        return sum(map(len, demanded.values())), ["there is no streams.xdf"]
    problems: list[str] = []
    for reader, read in (("our reader", _counters_of_ours), ("pyxdf", _counters_of_pyxdf)):
        try:
            present = read(streams)
        except Exception as error:  # noqa: BLE001 - whatever a reader says of the file is the finding
            problems.append(f"{reader} cannot read {streams.name}: {type(error).__name__}: {error}")
            continue
        for device, counters in demanded.items():
            missing = np.setdiff1d(counters, present.get(device, np.empty(0, dtype=np.int64)))
            if len(missing):
                problems.append(f"{reader} misses {len(missing)} of {len(counters)} samples of {device}")
    for device, counters in demanded.items():
        if device.startswith("view"):
            problems += _judge_video(take, device, counters)
    return sum(map(len, demanded.values())), problems


def judge_closed(take: Path, before_s: float) -> list[str]:
    """Say what is wrong with a take that should have been salvaged."""
    problems = judge_take(take, before_s)[1]
    left = [path.name for path in take.glob("*.part")]
    problems += [f"{name} is left over" for name in left]
    try:
        state = read_record(take).state
        if state == "recording":
            problems.append("take.json says that it is still being recorded")
        problems += [str(finding) for finding in verify_sums(take)]
        read_raw_take(take)
    except FlexCaptureError as error:
        problems += error.problems
    return problems


def _existing(path: Path) -> Path | None:
    return next((found for found in (path, part_path(path)) if found.exists()), None)


def _counters(values: Any, camera: bool) -> npt.NDArray[np.int64]:
    if not len(values):
        return np.empty(0, dtype=np.int64)
    return np.asarray(np.asarray(values)[:, 0 if camera else -1], dtype=np.int64)


def _counters_of_ours(path: Path) -> dict[str, npt.NDArray[np.int64]]:
    return {
        stream.name: _counters(stream.values, stream.name.startswith("view"))
        for stream in read_xdf(path).streams
        if stream.format != "string"
    }


def _counters_of_pyxdf(path: Path) -> dict[str, npt.NDArray[np.int64]]:
    import pyxdf

    logging.getLogger("pyxdf").setLevel(logging.ERROR)  # that the file has no footers is expected
    streams, _ = pyxdf.load_xdf(str(path), synchronize_clocks=False, dejitter_timestamps=False)
    return {
        stream["info"]["name"][0]: _counters(stream["time_series"], stream["info"]["name"][0].startswith("view"))
        for stream in streams
        if stream["info"]["channel_format"][0] != "string"
    }


def _judge_video(take: Path, view: str, counters: npt.NDArray[np.int64]) -> list[str]:
    """Say what is wrong with a view's videos: each must open; together they lack at most the last frame of each."""
    records = sorted({*take.glob(f"{view}.frames*"), *take.glob(f"{view}-*.frames*")})
    videos = sorted({*take.glob(f"{view}.mov*"), *take.glob(f"{view}-*.mov*")})
    problems: list[str] = []
    recorded, frames = [np.empty(0, dtype=np.int64)], 0
    for path in records:
        try:
            recorded.append(np.asarray(read_frame_records(path).rows["frame_id"], dtype=np.int64))
        except FlexCaptureError as error:
            problems += error.problems
    for path in videos:
        try:
            frames += len(read_video_index(path).pts_us)
            _decode_first(path)
        except Exception as error:  # noqa: BLE001 - whatever the decoder says of the file is the finding
            problems.append(f"{path.name} does not open: {error}")
    missing = np.setdiff1d(counters, np.concatenate(recorded))
    if len(missing):
        problems.append(f"{view}.frames misses {len(missing)} of {len(counters)} frames")
    if frames < len(counters) - max(1, len(videos)):
        problems.append(f"the video of {view} holds {frames} of {len(counters)} frames")
    return problems


def _decode_first(path: Path) -> None:
    import av

    with av.open(str(path)) as container:
        next(container.decode(video=0))
