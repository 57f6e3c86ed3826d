"""Takes that were made aside, given to their datasets some at a time: tables are written as a whole."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from capture.resegment_job import TakeResult
from lab.errors import FlexCaptureError
from storage.flex import commit_takes
from storage.take_folder import record_path

#: A take that was made waits about this long for others.
_PERIOD_S: Final = 5.0
#: The tables grow with the dataset: of the whole time, writing them may take one part in so many.
_SHARE: Final = 10


@dataclass
class TakeCommits:
    """The takes that wait for their datasets."""

    _waiting: dict[Path, list[TakeResult]] = field(default_factory=dict)
    _swept: set[Path] = field(default_factory=set)
    _next_s: float = 0.0

    def add(self, result: TakeResult) -> None:
        """Let a take wait."""
        if not self._waiting:
            self._next_s = max(self._next_s, time.monotonic() + _PERIOD_S)
        self._waiting.setdefault(result.job.dataset, []).append(result)

    @property
    def due(self) -> bool:
        """Whether takes have waited long enough."""
        return bool(self._waiting) and time.monotonic() >= self._next_s

    def commit(self) -> list[tuple[TakeResult, tuple[str, ...]]]:
        """Give all that wait to their datasets; return each with the sentences why it is not there, () where it is."""
        began_s = time.monotonic()
        out: list[tuple[TakeResult, tuple[str, ...]]] = []
        for dataset, results in self._waiting.items():
            out += _commit(dataset, results, sweep_all=dataset not in self._swept)
            self._swept.add(dataset)  # what writers that died left behind goes once, at the beginning
        self._waiting = {}
        now_s = time.monotonic()
        self._next_s = now_s + _SHARE * (now_s - began_s)
        return out


def _commit(dataset: Path, results: list[TakeResult], *, sweep_all: bool) -> list[tuple[TakeResult, tuple[str, ...]]]:
    there = [result for result in results if record_path(result.job.folder).exists()]
    gone = [(result, ("its raw take was removed meanwhile",)) for result in results if result not in there]
    try:
        failed = commit_takes(dataset, [one.staged for one in there if one.staged is not None], sweep_all=sweep_all)
    except FlexCaptureError as error:
        return [*gone, *((result, error.problems) for result in there)]
    out = [(one, failed.get(one.staged.entry.take_id)) for one in there if one.staged is not None]
    return [*gone, *((result, () if failure is None else failure.problems) for result, failure in out)]
