"""Do a take's frames table and its signals tell the same pose? The one is made from the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lab.joints import JOINTS
from storage.flex.entries import Row
from storage.flex.resample import interpolate
from storage.flex.versions import MAX_GAP_S

if TYPE_CHECKING:
    import numpy.typing as npt

#: Positions are stored as float32, in both: what differs by more than this was changed.
_TOLERANCE_M: Final = 1e-3

_COLUMNS: Final = tuple(f"pose_{joint}_{axis}" for joint in JOINTS for axis in "xyz")


def pose_findings(dataset: Path, take: Row, repetitions: list[Row]) -> list[str]:
    """Compare the pose of the frames table with that of the signals, interpolated to the rows' times."""
    import h5py
    import pyarrow.parquet as pq

    if "pose" not in take["modalities"]:
        return []
    findings = []
    with (
        pq.ParquetFile(dataset / take["frames_file"]) as frames,
        h5py.File(dataset / take["signals_file"], "r") as signals,
    ):
        table = frames.read(columns=["repetition", "time_s", *_COLUMNS])
        numbers = table.column("repetition").to_numpy()
        for row in repetitions:
            first, last = np.searchsorted(numbers, [row["repetition"], row["repetition"] + 1])
            part = table.slice(int(first), int(last - first))
            group = signals[f"{row['signals_group']}/pose"]
            time_s, positions_m = group["time"][()], group["values"][()].astype(np.float64)
            at_s = part.column("time_s").to_numpy()
            if not len(at_s) or not len(time_s):
                continue
            shown_m = np.stack([_floats(part.column(name)) for name in _COLUMNS], axis=1).reshape(-1, len(JOINTS), 3)
            wrong = [
                joint
                for place, joint in enumerate(JOINTS)
                if _differ(shown_m[:, place], interpolate(time_s, positions_m[:, place], at_s, MAX_GAP_S))
            ]
            if wrong:
                others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
                findings.append(
                    f"{take['frames_file']}: pose of {wrong[0]}{others} in repetition {row['repetition']} is not that"
                    f" of {take['signals_file']}; write the take again."
                )
    return findings


def _floats(column: Any) -> npt.NDArray[np.float64]:
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _differ(one_m: npt.NDArray[np.float64], other_m: npt.NDArray[np.float64]) -> bool:
    """Tell whether positions differ where both are there: the signals have nothing beyond start and end."""
    there = np.isfinite(one_m) & np.isfinite(other_m)
    return bool((np.abs(one_m - other_m)[there] > _TOLERANCE_M).any())
