"""TRC files: marker trajectories as tab-separated text (Motion Analysis, OpenSim, OpenCap)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError

#: Larger files are refused rather than read into memory.
MAX_BYTES: Final = 512 * 1024**2
_MAX_MARKERS: Final = 10_000
_MAX_CELLS: Final = 2**27
_HEADER_LINES: Final = 5


@dataclass(frozen=True)
class MarkerFile:
    """The content of a TRC file.

    ``positions`` is float64 (frames, markers, 3) in the file's length unit ``units``, NaN where a cell is
    missing. ``time_s`` (frames,) is the file's own time column and ``frame_number`` int64 (frames,) its own
    frame column; both increase strictly.
    """

    rate_hz: float
    labels: tuple[str, ...]
    positions: npt.NDArray[np.float64]
    units: str
    time_s: npt.NDArray[np.float64]
    frame_number: npt.NDArray[np.int64]


def read_trc(path: Path) -> MarkerFile:
    """Read a whole TRC file.

    Raises FileFormatError where the file is missing, too large, cut off or says what cannot be.
    """
    lines = _lines(path)
    rate_hz, frames, markers, units = _facts(lines, path)
    labels = _marker_labels(lines[3], markers, path)
    rows = [(number, line) for number, line in enumerate(lines[_HEADER_LINES:], _HEADER_LINES + 1) if line.strip()]
    if len(rows) != frames:
        raise FileFormatError(
            f"{path} announces {frames} frames and holds {len(rows)}: it was cut off or edited; export it again"
        )
    if frames * (2 + 3 * markers) > _MAX_CELLS:
        raise FileFormatError(f"{path} holds more than {_MAX_CELLS} cells; cut it into shorter trials")
    if lines[-1].strip() and lines[-1].count("\t") < 1 + 3 * markers:
        raise FileFormatError(f"{path} is cut off in its last line; export it again")
    table = np.full((frames, 2 + 3 * markers), np.nan)
    for index, (number, line) in enumerate(rows):
        cells = line.rstrip("\t ").split("\t")
        if len(cells) > table.shape[1]:
            raise FileFormatError(f"{path}, line {number}: more cells than {markers} markers need; export it again")
        table[index, : len(cells)] = _numbers(cells, number, path)
    frame_number, time_s = table[:, 0], table[:, 1]
    for column, what in ((frame_number, "frame numbers"), (time_s, "times")):
        if not (np.isfinite(column).all() and (np.diff(column) > 0).all()):
            raise FileFormatError(f"{path}: its {what} do not increase from row to row; export it again")
    if (np.abs(frame_number) > 2**53).any() or (frame_number % 1 != 0).any():
        raise FileFormatError(f"{path}: its frame numbers are not whole numbers; export it again")
    return MarkerFile(
        rate_hz=rate_hz,
        labels=labels,
        positions=table[:, 2:].reshape(frames, markers, 3).copy(),
        units=units,
        time_s=time_s.copy(),
        frame_number=frame_number.astype(np.int64),
    )


def _lines(path: Path) -> list[str]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise FileFormatError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB; cut it into shorter trials")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FileFormatError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); check the disk and its rights") from error
    if b"\0" in data:
        raise FileFormatError(f"{path} is not a TRC file: it is not text; choose another file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # marker names of older Windows programs
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) < _HEADER_LINES or not lines[0].startswith("PathFileType"):
        raise FileFormatError(f"{path} is not a TRC file: it does not begin with PathFileType; choose another file")
    return lines


def _facts(lines: list[str], path: Path) -> tuple[float, int, int, str]:
    """Return rate in Hz, count of frames, count of markers and the length unit from lines 2 and 3."""
    names, values = ([cell.strip() for cell in line.split("\t")] for line in lines[1:3])
    facts = dict(zip(names, values, strict=False))
    try:
        rate_hz = float(facts["DataRate"])
        frames = int(float(facts["NumFrames"]))
        markers = int(float(facts["NumMarkers"]))
        units = facts["Units"]
    except KeyError as error:
        raise FileFormatError(f"{path} does not state {error.args[0]} in its header; export it again") from error
    except (ValueError, OverflowError) as error:
        raise FileFormatError(f"{path}: the numbers of its header cannot be read; export it again") from error
    if not (0 < rate_hz < 1e6 and frames > 0 and 0 < markers <= _MAX_MARKERS):
        raise FileFormatError(
            f"{path}: {frames} frames of {markers} markers at {rate_hz:g} Hz cannot be; export it again"
        )
    return rate_hz, frames, markers, units


def _marker_labels(line: str, markers: int, path: Path) -> tuple[str, ...]:
    labels = tuple(cell.strip() for cell in line.split("\t")[2:] if cell.strip())
    if len(labels) != markers:
        raise FileFormatError(f"{path} announces {markers} markers and names {len(labels)}; export it again")
    return labels


def _numbers(cells: list[str], number: int, path: Path) -> list[float]:
    try:
        values = [float(cell) if cell.strip() else math.nan for cell in cells]
    except ValueError as error:
        raise FileFormatError(f"{path}, line {number}: {error}; export it again") from error
    if any(math.isinf(value) for value in values):
        raise FileFormatError(f"{path}, line {number}: a value is infinite; export it again")
    return values
