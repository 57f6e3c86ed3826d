"""Every kind of driver is killed, stopped, raises and hangs in a take: it comes back, and its gap is told truly."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from every_driver import Kind, every_kind, rig_of
from faulty_driver import Delivered, read_delivered
from judging import (
    JudgedTake,
    assert_all_until_the_stop,
    assert_bystander_whole,
    assert_times_right,
    counts_of,
    delivered_of,
)
from running_recorder import RunningRecorder, recording, wait_for

from storage.checksums import verify_sums
from storage.frame_records import read_frame_records
from storage.raw_take import read_raw_take
from storage.video_reader import read_video_index
from sync.align import align_view

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

#: What liblsl may still have had in hand when a process was killed; one that fails by itself sends all.
_KILLED_TAIL_S = 0.3
_AFTER_S = 3.0


@dataclass(frozen=True)
class FaultyTake:
    """A take in which a fault befell all devices but the bystander at the same moment."""

    fault: str
    take: JudgedTake
    kinds: tuple[Kind, ...]
    folder: Path
    console: str
    code: int
    workers_kept: bool


def strike(fault: str, recorder: RunningRecorder, kinds: tuple[Kind, ...], folder: Path) -> None:
    """Let the fault befall each device but the first of the rig, the bystander."""
    workers = recorder.workers()[1:]
    assert len(workers) == len(kinds)
    if fault == "kill":
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
    elif fault == "stop":
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        time.sleep(5.0)
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
    else:
        for number, kind in enumerate(kinds):
            order = ("RuntimeError", "DeviceError")[number % 2] if fault == "raise" else "hang"
            half = folder / f"{kind.device}.half"
            half.write_text(order, encoding="utf-8")
            half.rename(folder / f"{kind.device}.order")


def is_back(folder: Path, kind: Kind, struck_s: float, fault: str) -> bool:
    """Whether a device has delivered for a while after the fault, from a new process where its old one is gone."""
    pieces = read_delivered(folder, kind.device)
    if fault != "stop":
        pieces = [piece for piece in pieces if piece.life != pieces[0].life]
    later = [piece for piece in pieces if piece.arrival_s > struck_s]
    return bool(later) and later[-1].arrival_s - later[0].arrival_s > _AFTER_S


@pytest.fixture(scope="module", params=["kill", "stop", "raise", "hang"])
def faulty_take(
    request: pytest.FixtureRequest, installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultyTake]:
    from pylsl import local_clock

    fault, folder = request.param, tmp_path_factory.mktemp("faults")
    kinds = every_kind(folder)
    rig = folder / "rig.toml"
    rig.write_text(rig_of(kinds, folder), encoding="utf-8")
    with recording(rig, folder / "out", installed) as recorder:
        time.sleep(3.0)
        before = [worker.pid for worker in recorder.workers()]
        strike(fault, recorder, kinds, folder)
        struck_s = local_clock()
        for kind in kinds:
            wait_for(f"{kind.device} is back", lambda kind=kind: is_back(folder, kind, struck_s, fault), 90.0)
        workers_kept = before == [worker.pid for worker in recorder.workers()]
        code = recorder.stop()
        take = JudgedTake.of(recorder.take())
        yield FaultyTake(fault, take, kinds, folder, recorder.shown, code, workers_kept)


def test_what_befell_each_device_is_told(faulty_take: FaultyTake) -> None:
    take, fault = faulty_take.take, faulty_take.fault
    said = "\n".join(f"{event.session_s - take.t0_s:7.2f} {event.kind}: {event.text}" for event in take.record.events)
    assert take.record.state == "complete"
    assert "Traceback" not in faulty_take.console
    assert verify_sums(take.folder) == []
    for kind in faulty_take.kinds:
        told = [len(take.events(name, f"'{kind.device}'")) for name in ("device_failed", "device_again", "device_back")]
        if fault == "stop":
            assert told == [0, 0, 0], said
            assert any(f"'{kind.device}" in event.text for event in take.events("silent")), said
        else:
            assert told == [1, 1, 1], said
    sentence = {
        "kill": "the process of device 'emg' died",
        "stop": "stream 'emg' of device 'emg' was silent for more than 3 s",
        "raise": "the device sends garbage; switch it off and on",
        "hang": "device 'emg' has not answered for 10 s; its process stands still",
    }[fault]
    assert sentence in faulty_take.console
    assert any(sentence in text for text in take.record.faults), said
    assert faulty_take.workers_kept == (fault == "stop")
    assert faulty_take.code == (1 if fault == "stop" else 3), faulty_take.console


def lives_of(pieces: list[Delivered]) -> list[list[Delivered]]:
    return [[piece for piece in pieces if piece.life == life] for life in dict.fromkeys(piece.life for piece in pieces)]


def test_all_that_a_device_delivered_is_recorded_and_its_gap_is_as_long_as_told(faulty_take: FaultyTake) -> None:
    take, fault = faulty_take.take, faulty_take.fault
    take.same_sources()
    for kind in faulty_take.kinds:
        for stream, rate_hz in kind.streams.items():
            lives = lives_of(delivered_of(faulty_take.folder, kind.device, stream))
            assert len(lives) == (1 if fault == "stop" else 2)
            recorded = take.counts(stream)
            if fault == "stop":
                assert_all_until_the_stop(take, recorded, lives[0])
                assert take.gaps_s(stream) == []
                continue
            first, begin = counts_of(lives[0]), recorded.index(lives[1][0].first)
            assert_all_until_the_stop(take, recorded[begin:], lives[1])
            kept = recorded[:begin]
            assert kept == first[: len(kept)], stream
            tail_s = (len(first) - len(kept)) / rate_hz
            assert tail_s <= (_KILLED_TAIL_S if fault == "kill" else 0.0), stream
            last_s = max(piece.arrival_s for piece in lives[0] if piece.last <= kept[-1])
            again = lives[1][0]
            gap_s = again.arrival_s - (again.last - again.first) / rate_hz - last_s
            assert take.gaps_s(stream) == [pytest.approx(gap_s, abs=0.01)], stream


def test_texts_of_a_replay_are_recorded_as_well(faulty_take: FaultyTake) -> None:
    take = faulty_take.take
    said = [row[0] for row in take.theirs["xdf.cues"]["time_series"]]
    cues = delivered_of(faulty_take.folder, "xdf", "xdf.cues")
    delivered = [f"cue {piece.first * 50}" for piece in cues]
    missing = [piece for piece, text in zip(cues, delivered, strict=True) if text not in said]
    assert said == [text for text in delivered if text in said]
    assert take.record.stopped is not None
    in_take = [piece for piece in missing if piece.arrival_s <= take.record.stopped.session_s]
    assert len(in_take) <= (1 if faulty_take.fault == "kill" else 0)


def test_times_are_right_before_and_after_the_gap(faulty_take: FaultyTake) -> None:
    for kind in faulty_take.kinds:
        for stream, rate_hz in kind.streams.items():
            if not kind.is_camera:
                true_rate_hz = rate_hz * (1 + kind.drift_ppm * 1e-6)
                assert_times_right(faulty_take.take, stream, true_rate_hz, kind.delay_s, kind.first)


def test_a_camera_has_one_video_with_every_frame_accounted_for(faulty_take: FaultyTake) -> None:
    take, killed = faulty_take.take, faulty_take.fault == "kill"
    assert sorted(path.name for path in take.folder.glob("view*")) == [
        f"{view}.{suffix}" for view in ("view1", "view2") for suffix in ("frames", "mov")
    ]
    assert not list(take.folder.rglob("*.part"))
    views = {view.view: view for view in read_raw_take(take.folder).views}
    for name in ("view1", "view2"):
        lives = lives_of(delivered_of(faulty_take.folder, name, name))
        rows = read_frame_records(take.folder / f"{name}.frames").rows
        ids = rows["frame_id"].tolist()
        assert set(take.counts(name)) <= set(ids)
        begin = ids.index(lives[-1][0].first) if len(lives) > 1 else 0
        assert_all_until_the_stop(take, ids[begin:], lives[-1])
        first = counts_of(lives[0])
        assert ids[:begin] == first[:begin]
        missing = len(first) - begin if begin else 0
        assert missing <= (1 if killed else 0)  # the frame in hand
        assert (np.diff(rows["pts_us"]) > 0).all()
        index = views[name].index
        assert views[name].frame_id.tolist() == ids
        held_back = faulty_take.fault in {"kill", "hang"}  # a muxer that is not closed keeps its last frame
        assert np.count_nonzero(index < 0) <= (1 if held_back else 0)
        assert index[index >= 0].tolist() == list(range(np.count_nonzero(index >= 0)))
        assert len(read_video_index(take.folder / f"{name}.mov").pts_us) == np.count_nonzero(index >= 0)
        aligned, *_ = align_view(views[name], 0.04 if name == "view1" else 0.0, 1000.0)
        rate_hz = 10 * (1 + 9e-6) if name == "view1" else 10.0
        assert np.max(np.abs(aligned.time_s - take.t0_s - aligned.frame_id / rate_hz)) < 0.01


def test_a_bystander_loses_nothing(faulty_take: FaultyTake) -> None:
    assert_bystander_whole(faulty_take.take)
