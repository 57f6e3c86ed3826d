"""What there is to back up below the paths that were named, and where in the backup it goes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from capture.process_take import out_of
from lab.errors import RequestError
from lab.take import SESSION, SUBJECT, TAKE
from storage.backup_copy import COPYING_SUFFIX
from storage.os_errors import reason
from storage.subject_sheets import SHEETS_FOLDER

#: What of a dataset cannot be made again from the raw takes.
_PEOPLES_WORK: Final = PurePath("dataset", "annotations.parquet")
#: What a killed atomic write leaves has this in its name.
_TEMPORARY: Final = ".tmp-"


@dataclass
class BackupPlan:
    """What is to be copied: each source and its place below the backup's folder.

    ``takes`` are folders; ``changing`` files that people may change, such as sheets; ``strays`` what lies there and is
    neither, which is not copied.
    """

    takes: dict[Path, PurePath] = field(default_factory=dict)
    changing: dict[Path, PurePath] = field(default_factory=dict)
    strays: list[Path] = field(default_factory=list)


def plan_backup(paths: Sequence[Path], dest: Path) -> BackupPlan:
    """Find what is to be copied. Raises RequestError with a sentence for each thing that stands in the way."""
    problems: list[str] = []
    if not dest.is_dir():
        problems.append(
            f"{dest} is not there or no folder; plug the disk in and make the folder: it is not made here, for where a"
            " disk is missing it would be made on another"
        )
    plan = BackupPlan()
    for path in paths:
        try:
            _find(path, plan)
        except OSError as error:
            problems.append(f"{path} cannot be listed ({reason(error)}); check it")
        except RequestError as error:
            problems += error.problems
        if dest.resolve().is_relative_to(path.resolve()):
            problems.append(f"{dest} lies in {path}; a backup cannot be inside what it is of, name another folder")
    here = [source for source, place in (plan.takes | plan.changing).items() if _is_same(source, dest / place)]
    if here:
        problems.append(f"{here[0]} lies in {dest} itself; name a folder on another disk")
    if not problems and not plan.takes and not plan.changing:
        problems.append(f"there is nothing to back up in {', '.join(map(str, paths))}")
    if problems:
        raise RequestError(*dict.fromkeys(problems))
    return plan


def _find(path: Path, plan: BackupPlan) -> None:
    """Add what lies at ``path``: OUT, its raw folder, a subject, a session or a take."""
    here = Path(os.path.normpath(path.absolute()))
    above = [parent.name for parent in here.parents[:3]]
    if not here.is_dir():
        raise RequestError(f"{path} is not there or no folder; give a take, or a folder such as flex-data/raw")
    if (here / "raw").is_dir():
        _find_in_out(here, plan)
    elif here.name == "raw":
        _find_in_raw(here, plan)
    elif "raw" in above:
        # a subject, a session or a take: as many levels below raw
        _find_below(here, above.index("raw") + 1, plan)
    else:
        raise RequestError(f"{path} does not lie in a raw folder and holds none; give a take, or a folder such as raw")


def _find_in_out(out: Path, plan: BackupPlan) -> None:
    _find_in_raw(out / "raw", plan)
    for file in _files_below(out / SHEETS_FOLDER):
        plan.changing[file] = PurePath(file.relative_to(out))
    if (out / _PEOPLES_WORK).is_file():
        plan.changing[out / _PEOPLES_WORK] = _PEOPLES_WORK
    plan.strays += [entry for entry in _entries(out) if entry.name not in {"raw", "dataset", SHEETS_FOLDER}]


def _find_in_raw(raw: Path, plan: BackupPlan) -> None:
    _find_below(raw, 0, plan)


def _find_below(folder: Path, level: int, plan: BackupPlan) -> None:
    """Go down from raw (level 0) over subjects and sessions to takes (level 3)."""
    if level == len(_NAMES):
        out = out_of(folder)
        if out is not None:
            plan.takes[folder] = PurePath(folder.relative_to(out))
        return
    for entry in _entries(folder):
        if entry.is_dir() and _NAMES[level].fullmatch(entry.name):
            _find_below(entry, level + 1, plan)
        else:
            plan.strays.append(entry)


_NAMES: Final = (SUBJECT, SESSION, TAKE)


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, in order, without what is hidden and what an interrupted copy left."""
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entry for entry in entries if not entry.name.endswith(COPYING_SUFFIX))


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and _TEMPORARY not in path.name and not path.name.endswith(COPYING_SUFFIX):
            yield path


def _is_same(source: Path, target: Path) -> bool:
    return target.resolve() == source.resolve()
