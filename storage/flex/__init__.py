"""The FLEX dataset layout, version 1: Parquet tables, HDF5 signals, one clip a view and repetition.

In: a take on one clock, its repetitions, and the raw take's folder for its videos.
Out: a dataset folder in which a take becomes visible whole or not at all; read again with ``open_dataset``.
May touch: the dataset folder it is given; raw takes are only read.
"""

from __future__ import annotations

from storage.flex.clips import KeptClip, PlannedClip, plan_clips
from storage.flex.entries import TakeEntry
from storage.flex.folder import check_place
from storage.flex.read_dataset import Dataset, open_dataset
from storage.flex.rebuild import rebuild_tables
from storage.flex.staged_take import Progress, StagedTake, TakeContent, stage_take
from storage.flex.stored_repetition import StoredRepetition
from storage.flex.subjects import remove_subject, sheets_said, write_subject
from storage.flex.validate import validate
from storage.flex.versions import LAYOUT_VERSION, WRITER_VERSION
from storage.flex.writer import (
    WrittenTake,
    commit_takes,
    committed_take,
    committed_takes,
    dataset_staging,
    write_take,
)

__all__ = [
    "LAYOUT_VERSION",
    "WRITER_VERSION",
    "Dataset",
    "KeptClip",
    "PlannedClip",
    "Progress",
    "StagedTake",
    "StoredRepetition",
    "TakeContent",
    "TakeEntry",
    "WrittenTake",
    "check_place",
    "commit_takes",
    "committed_take",
    "committed_takes",
    "dataset_staging",
    "open_dataset",
    "plan_clips",
    "rebuild_tables",
    "remove_subject",
    "sheets_said",
    "stage_take",
    "validate",
    "write_subject",
    "write_take",
]
