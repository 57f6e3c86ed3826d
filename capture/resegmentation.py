"""Raw takes into the dataset again, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capture.console import Console
from capture.process_take import out_of, process_take
from capture.recovery import recover_met
from capture.takes_below import takes_below
from capture.verdict import say_verdict
from lab.errors import FlexCaptureError, RequestError


def resegment_takes(paths: Sequence[Path], dataset: Path | None) -> int:
    """Process every take at or below ``paths``; return the exit code. One bad take does not stop the others."""
    targets = {take: dataset or dataset_beside(take) for take in takes_below(paths)}
    console = Console()
    recover_met(list(targets), console)
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


def dataset_beside(take: Path) -> Path:
    """Return ``OUT/dataset`` for a take in ``OUT/raw/<subject>/<session>/<take>``."""
    out = out_of(take)
    if out is None:
        raise RequestError(f"{take} does not lie in a raw folder; name the dataset with --dataset")
    return out / "dataset"
