"""The truth file: what a simulated device really did, a JSON line a packet, for judging a recorder.

First line: device, driver, t0_s, seed, action, skill, the clock's rate_hz, drift_ppm, clock_offset_s and delay_s, and
the repetitions in host time, each with its mishap: "partial", "failed", "paused" or null. Then
``{"counter", "samples", "time_s", "arrival_s"}`` a packet that arrived (counter and true host time of its last sample)
and ``{"lost": [first, last]}`` a packet that did not.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, TextIO

from lab.errors import DeviceError


class TruthFile:
    """An open truth file; each line is handed to the operating system at once.

    It is created, never overwritten. A file of the very same header is continued: the device died and came back
    within its take. Raises DeviceError where a file of another take is there or none can be written. A disk that is
    full later ends the truth, not the device.
    """

    def __init__(self, folder: Path, device: str, header: dict[str, Any]) -> None:
        path = folder / f"{device}.jsonl"
        line = json.dumps(header) + "\n"
        self._file: TextIO
        self._ended = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if path.exists() and _starts_with(path, line):
                self._file = path.open("a", encoding="utf-8", newline="\n", buffering=1)
                if not _ends_with_newline(path):
                    self._file.write("\n")
            else:
                self._file = path.open("x", encoding="utf-8", newline="\n", buffering=1)
                self._file.write(line)
        except FileExistsError as error:
            raise DeviceError(
                f"device '{device}': '{path}' already holds the truth of another take; name an empty truth folder"
            ) from error
        except OSError as error:
            raise DeviceError(
                f"device '{device}': its truth cannot be written to '{path}' ({error.strerror}); name a writable folder"
            ) from error

    def packet(self, counter: int, samples: int, time_s: float, arrival_s: float) -> None:
        """Note a packet that arrived: counter and true host time of its last sample, and its arrival."""
        self._write({"counter": counter, "samples": samples, "time_s": time_s, "arrival_s": arrival_s})

    def lost(self, first: int, last: int) -> None:
        """Note the samples ``first`` … ``last`` as lost on the way."""
        self._write({"lost": [first, last]})

    def close(self) -> None:
        """Close the file; may be called more than once."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _write(self, row: dict[str, Any]) -> None:
        if not self._ended:
            try:
                self._file.write(json.dumps(row) + "\n")
            except OSError:
                self._ended = True


def _starts_with(path: Path, line: str) -> bool:
    expected = line.encode()
    with path.open("rb") as file:
        return file.read(len(expected)) == expected


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
