"""Which sEMG channels are an action's target muscles: a lab's own file, for the release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lab.actions import ACTIONS

#: What the columns of a release's sEMG are, by how many there are: left before right.
COLUMNS: Final[dict[int, tuple[str, ...]]] = {2: ("L", "R"), 4: ("L1", "L2", "R1", "R2")}

#: Actions of which FLEX's public training code reads two columns (derived from its code); of all others it reads four.
_TWO: Final = frozenset({"A07", "A17", "A18", "A19"})


def columns_of(action: str) -> tuple[str, ...]:
    """Return the columns that FLEX's public training code reads of an action's sEMG."""
    return COLUMNS[2 if action in _TWO else 4]


class EmgTargets(BaseModel):
    """Which channels, by label, are each action's targets. What is not named here is not known.

    For each action ``[L1, L2, R1, R2]``, and ``[L, R]`` for A07, A17, A18 and A19: as many as FLEX's public training
    code reads of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: dict[str, tuple[str, ...]] = Field(description="Labels of the channels by action, left before right.")

    @field_validator("targets")
    @classmethod
    def _as_many_as_are_read(cls, targets: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for action, labels in targets.items():
            if action not in ACTIONS:
                raise ValueError(f"'{action}' is none of A01 to A20")
            wanted = columns_of(action)
            if len(labels) != len(wanted):
                raise ValueError(f"'{action}' needs {len(wanted)} labels, [{', '.join(wanted)}], not {len(labels)}")
            if len(set(labels)) < len(labels):
                raise ValueError(f"'{action}' names a channel twice")
        return targets

    def channels(self, action: str, labels: Sequence[str]) -> tuple[int, ...] | None:
        """Return the places of an action's targets among a take's ``labels``; None where they are not known.

        An action that the file does not name has its targets known only where the channels themselves are labelled
        L1, L2, R1, R2, or L, R.
        """
        wanted = self.targets.get(action, columns_of(action))
        return tuple(labels.index(label) for label in wanted) if set(wanted) <= set(labels) else None
