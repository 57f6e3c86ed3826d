"""Raw takes into the dataset again, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capture.console import Console
from capture.process_take import out_of, process_take
from capture.verdict import say_verdict
from lab.errors import FlexCaptureError, RequestError
from storage.take_folder import list_takes, record_path


def resegment_takes(paths: Sequence[Path], dataset: Path | None) -> int:
    """Process every take at or below ``paths``; return the exit code. One bad take does not stop the others."""
    targets = {take: dataset or dataset_beside(take) for take in takes_below(paths)}
    console = Console()
    code = 0
    for take, target in targets.items():
        console.line(f"{take}:")
        try:
            code = max(code, _resegment(take, target, console))
        except FlexCaptureError as error:
            console.problems(error, indent="  ")
            code = 3
        except Exception as error:  # noqa: BLE001 - the other takes must have their turn
            console.error(f"  it could not be processed ({type(error).__name__}: {error}); the dataset is as it was")
            code = 3
    return code


def _resegment(take: Path, dataset: Path, console: Console) -> int:
    with console.progress() as progress:
        processed = process_take(take, dataset, progress, verify=True)
    return 0 if say_verdict(processed, dataset, console, report=False, indent="  ") else 1


def takes_below(paths: Sequence[Path]) -> list[Path]:
    """Return the takes at or below each path, each once. Raises RequestError for a path that holds none."""
    takes: dict[Path, None] = {}
    for path in paths:
        found = [path] if record_path(path).exists() else list_takes(path) if path.is_dir() else []
        if not found and path.is_dir():
            found = sorted(record.parent for record in path.rglob("take.json"))
        if not found:
            raise RequestError(f"{path} holds no raw take; give a take's folder, such as flex-data/raw/S12/…/A16-01")
        takes.update(dict.fromkeys(found))
    return list(takes)


def dataset_beside(take: Path) -> Path:
    """Return ``OUT/dataset`` for a take in ``OUT/raw/<subject>/<session>/<take>``."""
    out = out_of(take)
    if out is None:
        raise RequestError(f"{take} does not lie in a raw folder; name the dataset with --dataset")
    return out / "dataset"
