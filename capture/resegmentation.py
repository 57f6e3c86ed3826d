"""Raw takes into the dataset again, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capture.console import Console
from capture.process_take import process_take
from capture.verdict import judge
from lab.errors import FlexCaptureError, RequestError
from storage.take_folder import list_takes, record_path


def resegment_takes(paths: Sequence[Path], dataset: Path | None) -> int:
    """Process every take at or below ``paths``; return the exit code. One bad take does not stop the others."""
    takes = _takes_below(paths)
    console = Console()
    code = 0
    for take in takes:
        target = dataset or _dataset_beside(take)
        try:
            with console.progress() as progress:
                processed = process_take(take, target, progress)
        except FlexCaptureError as error:
            for problem in error.problems:
                console.error(f"{take}: {problem}")
            code = 3
            continue
        verdict = judge(processed.segmentation, processed.aligned.reports, target)
        console.line(f"{take}: {verdict.line}")
        for mark in (*verdict.marks, *verdict.remarks, *processed.remarks):
            console.warning(f"  {mark}")
        code = max(code, 1) if verdict.marks else code
    return code


def _takes_below(paths: Sequence[Path]) -> list[Path]:
    takes: dict[Path, None] = {}
    for path in paths:
        found = [path] if record_path(path).exists() else list_takes(path) if path.is_dir() else []
        found = found or sorted(record.parent for record in path.rglob("take.json")) if path.is_dir() else found
        if not found:
            raise RequestError(f"{path} holds no raw take; give a take's folder, such as flex-data/raw/S12/…/A16-01")
        takes.update(dict.fromkeys(found))
    return list(takes)


def _dataset_beside(take: Path) -> Path:
    """Return ``OUT/dataset`` for a take in ``OUT/raw/<subject>/<session>/<take>``."""
    full = take.resolve()
    if len(full.parents) < 4 or full.parents[2].name != "raw":
        raise RequestError(f"{take} does not lie in a raw folder; name the dataset with --dataset")
    return full.parents[3] / "dataset"
