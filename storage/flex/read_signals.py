"""Read the signals of a take back out of a dataset: each modality of each repetition at its own rate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.errors import LayoutError
from lab.joints import JOINTS
from storage.flex.description import SIGNALS
from storage.flex.entries import TakeEntry
from storage.flex.paths import is_own_file
from storage.flex.tables import first_line

Float64 = npt.NDArray[np.float64]

#: A repetition's signal of more numbers than this (hours of 64 channels) is not read into memory.
_MOST_NUMBERS: Final = 1 << 29

#: Whatever a damaged file makes h5py raise.
_DAMAGE: Final = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class StoredSignal:
    """One modality of a repetition.

    ``values`` (samples, channels), the pose's (samples, 21, 3); ``time_s`` (samples,) session time. Rates are NaN where
    they are not known.
    """

    values: npt.NDArray[np.float32]
    time_s: Float64
    labels: tuple[str, ...]
    unit: str
    stream: str
    rate_nominal_hz: float
    rate_measured_hz: float
    simulated: bool


def file_of(dataset: Path, relative: object) -> Path:
    """Return the path of a take's file that a table names. Raises LayoutError for one that lies elsewhere."""
    name = str(relative)
    if not is_own_file(name) or ".." in name.split("/") or "\\" in name:
        raise LayoutError(f"{dataset}: '{name}' is not a file of a take; run `flex-capture rebuild`.")
    return dataset / name


def read_signals(dataset: Path, take: TakeEntry) -> list[dict[str, StoredSignal]]:
    """Return the modalities of each repetition of a take, by name, in the order of its repetitions.

    Raises LayoutError where the file is missing or damaged.
    """
    import h5py

    path = file_of(dataset, take.take["signals_file"])
    try:
        with h5py.File(path, "r") as file:
            return [_read_group(file[str(row["signals_group"])]) for row in take.repetitions]
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def read_repetition_signals(
    dataset: Path, signals_file: object, group: str, names: Collection[str] = tuple(SIGNALS)
) -> dict[str, StoredSignal]:
    """Return the modalities of one repetition that are there and among ``names``, by name.

    ``group`` is the repetition's in ``signals_file``. Raises LayoutError where the file is missing or damaged.
    """
    import h5py

    path = file_of(dataset, signals_file)
    try:
        with h5py.File(path, "r") as file:
            return _read_group(file[group], names)
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def read_labels(dataset: Path, signals_file: object, group: str, name: str) -> tuple[str, ...]:
    """Return the channels' labels of one modality of a repetition; () where it is not there.

    Raises LayoutError where the file is missing or damaged.
    """
    import h5py

    path = file_of(dataset, signals_file)
    try:
        with h5py.File(path, "r") as file:
            return _labels(file[group][name]["values"]) if name in file[group] else ()
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _labels(stored: Any) -> tuple[str, ...]:
    return tuple(str(label) for label in np.ravel(stored.attrs["labels"]).tolist())


def _damaged(path: Path, error: BaseException) -> LayoutError:
    return LayoutError(f"{path} cannot be read ({first_line(error)}); write the take again from its raw take.")


def _read_group(group: Any, names: Collection[str] = tuple(SIGNALS)) -> dict[str, StoredSignal]:
    return {name: _read_signal(name, group[name]) for name in SIGNALS if name in names and name in group}


def _read_signal(name: str, part: Any) -> StoredSignal:
    stored, times = part["values"], part["time"]
    if max(stored.size, times.size) > _MOST_NUMBERS:
        raise ValueError(f"{part.name} holds more numbers than a repetition can")
    values, time_s = stored[()].astype(np.float32, copy=False), times[()].astype(np.float64, copy=False)
    if values.ndim == 1:
        values = values[:, None]
    labels = _labels(stored)
    shape = (len(time_s), len(JOINTS), 3) if name == "pose" else (len(time_s), len(labels))
    if values.shape != shape or not np.isfinite(time_s).all() or (np.diff(time_s) <= 0).any():
        raise ValueError(f"{part.name} has values that do not fit its times")
    return StoredSignal(
        values=values,
        time_s=time_s,
        labels=labels,
        unit=str(stored.attrs["unit"]),
        stream=str(part.attrs["stream"]),
        rate_nominal_hz=float(part.attrs["rate_nominal_hz"]),
        rate_measured_hz=float(part.attrs["rate_measured_hz"]),
        simulated=bool(part.attrs["simulated"]),
    )
