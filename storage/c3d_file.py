"""C3D files: marker trajectories and analog channels as numbers, read with the ``c3d`` package and guarded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError

#: Larger files are refused rather than read into memory.
MAX_BYTES: Final = 1024**3

_CLIPPED: Final = 0xFFFF  # the header's 16-bit frame numbers stop here


@dataclass(frozen=True)
class C3dFile:
    """The content of a C3D file.

    ``positions`` is float32 (frames, markers, 3), exactly the file's numbers in the file's length unit
    ``units``; NaN where a marker is occluded (residual below 0, or all three coordinates zero). ``analog`` is float64
    (samples, channels), scaled by the file's scale and offset, with ``analog_units`` a channel.
    ``first_frame`` is the file's number of its first frame. ``analog_rate_hz`` is a whole multiple of
    ``rate_hz``, or 0 where there are no analog channels. ``manufacturer`` and ``software`` are empty where
    the file does not name them.
    """

    rate_hz: float
    first_frame: int
    labels: tuple[str, ...]
    units: str
    positions: npt.NDArray[np.float32]
    analog_rate_hz: float
    analog_labels: tuple[str, ...]
    analog_units: tuple[str, ...]
    analog: npt.NDArray[np.float64]
    manufacturer: str = ""
    software: str = ""


def read_c3d(path: Path) -> C3dFile:
    """Read a whole C3D file of any processor type (Intel, DEC, MIPS), integer or float.

    Raises FileFormatError where the file is missing, too large, cut off or damaged.
    """
    advice = "export it again, or repair it with the program that wrote it"
    try:
        size = path.stat().st_size
        if size == 0:
            raise FileFormatError(f"{path} is empty; {advice}")
        if size > MAX_BYTES:
            raise FileFormatError(f"{path} is larger than {MAX_BYTES // 1024**3} GiB; cut it into shorter trials")
        with path.open("rb") as handle, _quiet():
            return _read(handle, size, path)
    except FileFormatError:
        raise
    except FileNotFoundError as error:
        raise FileFormatError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); check the disk and its rights") from error
    except Exception as error:  # the package meets damage in many ways: struct, index, assertion, unbound name
        raise FileFormatError(
            f"{path} is not a C3D file or is damaged: its header or parameters contradict themselves; {advice}"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the package's warnings to ourselves: what matters of them is checked here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _read(handle: BinaryIO, size: int, path: Path) -> C3dFile:
    import c3d

    class CountedReader(c3d.Reader):  # type: ignore[misc]
        """Reads as many frames as it is told, whatever the file says of its first and last."""

        first_frame = 1
        last_frame = 0

    reader = CountedReader(handle)
    rate_hz = float(reader.point_rate)
    if not 0 < rate_hz < 1e6:
        raise ValueError(f"a rate of {rate_hz:g} frames a second")
    markers = int(reader.point_used)
    channels = int(reader.analog_used)
    per_frame = int(reader.analog_per_frame) if channels else 0
    word_bytes = 4 if reader.point_scale < 0 else 2
    frame_bytes = (4 * markers + channels * per_frame) * word_bytes
    first_frame, counts = _frame_counts(reader)
    if frame_bytes <= 0 or max(counts) <= 0:
        raise FileFormatError(f"{path} holds neither markers nor analog samples; choose another file")
    available = (size - (int(reader.header.data_block) - 1) * 512) // frame_bytes
    fitting = [count for count in counts if 0 < count <= available]
    if not fitting:
        raise FileFormatError(
            f"{path} is cut off: {max(available, 0)} of {min(counts)} frames are there; copy or export it again"
        )
    reader.last_frame = max(fitting)
    points, analog = _frames(reader, max(fitting), markers, channels, per_frame)
    positions = points[:, :, :3]
    positions[(points[:, :, 3] < 0) | ~positions.any(axis=2)] = np.nan
    return C3dFile(
        rate_hz=rate_hz,
        first_frame=first_frame,
        labels=_labels(reader, "POINT:LABELS", markers, "point"),
        units=_text(reader, "POINT:UNITS"),
        positions=np.ascontiguousarray(positions),
        analog_rate_hz=float(reader.analog_rate) if analog.size else 0.0,
        analog_labels=_labels(reader, "ANALOG:LABELS", channels, "analog"),
        analog_units=_labels(reader, "ANALOG:UNITS", channels, ""),
        analog=analog,
        manufacturer=_text(reader, "MANUFACTURER:COMPANY"),
        software=_text(reader, "MANUFACTURER:SOFTWARE"),
    )


def _frame_counts(reader: Any) -> tuple[int, tuple[int, ...]]:
    """Return the first frame's number and every count of frames the file states.

    Four places may state it. They differ in files with more than 65,535 frames, whose 16-bit fields are
    clipped, and where a program wrote the last frame's number instead of the count. The package takes
    one of them (and multiplies the upper word of the start by 65,535), so the choice is made here: the
    largest that the file's size allows.
    """
    header = reader.header
    first_frame = int(header.first_frame)
    counts = [int(header.last_frame) - first_frame + 1]
    start, end = (_long(reader, f"TRIAL:ACTUAL_{edge}_FIELD") for edge in ("START", "END"))
    if start is not None and end is not None:
        first_frame = start
        counts.append(end - start + 1)
    frames = reader.get("POINT:FRAMES")
    if frames is not None:
        counts.append(int(frames.float_value if frames.bytes_per_element == 4 else frames.uint16_value))
    long_frames = reader.get("POINT:LONG_FRAMES")
    if long_frames is not None and header.last_frame == _CLIPPED:
        counts.append(int(long_frames.float_value if long_frames.bytes_per_element == 4 else long_frames.uint16_value))
    return first_frame, tuple(counts)


def _long(reader: Any, key: str) -> int | None:
    """Return a frame number stored as two 16-bit words, the lower first."""
    parameter = reader.get(key)
    if parameter is None:
        return None
    words = parameter.uint16_array.ravel()
    return int(words[0]) + (int(words[1]) << 16)


def _frames(
    reader: Any, count: int, markers: int, channels: int, per_frame: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return points (frames, markers, 5) and analog (samples, channels)."""
    points = np.empty((count, markers, 5), dtype=np.float32)
    analog = np.empty((count * per_frame, channels), dtype=np.float64)
    done = 0
    for done, (_, frame, samples) in enumerate(reader.read_frames(copy=False), 1):
        points[done - 1] = frame
        if per_frame:
            analog[(done - 1) * per_frame : done * per_frame] = samples.T
    if done < count:
        raise ValueError(f"it ends after {done} of {count} frames")
    return points, analog


def _text(reader: Any, key: str) -> str:
    parameter = reader.get(key)
    if parameter is None or parameter.bytes_per_element != -1:
        return ""
    return str(parameter.string_value).replace("\0", " ").strip()


def _labels(reader: Any, key: str, count: int, fallback: str) -> tuple[str, ...]:
    """Return ``count`` labels; those past 255 stand in ``LABELS2`` and so on, missing ones are numbered."""
    found: list[str] = []
    for suffix in ("", *(str(number) for number in range(2, 260))):
        parameter = reader.get(key + suffix)
        if len(found) >= count or parameter is None:
            break
        if parameter.num_elements:
            found += [str(label).replace("\0", " ").strip() for label in np.ravel(parameter.string_array)]
    found += [""] * (count - len(found))
    return tuple(label or (f"{fallback}{number}" if fallback else "") for number, label in enumerate(found[:count], 1))
