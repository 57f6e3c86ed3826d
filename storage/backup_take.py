"""One take into a backup: it appears under its name when all of it is there and was read back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lab.errors import TakeError
from storage.backup_copy import (
    COPYING_SUFFIX,
    Meter,
    backup_errors,
    copy_file,
    copy_grown_file,
    copying_path,
    disk_digest,
    make_folders,
    name_whole_folder,
)
from storage.checksums import SUMS_NAME, file_digest, read_sums, sealed_files, sums_bytes
from storage.marks_file import marks_bytes, marks_path
from storage.os_errors import reason
from storage.take_folder import RECORD_NAME

if TYPE_CHECKING:
    from pathlib import Path

#: What makes a folder a take comes last; the checksums before it, for a folder without them could be sealed as it is.
_LAST: Final = (SUMS_NAME, RECORD_NAME)


@dataclass
class TakeCopy:
    """How the copy of a take went.

    ``whole``: all of the take is in the backup, under its name. ``copied_bytes`` of its files were written now, and its
    marks if ``marks_copied``. ``problems`` are sentences; ``failed`` where a disk could not be read.
    """

    whole: bool = False
    copied_bytes: int = 0
    marks_copied: bool = False
    problems: list[str] = field(default_factory=list)
    failed: bool = False


def copy_take(take: Path, place: Path, target: Path, *, quick: bool, meter: Meter) -> TakeCopy:
    """Copy a sealed take to ``target``, a folder below ``place``; what is there already is compared and kept.

    ``quick``: of a take that was copied before compare names and sizes, not every byte. A file that differs from its
    checksum is not copied, one in the backup that does is not overwritten; both are said. Raises TakeError where the
    take has no readable checksums, BackupError where the backup's disk fails.
    """
    sums = sums_bytes(take)
    listed, strange = read_sums(take)
    with backup_errors(target):
        known = target.exists()
        theirs = (target / SUMS_NAME).read_bytes() if (target / SUMS_NAME).exists() else None
    if theirs not in {None, sums}:
        return TakeCopy(
            problems=[f"{target} is another take of the same name; nothing of {take} is copied, look at both"]
        )
    folder = target if known else copying_path(target)
    make_folders(place, folder)
    work = _Work(take, folder, quick and known, meter, TakeCopy(problems=strange))
    for name, source in files_to_copy(take).items():
        if name not in _LAST:
            work.one_file(name, source, listed.get(name))
    for name in listed.keys() - sealed_files(take).keys():
        work.missing(name)
    work.marks()
    for name in _LAST:
        work.one_file(name, take / name, listed.get(name))
    if work.complete and not known:
        name_whole_folder(folder, target)
    work.copy.whole = work.complete
    if not work.complete and not known:
        work.copy.problems.append(f"{take} is not whole in the backup; what is good of it is in {folder}")
    return work.copy


def files_to_copy(take: Path) -> dict[str, Path]:
    """Return all files of a take but the marks, by name; what an interrupted copy left is none. Raises OSError."""
    files = {name: path for name, path in sealed_files(take).items() if not name.endswith(COPYING_SUFFIX)}
    return files | {SUMS_NAME: take / SUMS_NAME}


@dataclass
class _Work:
    """A take on its way. ``complete`` while nothing that its checksums promise is lacking in the backup."""

    take: Path
    folder: Path
    quick: bool
    meter: Meter
    copy: TakeCopy
    complete: bool = True

    def one_file(self, name: str, source: Path, digest: str | None) -> None:
        """Copy one file, or compare the one that is there."""
        target = self.folder / name
        if digest is None and name not in _LAST:
            self.copy.problems.append(f"{source} was not there when the take was closed; it is copied all the same")
        try:
            with backup_errors(target):
                there = target.exists()
            if there:
                self._compare(source, target, digest)
                return
            make_folders(self.folder, target.parent)
            size = source.stat().st_size
            problem = copy_file(source, target, digest, self.meter)
        except OSError as error:
            self._lacking(f"{source} cannot be read ({reason(error)}); it is not copied", failed=True)
        except TakeError as error:
            self._lacking(str(error), failed=True)
        else:
            if problem is None:
                self.copy.copied_bytes += size
            else:
                self._lacking(problem)

    def missing(self, name: str) -> None:
        """Say of a file that the take has lost, unless the backup has it."""
        target = self.folder / name
        # a name in SHA256SUMS may be anything: only one that the backup's own listing has is opened
        if name in sealed_files(self.folder):
            self._compare(target, target, read_sums(self.take)[0][name])
        else:
            self._lacking(f"{self.take / name} is missing; it cannot be copied")

    def marks(self) -> None:
        """Bring what was said of the take later up to date."""
        source, target = marks_path(self.take), marks_path(self.folder)
        try:
            data = marks_bytes(self.take)
        except TakeError as error:
            self._lacking(str(error), failed=True)
            return
        with backup_errors(target):
            if not data and not target.exists():
                return
        try:
            self.copy.marks_copied = copy_grown_file(source, target, data, self.meter)
        except TakeError as error:
            self.copy.problems.append(str(error))

    def _compare(self, source: Path, target: Path, digest: str | None) -> None:
        """Look whether what is in the backup is what it should be; it is never touched."""
        try:
            if self.quick:
                same = not source.exists() or target.stat().st_size == source.stat().st_size
            else:
                wanted = digest if digest is not None else file_digest(source)
                same = disk_digest(target, self.meter.compared) == wanted
        except OSError as error:
            self._lacking(f"{target} cannot be compared with {source} ({reason(error)})", failed=True)
            return
        if not same:
            self._lacking(
                f"{target} differs from what was recorded and is not overwritten; move it away, then back up again"
            )

    def _lacking(self, problem: str, *, failed: bool = False) -> None:
        self.copy.problems.append(problem)
        self.copy.failed |= failed
        self.complete = False
