"""Which clips a take has, and where each comes from: cut from the raw video, or carried over from the revision before.

A clip is a function of the raw video, its first and last frame, and what cuts it. Each take's frames table keeps the
checksums of its clips and the name of what cut them: a clip of the same frames whose bytes are still those is used
again under the new revision's name, and no video is read.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.aligned import AlignedTake
from lab.errors import LayoutError
from lab.repetitions import Segmentation
from storage.atomic import sync_file
from storage.checksums import file_digest
from storage.flex.canonical import canonical_json
from storage.flex.entries import TakeEntry
from storage.flex.paths import is_own_file
from storage.flex.view_frames import ViewFrames
from storage.video_reader import VideoIndex, cut_clip, read_video_index

#: Key in the metadata of a take's frames table.
CLIPS_KEY: Final = "flex.clips"

#: Changes when the same frames of the same video would be cut into other bytes.
_CUTTER_VERSION: Final = 2
_LONGEST_LIST: Final = 1 << 24
_BLOCK_BYTES: Final = 1 << 20

#: A view of a raw take, and its first and last frame.
_Frames = tuple[str, int, int]


@dataclass(frozen=True)
class KeptClip:
    """A clip of an earlier revision: its path relative to the dataset, and its SHA-256 (hex) when it was cut."""

    file: str
    sha256: str


@dataclass(frozen=True)
class PlannedClip:
    """One view of one repetition, raw frames ``first`` to ``last`` inclusive; ``kept`` is None for one to be cut."""

    view: str
    repetition: int
    first: int
    last: int
    kept: KeptClip | None = None


def cutter() -> str:
    """Return what cuts clips here: the same name, the same bytes."""
    import av

    libraries = {name: list(av.library_versions[name]) for name in ("libavcodec", "libavformat")}
    return canonical_json({"cutter": _CUTTER_VERSION, "libx264": "libx264" in av.codecs_available, **libraries})


def plan_clips(
    dataset: Path, take: AlignedTake, segmentation: Segmentation, before: TakeEntry | None, *, look: bool = True
) -> tuple[PlannedClip, ...]:
    """Say for each view of each repetition that it covers where its clip comes from.

    ``before`` is the take as the dataset has it: its clips are kept where raw bytes, frames and cutter are the same
    and, unless not to ``look``, their bytes are still what was cut. Clips of damaged raw bytes are not kept.
    """
    kept = {} if before is None else _kept_clips(dataset, take, before)
    plan = []
    views = {view.view: ViewFrames.of(view) for view in sorted(take.views, key=lambda view: view.view)}
    for number, repetition in enumerate(segmentation.repetitions, start=1):
        for name, view in views.items():
            bounds = view.bounds_of(repetition)
            if bounds is None:
                continue
            first, _, last = bounds
            clip = kept.get((name, first, last))
            if clip is not None and look and not _is_as_cut(dataset / clip.file, clip.sha256):
                clip = None
            plan.append(PlannedClip(name, number, first, last, clip))
    return tuple(plan)


def _kept_clips(dataset: Path, take: AlignedTake, before: TakeEntry) -> dict[_Frames, KeptClip]:
    if before.take["raw_digest"] != take.raw_digest or before.take["made_from"] is None:
        return {}
    found = _read_list(dataset / before.take["frames_file"])
    if found is None or found.get("cutter") != cutter():
        return {}
    digests = found.get("sha256")
    out: dict[_Frames, KeptClip] = {}
    for row in before.repetitions:
        for column, file in row.items():
            if not column.endswith("_clip") or file is None:
                continue
            view = column.removesuffix("_clip")
            digest = digests.get(clip_key(file)) if isinstance(digests, dict) else None
            first, last = row.get(f"{view}_start_frame"), row.get(f"{view}_end_frame")
            if isinstance(digest, str) and first is not None and last is not None and is_own_file(file):
                out[view, first, last] = KeptClip(file, digest)
    return out


def clip_key(file: str) -> str:
    """Return the name under which a clip stands in the list of a take: that of its file, without the revision."""
    return file.rsplit("/", 1)[-1]


def _read_list(frames_path: Path) -> dict[str, Any] | None:
    """Read the list of clips out of a take's frames table; None where there is none that can be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        text = (pq.read_schema(frames_path).metadata or {}).get(CLIPS_KEY.encode(), b"")
        found = json.loads(text) if 0 < len(text) < _LONGEST_LIST else None
    except (OSError, ValueError, RecursionError, pa.ArrowException):
        return None
    return found if isinstance(found, dict) else None


def clips_json(digests: Mapping[str, str]) -> str:
    """Encode the checksums (hex) of a take's clips, by ``clip_key``, for the metadata of its frames table."""
    return canonical_json({"cutter": cutter(), "sha256": dict(digests)})


def make_clip(
    clip: PlannedClip, dataset: Path, source: Path, destination: Path, indices: dict[Path, VideoIndex], label: str
) -> tuple[str, bool]:
    """Make one clip at ``destination``, whose folder exists; return its SHA-256 (hex) and whether it was carried over.

    ``label`` is what the clip says of itself, ``indices`` keeps the index of each video that was read. Raises
    LayoutError where the video is too short or the clip cannot be written, FileFormatError where the video cannot be
    read, OSError.
    """
    if clip.kept is not None and _carry_over(dataset / clip.kept.file, clip.kept.sha256, destination):
        return clip.kept.sha256, True
    if source not in indices:
        indices[source] = read_video_index(source)
    count = len(indices[source].pts_us)
    if clip.last >= count:
        raise LayoutError(
            f"{source} has {count} frames, but repetition frames up to {clip.last} are asked of it; "
            "verify the raw take."
        )
    cut_clip(source, destination, clip.first, clip.last, indices[source], label)
    return file_digest(destination), False


def _carry_over(source: Path, sha256: str, destination: Path) -> bool:
    """Give a file a second name, or a copy where the file system has no such thing; return whether it is there now."""
    try:
        os.link(source, destination)
    except FileNotFoundError:
        return False  # another writer removed it meanwhile
    except (OSError, NotImplementedError):
        pass
    else:
        return True
    try:
        with source.open("rb") as read, destination.open("xb") as write:
            shutil.copyfileobj(read, write, _BLOCK_BYTES)
            write.flush()
            sync_file(write.fileno())
    except FileNotFoundError:
        return False
    if _is_as_cut(destination, sha256):
        return True
    with suppress(OSError):
        destination.unlink()
    return False


def _is_as_cut(path: Path, sha256: str) -> bool:
    try:
        return file_digest(path) == sha256
    except OSError:
        return False
