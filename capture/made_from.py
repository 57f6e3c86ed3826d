"""What a take in a dataset is made from, as one hash: the same hash, the same files."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from lab.take import TakeRecord
from storage.checksums import digest_of, touched_files
from storage.flex import LAYOUT_VERSION, WRITER_VERSION, TakeEntry
from storage.marks_file import marks_bytes
from storage.take_folder import view_video_path
from sync.repetitions import SEGMENTER

#: Whose numbers and bytes go into a dataset.
_PROGRAMS: Final = ("flex-capture", "numpy", "scipy", "av", "h5py", "pyarrow")
_LENGTH: Final = 16


@lru_cache(maxsize=1)
def programs() -> dict[str, str]:
    """Return the versions of whatever has a part in the bytes of a dataset."""
    versions = {name: version(name) for name in _PROGRAMS}
    return versions | {"layout": str(LAYOUT_VERSION), "writer": str(WRITER_VERSION), "segmenter": SEGMENTER}


def made_from(folder: Path) -> str:
    """Return the hash of what a raw take in the dataset would be made from now: raw bytes, marks, programs.

    The raw bytes are those of its checksums: whether they still are is another question. Raises TakeError.
    """
    parts = {
        "raw": digest_of(folder),
        "marks": hashlib.sha256(marks_bytes(folder)).hexdigest(),
        "programs": programs(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_LENGTH]


def videos_to_leave(folder: Path, record: TakeRecord, before: TakeEntry | None) -> frozenset[str]:
    """Return the raw videos whose bytes need not be looked at as long as nothing is cut from them.

    They were whole when the dataset's clips were cut, and were not written to since. Raises TakeError.
    """
    if before is None or before.take["made_from"] is None or before.take["raw_digest"] != digest_of(folder):
        return frozenset()
    videos = {view_video_path(folder, record, view.view).name for view in record.views}
    return frozenset(videos - touched_files(folder))
