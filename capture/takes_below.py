"""Which takes an operator means who names a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lab.errors import RequestError
from lab.take import TAKE
from storage.import_folder import IMPORTING_SUFFIX
from storage.take_folder import list_takes, record_path


def takes_below(paths: Sequence[Path]) -> list[Path]:
    """Return the takes at or below each path, each once. Raises RequestError for a path that holds none."""
    takes: dict[Path, None] = {}
    for path in paths:
        found = [path] if _is_take(path) else list_takes(path) if path.is_dir() else []
        if not found and path.is_dir():
            records = (record.parent for record in path.rglob("take.json"))
            found = sorted(folder for folder in records if not folder.name.endswith(IMPORTING_SUFFIX))
        if not found:
            raise RequestError(f"{path} holds no raw take; give a take's folder, such as flex-data/raw/S12/…/A16-01")
        takes.update(dict.fromkeys(found))
    return list(takes)


def raw_of(take: Path) -> Path:
    """Return the folder of raw takes that a take lies in; the folder around it for one that lies elsewhere."""
    parents = Path(os.path.normpath(take.absolute())).parents
    return parents[2] if len(parents) > 2 and parents[2].name == "raw" else parents[0]


def _is_take(path: Path) -> bool:
    """Whether a folder is a take: also one that was cut off before its ``take.json`` was there."""
    return record_path(path).exists() or (TAKE.fullmatch(path.name) is not None and path.is_dir())
