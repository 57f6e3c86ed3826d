"""The pieces in which a view lies in a take's folder until it is whole: which there are, and which bear which name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.take_folder import frames_path, part_path, segment_name, video_path

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ViewPiece:
    """One piece of a view, ``number`` from 1 on. A file may be missing, if its camera died between the two."""

    number: int
    video: Path
    records: Path

    @property
    def size(self) -> int:
        """Bytes of both files."""
        return sum(path.stat().st_size for path in (self.video, self.records) if path.exists())


def view_pieces(folder: Path, view: str) -> list[ViewPiece]:
    """Return the pieces of a view in their order.

    Of the first piece, a ``.part`` file is the original wherever the file itself is there as well: that one was merged
    from it.
    """
    pattern = re.compile(rf"{re.escape(view)}(?:-(\d{{1,6}}))?\.(?:mov|frames)(?:\.part)?")
    numbers = {int(match.group(1) or 1) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))}
    pieces = []
    for number in sorted(numbers):
        stem = segment_name(view, number)
        video, records = video_path(folder, stem), frames_path(folder, stem)
        pieces.append(ViewPiece(number, _original(video), _original(records)))
    return pieces


def is_merged(folder: Path, view: str) -> bool:
    """Whether a view is whole and its pieces are being dropped.

    The first piece's video is the first to go and its records are the last.
    """
    video, records = video_path(folder, view), frames_path(folder, view)
    merged = video.exists() and records.exists()
    return merged and part_path(records).exists() and not part_path(video).exists()


def _original(path: Path) -> Path:
    part = part_path(path)
    return part if part.exists() else path
