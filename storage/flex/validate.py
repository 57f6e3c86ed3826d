"""Is a dataset what its layout promises? Every broken promise is one sentence that begins with the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.errors import LayoutError
from storage.flex.description import dataset_json
from storage.flex.entries import Row
from storage.flex.folder import layout_version, must_be_begun
from storage.flex.paths import clip_file, files_below, frames_file, is_own_file, signals_file, sync_file
from storage.flex.staging import abandoned_folders
from storage.flex.tables import DATASET_JSON, TAKES_KEY, committed_takes, first_line
from storage.flex.validate_files import clip_findings, frames_findings, signals_findings, sync_findings
from storage.flex.validate_pose import pose_findings
from storage.flex.validate_tables import (
    TopTables,
    agreement_findings,
    interrupted_findings,
    read_top_tables,
    repetition_findings,
    take_findings,
)
from storage.flex.versions import LAYOUT_VERSION


def validate(dataset: Path, progress: Callable[[str, int, int], None] | None = None) -> list[str]:
    """Name every broken promise of a dataset, one sentence each; an empty list means that all are kept.

    ``progress`` is told what is being validated, how many takes are done, and of how many. A damaged file is a finding,
    never an error. Raises LayoutError only if the folder is no dataset at all.
    """
    must_be_begun(dataset)
    findings = _guarded(DATASET_JSON, _description_findings, dataset)
    tables, table_problems = read_top_tables(dataset)
    findings += table_problems
    for file, check in (
        ("takes.parquet", take_findings),
        ("repetitions.parquet", repetition_findings),
        ("takes.parquet", interrupted_findings),
    ):
        findings += _guarded(file, check, tables)
    takes = tables.committed()
    for done, take in enumerate(takes):
        if progress is not None:
            progress("validating", done, len(takes))
        findings += _take_files_findings(dataset, take, tables.repetitions_of(take))
    findings += _guarded("repetitions.parquet", agreement_findings, dataset, tables)
    findings += _leftover_findings(dataset, tables)
    return list(dict.fromkeys(findings))


def _guarded(file: str, check: Callable[..., list[str]], *arguments: Any) -> list[str]:
    try:
        return check(*arguments)
    except Exception as error:  # noqa: BLE001 - a damaged file may fail in any way, and each way is a finding
        return [f"{file}: cannot be checked ({first_line(error)}); it is damaged."]


def _description_findings(dataset: Path) -> list[str]:
    if not (dataset / DATASET_JSON).is_file():
        return [f"{DATASET_JSON}: is missing; run `flex-capture rebuild`."]
    try:
        version = layout_version(dataset)
    except LayoutError:
        return [f"{DATASET_JSON}: cannot be read as the description of a dataset; run `flex-capture rebuild`."]
    if version != LAYOUT_VERSION:
        return [f"{DATASET_JSON}: states layout version {version}; this flex-capture knows version {LAYOUT_VERSION}."]
    if (dataset / DATASET_JSON).read_bytes() != dataset_json():
        return [
            f"{DATASET_JSON}: does not describe layout version {LAYOUT_VERSION} as written; run `flex-capture rebuild`."
        ]
    return []


def _take_files_findings(dataset: Path, take: Row, repetitions: list[Row]) -> list[str]:
    findings: list[str] = []
    place = (str(take["action"]), str(take["subject"]), str(take["take_id"]), str(take["revision"]))
    for column, file, check in (
        ("frames_file", frames_file(*place), frames_findings),
        ("signals_file", signals_file(*place), signals_findings),
        ("sync_file", sync_file(*place), sync_findings),
    ):
        if take[column] != file:
            continue  # No picture, or a finding already: what a damaged table names is not opened.
        if not (dataset / file).is_file():
            findings.append(f"{file}: is missing, but take {take['take_id']} names it; write the take again.")
        else:
            findings += _guarded(file, check, dataset, take, repetitions)
    if not findings:
        findings += _guarded(frames_file(*place), pose_findings, dataset, take, repetitions)
    findings += _guarded("repetitions.parquet", _clips_findings, dataset, repetitions)
    return findings


def _clips_findings(dataset: Path, repetitions: list[Row]) -> list[str]:
    findings: list[str] = []
    for row in repetitions:
        for column in (name for name in row if name.endswith("_clip")):
            view = column.removesuffix("_clip")
            file = row[column]
            place = (row["action"], row["subject"], row["take_id"], row["revision"], row["repetition"], view)
            if file != clip_file(*place):
                continue  # Null, or a finding already: what a damaged table names is not opened.
            if not (dataset / file).is_file():
                findings.append(f"{file}: is missing, but {row['repetition_id']} names it; write the take again.")
            else:
                findings += _guarded(file, clip_findings, dataset, row, view)
    return findings


def _leftover_findings(dataset: Path, tables: TopTables) -> list[str]:
    """Name the files that no committed row names; with unreadable tables nothing can be told."""
    if tables.rows["takes"] is None or tables.rows["repetitions"] is None:
        return []
    named: set[str] = set()
    if TAKES_KEY in tables.metadata["repetitions"]:
        named |= set(committed_takes(tables.metadata["repetitions"]).values())
    for take in tables.committed():
        named |= {str(take.get("frames_file")), str(take.get("signals_file")), str(take.get("sync_file"))}
    for row in tables.rows["repetitions"] or ():
        named |= {str(row.get("frames_file")), str(row.get("signals_file"))}
        named |= {str(value) for name, value in row.items() if name.endswith("_clip") and value is not None}
    findings = []
    for file in files_below(dataset):
        if file in named:
            continue
        if is_own_file(file):
            findings.append(f"{file}: was left behind by an interrupted write; the next write removes it.")
        else:
            findings.append(f"{file}: is no part of the dataset; move it elsewhere.")
    findings += [
        f"{folder.name}: was left behind by an interrupted write; the next write removes it."
        for folder in abandoned_folders(dataset)
    ]
    return findings
