"""Repetitions as the segmenter hands them on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: Where a repetition's bounds come from: the segmenter, or a person.
Provenance = Literal["auto", "corrected"]


@dataclass(frozen=True)
class Repetition:
    """One execution: ``start_s`` < ``turn_s`` < ``end_s`` in session time.

    The turn lies between the action's two phases. ``confidence`` is between 0 and 1; ``doubts`` say in
    words why it is not 1. ``excluded_reason`` is why a person said that it is not to be used.
    """

    start_s: float
    turn_s: float
    end_s: float
    confidence: float
    doubts: tuple[str, ...] = ()
    provenance: Provenance = "auto"
    excluded_reason: str | None = None


def count_doubt(found: int, expected: int | None) -> tuple[str, ...]:
    """Return the sentence about a count that is not the expected one; none where it is, or none was asked for."""
    if expected is None or found == expected:
        return ()
    return (f"{found} repetitions found where {expected} were expected",)


@dataclass(frozen=True)
class Segmentation:
    """All repetitions found in a take, in time order.

    ``expected`` is None where no count was asked for. ``doubts`` concern the set as a whole, such as a
    found count that differs from the expected one. ``parameters`` are all numbers the result depends on.
    """

    repetitions: tuple[Repetition, ...]
    expected: int | None
    segmenter: str
    parameters: dict[str, float] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @property
    def found(self) -> int:
        """Number of repetitions found."""
        return len(self.repetitions)
