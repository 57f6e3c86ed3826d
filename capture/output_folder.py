"""Can a take and a dataset be written there? Looked at before anything is started; nothing is touched."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from lab.errors import LayoutError, RequestError
from storage.flex import check_place
from storage.take_folder import record_path

_LONGEST_NAME: Final = 150


def folder_problems(out: Path, subject: str) -> list[str]:
    """Say what stands in the way of writing ``raw`` and ``dataset`` into ``out``, a sentence each."""
    try:
        existing = next((folder for folder in (out, *out.absolute().parents) if folder.exists()), None)
        if existing is None:
            return [f"{out} has no parent folder that exists; name another with --out"]
        if not existing.is_dir():
            return [f"{existing} is not a folder; name another with --out"]
        if not os.access(existing, os.W_OK | os.X_OK):
            return [f"{existing} cannot be written by this user; name another folder with --out"]
        return [*_dataset_problems(out / "dataset"), *subject_problems(out / "raw", subject)]
    except OSError as error:
        return [f"{out} cannot be used ({error.strerror or error}); name another folder with --out"]


def require_dataset_folder(dataset: Path) -> None:
    """Raise RequestError where a dataset that was named is no folder."""
    if not dataset.is_dir():
        raise RequestError(f"{dataset} is not a folder; give the dataset's, such as flex-data/dataset")


def plain_name(text: str, ending: str) -> str:
    """Return a file's name made of an id: whatever a damaged ``take.json`` says, it leads to no other folder."""
    return (re.sub(r"[^A-Za-z0-9_.-]", "_", text).lstrip(".")[:_LONGEST_NAME] or "unnamed") + ending


def refuse_recorded_folder(output: Path, place: Path) -> None:
    """Raise RequestError where a file at ``output`` would lie in a raw take, or in ``place``, a dataset or a take."""
    folder = output.absolute().parent.resolve()
    for around in (folder, *folder.parents):
        if record_path(around).is_file() or around == place.resolve():
            raise RequestError(
                f"{folder} lies in {around}, which holds what was recorded and nothing else; "
                "name another place with --output"
            )


def _dataset_problems(dataset: Path) -> list[str]:
    try:
        check_place(dataset)
    except LayoutError as error:
        return list(error.problems)
    return []


def subject_problems(raw: Path, subject: str) -> list[str]:
    """Refuse a subject that differs from another in case alone: on Windows both would share one folder."""
    if not raw.is_dir():
        return []
    twins = [entry.name for entry in raw.iterdir() if entry.name.lower() == subject.lower() and entry.name != subject]
    return [f"subject '{subject}' is there as '{twin}'; write it the same way" for twin in twins]
