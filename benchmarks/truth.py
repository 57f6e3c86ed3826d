"""A raw take against what its simulated devices really did: stamp errors beside LSL's stamps, boundary errors.

Run from the project's root on takes that were recorded with ``--truth`` or made by ``offline_take.py``:
``python benchmarks/truth.py TAKE ...``.

The error of a stamp is |stamp - true time| of the last sample of each packet that arrived; the truth files name it.
Peers are the stamps as pyxdf gives them by default (clocks synchronised, jitter removed by a straight line): as they
are, and less the rig's constant latency, which ours are less as well. "Centred" is less the median error of the take,
which no lab could know: what remains even if every constant delay were known.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from capture.alignment import align_take
from capture.process_take import segment
from capture.take_run import TRUTH_FOLDER
from lab.repetitions import Repetition
from storage.raw_take import read_raw_take
from storage.take_folder import streams_path
from sync.align import align_stream

Float64 = npt.NDArray[np.float64]

OURS: Final = "flex-capture"
OURS_CENTRED: Final = "flex-capture centred"
CENTRED: Final = (OURS_CENTRED, "pyxdf centred")
PEER, PEER_LESS_LATENCY, PEER_CENTRED = "pyxdf", "pyxdf less latency", CENTRED[1]
#: A found repetition whose turn is further from a true one than this is another repetition.
SAME_TURN_S: Final = 1.0


@dataclass(frozen=True)
class DeviceTruth:
    """What one simulated device did: (packets,) counter and true time of last samples; (repetitions, 3) times."""

    counter: npt.NDArray[np.int64]
    time_s: Float64
    repetitions: Float64


@dataclass(frozen=True)
class Evaluation:
    """Errors of one take, signed, in milliseconds.

    ``stamps`` is {stream: {method: errors (packets,)}}, ``claimed_ms`` {stream: the median standard error that the
    take itself reports}. ``boundaries`` (matched, 3) are start, turn and end.
    """

    stamps: dict[str, dict[str, Float64]]
    claimed_ms: dict[str, float]
    boundaries: Float64
    found: int
    expected: int


def read_truth(path: Path) -> DeviceTruth:
    """Read one device's truth file."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    packets = [row for row in rows if "counter" in row]
    return DeviceTruth(
        np.array([row["counter"] for row in packets], dtype=np.int64),
        np.array([row["time_s"] for row in packets], dtype=np.float64),
        np.array([[one[key] for key in ("start_s", "turn_s", "end_s")] for one in rows[0]["repetitions"]]),
    )


def evaluate(folder: Path, *, peers: bool = True) -> Evaluation:
    """Compare a raw take with its truth; session time is taken for the simulated devices' host time.

    That holds where one computer did both, as with simulated devices. Raises what reading a take raises.
    """
    recorded = read_raw_take(folder)
    aligned = align_take(recorded)
    truths = {path.stem: read_truth(path) for path in sorted((folder / TRUTH_FOLDER).glob("*.jsonl"))}
    latency_s = {device["name"]: device["latency_s"] for device in aligned.record.rig["device"]}
    theirs = _by_pyxdf(streams_path(folder)) if peers else {}
    ours = {view.view: (view.frame_id, view.time_s) for view in aligned.views}
    for stream in recorded.streams:  # what align_take did, with the counters that it drops
        again, *_ = align_stream(stream, latency_s[stream.device], np.inf)
        ours[stream.name] = (again.counter, again.time_s)
    stamps: dict[str, dict[str, Float64]] = {}
    for name, truth in truths.items():
        own = _errors_ms(truth, *ours[name])
        stamps[name] = {OURS: own, OURS_CENTRED: own - np.median(own)}
        if name in theirs:
            plain = _errors_ms(truth, *theirs[name])
            stamps[name][PEER] = plain
            stamps[name][PEER_LESS_LATENCY] = plain - latency_s[name] * 1e3
            stamps[name][PEER_CENTRED] = plain - np.median(plain)
    true_repetitions = next(iter(truths.values())).repetitions
    found = segment(aligned).repetitions
    return Evaluation(
        stamps=stamps,
        claimed_ms={report.stream: report.uncertainty_p50_ms for report in aligned.reports},
        boundaries=_boundary_errors_ms(true_repetitions, found),
        found=len(found),
        expected=len(true_repetitions),
    )


def _errors_ms(truth: DeviceTruth, counter: npt.NDArray[np.int64], time_s: Float64) -> Float64:
    """Return stamp less truth of every packet; raises ValueError where a packet that arrived has no stamp."""
    order = np.argsort(counter, kind="stable")
    place = np.searchsorted(counter[order], truth.counter).clip(max=len(counter) - 1)
    there = counter[order][place] == truth.counter
    if not bool(there.all()):
        raise ValueError(f"{int((~there).sum())} of {len(there)} packets of the truth are not in the take")
    return np.asarray((time_s[order][place] - truth.time_s) * 1e3)


def _by_pyxdf(path: Path) -> dict[str, tuple[npt.NDArray[np.int64], Float64]]:
    """Return {stream: (counter, stamps)} of pyxdf's defaults."""
    import pyxdf

    logging.getLogger("pyxdf").setLevel(logging.ERROR)
    found = {}
    for stream in pyxdf.load_xdf(str(path))[0]:
        labels = [channel["label"][0] for channel in stream["info"]["desc"][0]["channels"][0]["channel"]]
        column = {"sample_counter": -1, "encoded": 0}.get(labels[-1])
        if column is not None:
            values = np.asarray(stream["time_series"])
            found[stream["info"]["name"][0]] = (values[:, column].astype(np.int64), np.asarray(stream["time_stamps"]))
    return found


def _boundary_errors_ms(truth: Float64, found: Sequence[Repetition]) -> Float64:
    rows = []
    for repetition in found:
        nearest = truth[np.argmin(np.abs(truth[:, 1] - repetition.turn_s))]
        if abs(nearest[1] - repetition.turn_s) < SAME_TURN_S:
            rows.append(np.array((repetition.start_s, repetition.turn_s, repetition.end_s)) - nearest)
    return np.array(rows).reshape(-1, 3) * 1e3


def percentiles(errors_ms: Float64, *shares: float) -> tuple[float, ...]:
    """Return percentiles of absolute errors, NaN where there are none."""
    sizes = np.abs(errors_ms)
    return tuple(float(np.percentile(sizes, share)) if len(sizes) else float("nan") for share in shares)


def print_stamps(stamps: dict[str, dict[str, Float64]], claimed_ms: dict[str, float]) -> None:
    """Print stamp errors; a ratio is a p50 by ours (centred by centred), a bias the median error."""
    heading = (
        f"{'stream':8}{'method':22}{'packets':>9}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}{'bias ms':>10}{'ratio':>9}"
    )
    print(heading + f"{'claimed':>9}")
    for stream, methods in stamps.items():
        own = {
            centred: percentiles(methods[method], 50)[0] for centred, method in ((False, OURS), (True, OURS_CENTRED))
        }
        for method, errors in methods.items():
            p50, p99, worst = percentiles(errors, 50, 99, 100)
            row = f"{stream:8}{method:22}{len(errors):>9}{p50:>10.3f}{p99:>10.3f}{worst:>10.3f}"
            row += f"{np.median(errors):>+10.3f}{p50 / own[method in CENTRED]:>9.1f}"
            print(row + (f"{claimed_ms[stream]:>9.3f}" if method == OURS else ""))


def print_boundaries(boundaries: Float64) -> None:
    """Print the table of boundary errors."""
    print(f"{'boundary':10}{'count':>7}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}{'bias ms':>9}")
    for name, column in zip(("start", "turn", "end"), boundaries.T, strict=True):
        p50, p95, worst = percentiles(column, 50, 95, 100)
        bias = float(np.median(column)) if len(column) else float("nan")
        print(f"{name:10}{len(column):>7}{p50:>9.1f}{p95:>9.1f}{worst:>9.1f}{bias:>+9.1f}")


def main() -> None:
    """Print a table a take."""
    parser = argparse.ArgumentParser(description="Compare raw takes with the truth of their simulated devices.")
    parser.add_argument("take", type=Path, nargs="+", help="folder of a raw take with truth/ in it")
    asked: Any = parser.parse_args()
    for folder in asked.take:
        result = evaluate(folder)
        print(f"{folder.name}: {result.found} of {result.expected} repetitions found")
        print_stamps(result.stamps, result.claimed_ms)
        print_boundaries(result.boundaries)


if __name__ == "__main__":
    main()
