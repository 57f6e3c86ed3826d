"""Sealed takes of a few bytes, for tests of what happens to files whatever is in them."""

from __future__ import annotations

from pathlib import Path

from storage.checksums import write_sums

FILES = {"take.json": b"{}", "streams.xdf": b"XDF:" * 3000, "view1.mov": b"m" * 70_000, "truth/emg.jsonl": b"[]\n"}


def write_sealed_take(folder: Path, files: dict[str, bytes] = FILES, marks: bytes | None = None) -> Path:
    """Write the files of a take and its checksums; return its folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    write_sums(folder)
    if marks is not None:
        (folder / "marks.jsonl").write_bytes(marks)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
