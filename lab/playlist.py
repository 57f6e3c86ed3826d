"""The order of a session: which sets, how heavy, how much rest between them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.actions import ACTIONS


class PlaylistSet(BaseModel):
    """One ``[[set]]`` of a playlist: a take of one action. What is not given comes from the protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str = Field(pattern=r"^A(0[1-9]|1\d|20)$", description="FLEX's id, A01 to A20.")
    load_kg: float | None = Field(
        None, ge=0, le=500, description="Load; as at the subject's last take of the action if not given."
    )
    repetitions: int | None = Field(None, ge=1, le=200, description="Repetitions asked for.")
    rest_s: float | None = Field(None, ge=0, le=3600, description="Rest before the set, in seconds.")


class Playlist(BaseModel):
    """A whole playlist file: ``order`` names actions, or ``[[set]]`` tables say more of each. No action comes twice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=80, description="What the lab calls this playlist.")
    order: tuple[str, ...] = Field((), description="Ids of actions, in the order of the session.")
    set: tuple[PlaylistSet, ...] = Field((), description="The sets, in the order of the session.")

    @model_validator(mode="after")
    def _one_order(self) -> Playlist:
        if bool(self.order) == bool(self.set):
            raise ValueError('name the actions in order = ["A16", …] or in [[set]] tables, in one of the two')
        ids = [entry.action for entry in self.sets]
        unknown = [action for action in ids if action not in ACTIONS]
        if unknown:
            raise ValueError(f"there is no action '{unknown[0]}'; the actions are A01 to A20")
        twice = sorted({action for action in ids if ids.count(action) > 1})
        if twice:
            raise ValueError(f"action '{twice[0]}' is listed twice; a second take of an action replaces the first")
        return self

    @property
    def sets(self) -> tuple[PlaylistSet, ...]:
        """The sets in their order."""
        return self.set or tuple(PlaylistSet.model_construct(action=action) for action in self.order)


def shuffled(sets: Sequence[PlaylistSet], seed: int, subject: str) -> tuple[PlaylistSet, ...]:
    """Return the sets in an order that seed and subject alone decide: each subject's own, the same at every call."""
    return tuple(
        sorted(sets, key=lambda entry: hashlib.sha256(f"{seed}/{subject}/{entry.action}".encode()).digest())
    )  # fmt: skip
