"""What a lab does: the actions of its protocol, as its file describes them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.actions import ACTIONS, Family, Implement, Phase, Sides


class ProtocolAction(BaseModel):
    """One ``[[action]]`` of a protocol file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^A(0[1-9]|1\d|20)$", description="FLEX's id, A01 to A20.")
    implement: Implement = Field(description="What is lifted.")
    name: str = Field(min_length=1, max_length=80, description="What the operator calls it.")
    name_confirmed: bool = Field(default=False, description="Whether a public source of FLEX gives this name.")
    family: Family = Field(description="The kind of motion.")
    phases: tuple[Phase, Phase] = Field(description="The phases before and after the turn.")
    sides: Sides = Field("together", description="Whether both sides work at once, or the right before the left.")
    targets: tuple[str, ...] = Field(min_length=1, description="Muscles it is for, of each side that works.")
    joints: tuple[str, ...] = Field(min_length=1, description="The joints that move most: hip, knee, shoulder, elbow.")
    instruction: str = Field(min_length=1, max_length=300, description="What the operator tells the subject.")


class Protocol(BaseModel):
    """A whole protocol file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="What the lab calls this protocol.")
    repetitions: int = Field(10, ge=1, le=200, description="Repetitions in a take.")
    rest_s: float = Field(60.0, ge=0, le=3600, description="Rest between two sets, in seconds.")
    action: tuple[ProtocolAction, ...] = Field(min_length=1, description="The actions, in the order of a session.")

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        ids = [action.id for action in self.action]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"action '{twice[0]}' is listed twice; list each action once")
        for action in self.action:
            known = ACTIONS[action.id]
            if action.implement != known.implement:
                raise ValueError(f"action '{action.id}' is a {known.implement} action in FLEX; set its implement right")
            if action.phases != known.phases:
                raise ValueError(f"action '{action.id}' begins {known.phases[0]} in the dataset; set its phases right")
        return self
