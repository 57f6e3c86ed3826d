"""Raw takes, subjects' sheets and annotations onto another disk: compared, taken up again, nothing ever deleted."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from capture.backup_plan import BackupPlan, plan_backup
from capture.console import Console
from capture.interruption import Interruption
from capture.recovery import recover_met
from lab.errors import BackupError, FlexCaptureError, RequestError
from storage.backup_copy import Meter, copy_changing_file, copying_path, make_folders
from storage.backup_take import copy_take, files_to_copy
from storage.checksums import SUMS_NAME
from storage.file_lock import HeldError, file_lock, this_process
from storage.os_errors import reason
from storage.take_folder import is_being_written

_MB = 1_000_000
_LOCK_NAME = ".lock"
#: More things than this that are not copied are only counted.
_MOST_STRAYS = 5


@dataclass
class _Backup:
    """A backup under way. ``device`` is the disk that the folder was on at the beginning."""

    plan: BackupPlan
    dest: Path
    quick: bool
    console: Console
    device: int
    copied: int = 0
    there: int = 0
    files: int = 0
    copied_bytes: int = 0
    code: int = 0


def back_up(paths: Sequence[Path], dest: Path, *, quick: bool) -> int:
    """Copy what lies at ``paths`` into ``dest`` and say what was done; return the exit code.

    0: all of it is in the backup, whole, and compared. 1: something is not, and is named. 3: a disk failed. Raises
    RequestError where nothing was touched, KeyboardInterrupt where it was interrupted; it is taken up by the next call.
    """
    console = Console()
    plan = plan_backup(paths, dest)
    recover_met(plan.takes, console)
    backup = _Backup(plan, dest, quick, console, dest.stat().st_dev)
    _say_beforehand(backup)
    with Interruption().installed(), _alone_in(dest):
        try:
            with backup.console.progress() as report:
                _copy_all(backup, _meter(backup, report))
        except BackupError as error:
            backup.console.problems(error)
            backup.code = 3
        except KeyboardInterrupt:
            _say_result(backup)
            backup.console.warning("interrupted; the same command goes on where it ended")
            raise
    _say_result(backup)
    return backup.code


def _copy_all(backup: _Backup, meter: Meter) -> None:
    for take in backup.plan.takes:
        _require_disk(backup)
        _one_take(backup, take, meter)
    for source, place in backup.plan.changing.items():
        _require_disk(backup)
        target = backup.dest / place
        make_folders(backup.dest, target.parent)
        try:
            backup.files += copy_changing_file(source, target, meter)
        except BackupError:
            raise
        except FlexCaptureError as error:
            _say(backup, 3, *error.problems)


def _one_take(backup: _Backup, take: Path, meter: Meter) -> None:
    """Copy one take; what is wrong with it does not stop the others."""
    try:
        if is_being_written(take):
            _say(backup, 1, f"{take} is being recorded and is left alone; back up again when it has ended")
            return
        if not (take / SUMS_NAME).exists():
            _say(backup, 1, f"{take} was not closed and is left alone; `flex-capture recover` it, then back up again")
            return
        copy = copy_take(take, backup.dest, backup.dest / backup.plan.takes[take], quick=backup.quick, meter=meter)
    except BackupError:
        raise
    except (FlexCaptureError, OSError) as error:
        _say(backup, 3, f"{take} cannot be copied ({error})")
        return
    backup.copied_bytes += copy.copied_bytes
    if copy.whole and copy.copied_bytes:
        backup.copied += 1
        backup.console.line(f"copied · {'/'.join(take.parts[-3:])} · {copy.copied_bytes / _MB:,.1f} MB")
    elif copy.whole:
        backup.there += 1
        if copy.marks_copied:
            backup.console.line(f"copied · {'/'.join(take.parts[-3:])} · what was said of it since")
    _say(backup, 3 if copy.failed else 1, *copy.problems)


def _say(backup: _Backup, code: int, *problems: str) -> None:
    for problem in problems:
        backup.console.warning(problem)
        backup.code = max(backup.code, code)


def _say_beforehand(backup: _Backup) -> None:
    plan, console = backup.plan, backup.console
    sources = [*plan.takes, *plan.changing]
    if any(_device(source) == backup.device for source in sources):
        console.warning(f"{backup.dest} is on the same disk as what is copied: when that disk fails, both are lost")
    if plan.strays:
        names = ", ".join(str(path) for path in plan.strays[:_MOST_STRAYS])
        more = len(plan.strays) - _MOST_STRAYS
        console.warning(f"no part of takes, not copied: {names}{f' and {more} more' if more > 0 else ''}")


def _say_result(backup: _Backup) -> None:
    takes = len(backup.plan.takes)
    parts = []
    if backup.copied:
        parts.append(f"{_counted(backup.copied, 'take')} copied and compared, {backup.copied_bytes / _MB:,.1f} MB")
    if backup.there:
        how = "by size" if backup.quick else "byte by byte"
        parts.append(f"{_counted(backup.there, 'take')} there already, compared {how}")
    if backup.files:
        parts.append(f"{_counted(backup.files, 'other file')} copied")
    open_takes = takes - backup.copied - backup.there
    if open_takes:
        parts.append(f"{_counted(open_takes, 'take')} not in the backup")
    style = "bold green" if not backup.code and not open_takes else "bold yellow"
    backup.console.line(f"{backup.dest}: {' · '.join(parts) or 'nothing to do'}", style=style)


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _require_disk(backup: _Backup) -> None:
    """Raise BackupError where the folder is not on the disk it was on: one that was unplugged leaves a name."""
    if _device(backup.dest) != backup.device:
        raise BackupError(f"the disk of {backup.dest} is gone; plug it in, then back up again")


def _device(path: Path) -> int | None:
    try:
        return path.stat().st_dev
    except OSError:
        return None


def _meter(backup: _Backup, report: Callable[[str, int, int], None]) -> Meter:
    """Return what draws the bars: megabytes written, and megabytes of the backup read to compare them."""
    to_copy, to_compare = _bytes_to_move(backup)
    done = {"copying, MB": 0, "comparing, MB": 0}

    def hear(stage: str, total: int) -> Callable[[int], None]:
        def add(count: int) -> None:
            before = done[stage] // _MB
            done[stage] += count
            if done[stage] // _MB != before or done[stage] == count:
                report(stage, done[stage] // _MB, max(total, done[stage]) // _MB)

        return add

    return Meter(hear("copying, MB", to_copy), hear("comparing, MB", to_compare))


def _bytes_to_move(backup: _Backup) -> tuple[int, int]:
    """Say how many bytes are to be written, and how many to be read back; warn where they will not fit."""
    to_copy = to_compare = 0
    for take, place in backup.plan.takes.items():
        target = backup.dest / place
        known = target.is_dir()
        folder = target if known else copying_path(target)
        with contextlib.suppress(OSError):  # a take that goes meanwhile is told of when its turn comes
            if not (take / SUMS_NAME).exists():
                continue
            for name, source in files_to_copy(take).items():
                size, there = source.stat().st_size, (folder / name).exists()
                to_copy += 0 if there else size
                to_compare += 0 if there and known and backup.quick else size
    free = shutil.disk_usage(backup.dest).free
    if to_copy > free:
        backup.console.warning(
            f"{to_copy / _MB:,.1f} MB are to be copied and {backup.dest} has room for {free / _MB:,.1f} MB:"
            " it ends where the disk is full"
        )
    return to_copy, to_compare


@contextlib.contextmanager
def _alone_in(dest: Path) -> Iterator[None]:
    """Hold the backup's lock. Raises RequestError where another backup into the same folder is under way."""
    held = file_lock(dest / _LOCK_NAME, this_process(), wait_s=0.0, keep=True)
    try:
        held.__enter__()
    except HeldError as error:
        raise RequestError(f"another backup into {dest} is under way, by {error.holder}; wait for it") from None
    except OSError as error:
        raise BackupError(f"{dest} cannot be written ({reason(error)}); check its disk") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the disk may be gone, and its lock with it
            held.__exit__(None, None, None)
