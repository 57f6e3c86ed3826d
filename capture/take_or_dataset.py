"""What a folder is that an operator names: a raw take or a dataset."""

from __future__ import annotations

from pathlib import Path

from lab.errors import RequestError
from storage.flex.folder import is_begun
from storage.take_folder import record_path


def is_raw_take(place: Path, take_id: str | None) -> bool:
    """Tell a raw take's folder from a dataset's; ``take_id`` is the take of a dataset that was asked for.

    Raises RequestError for a folder that is neither, and for a take asked of a raw take.
    """
    if record_path(place).is_file():
        if take_id is not None:
            raise RequestError(f"{place} is a raw take; --take is for a dataset")
        return True
    if place.is_dir() and is_begun(place):
        return False
    if not place.exists():
        raise RequestError(f"{place} does not exist; give a take's folder or a dataset's")
    raise RequestError(
        f"{place} is neither a raw take nor a dataset;"
        " give a take's folder, such as flex-data/raw/S12/…/A16-01, or flex-data/dataset"
    )
