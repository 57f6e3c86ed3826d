"""How markers, or a vendor's own joints, become FLEX's 21 joints."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lab.joints import JOINT_INDEX, JOINTS


class MarkerMap(BaseModel):
    """A joint is a weighted mean of markers, or absent (all NaN).

    ``joints`` maps a FLEX joint name to ``{marker: weight}``; weights are normalised to sum to one.
    ``up_axis`` is the source's vertical axis; poses are handed on in metres with z up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What the map is for, such as the marker set's name.")
    up_axis: Literal["y", "z"] = Field("z", description="The axis that points up in the source.")
    joints: dict[str, dict[str, float]] = Field(description="FLEX joint name to {marker: weight}.")

    @field_validator("joints")
    @classmethod
    def _known_joints(cls, joints: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for joint, weights in joints.items():
            if joint not in JOINT_INDEX:
                raise ValueError(f"'{joint}' is not a FLEX joint; the joints are {', '.join(JOINTS)}")
            if not weights or any(not 0 < weight < 1e6 for weight in weights.values()):
                raise ValueError(f"joint '{joint}' needs at least one marker, and weights above 0")
        return joints

    @classmethod
    def identity(cls) -> MarkerMap:
        """Return the map of a source whose markers already are FLEX's joints by name, z up."""
        return cls(name="FLEX joints", up_axis="z", joints={joint: {joint: 1.0} for joint in JOINTS})
