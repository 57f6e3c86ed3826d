"""Takes that were never closed."""

from __future__ import annotations

from pathlib import Path

from lab.errors import FlexCaptureError
from storage.checksums import SUMS_NAME
from storage.take_folder import is_being_written, list_takes, read_record, record_path


def unfinished_takes(raw: Path) -> list[tuple[Path, bool]]:
    """Return the takes under ``raw`` that were never closed, each with whether somebody still writes into it.

    Raises RequestError where ``raw`` cannot be listed. A take with checksums was closed: it is not opened.
    """
    if not raw.is_dir():
        return []
    return [
        (take, is_being_written(take))
        for take in list_takes(raw)
        if not (take / SUMS_NAME).exists() and record_path(take).exists() and _is_open(take)
    ]


def _is_open(take: Path) -> bool:
    try:
        return read_record(take).state == "recording"
    except FlexCaptureError:
        return False  # `verify` says what is wrong with it
