"""What is plugged in where: the model of a rig file."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

VIEW_NAME: Final = re.compile(r"view[1-9]")
_DEVICE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")


class DeviceEntry(BaseModel):
    """One ``[[device]]`` of a rig file. Keys that are not named here go to the device's driver."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(description="Name of the device and of its stream; a camera is called view1 … view9.")
    driver: str = Field(description="Name of the driver, such as simulated.mocap; `flex-capture doctor` lists them.")
    latency_s: float = Field(
        0.0, ge=-10, le=10, description="Measured constant delay from event to arrival, subtracted last, in seconds."
    )
    marker_map: str | None = Field(
        None, description="TOML file that maps this device's markers to FLEX joints, relative to the rig file."
    )
    max_uncertainty_ms: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="This device's own limit for the uncertainty of its time; the rig's if not given.",
    )
    silent_after_s: float = Field(3.0, gt=0, le=3600, description="Seconds without data after which it is an alarm.")

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _DEVICE_NAME.fullmatch(name):
            raise ValueError("a device name is a lower-case letter, then letters, digits or _ (32 at most)")
        return name

    @property
    def options(self) -> dict[str, Any]:
        """The keys meant for the driver."""
        return dict(self.model_extra or {})

    @property
    def is_view(self) -> bool:
        """Whether the name is that of a camera view."""
        return VIEW_NAME.fullmatch(self.name) is not None


class LslSettings(BaseModel):
    """How far streams are looked for. A configuration file named by LSLAPICFG takes precedence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Literal["machine", "link", "site"] = Field(
        "machine", description="Where streams may come from: this computer, the local network, the site."
    )
    session_id: str = Field("default", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="LSL SessionID.")


class Rig(BaseModel):
    """A whole rig file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What the operator calls this rig.")
    reference_view: str | None = Field(
        None, description="The view whose frames are the rows of the frames table; the first view where not given."
    )
    max_uncertainty_ms: float = Field(
        5.0, gt=0, le=1000, description="A stream whose time is less certain than this (p99) marks the take."
    )
    wait_s: float = Field(20.0, gt=0, le=600, description="Seconds to wait for all devices and streams to appear.")
    lsl: LslSettings = Field(default_factory=LslSettings)
    device: tuple[DeviceEntry, ...] = Field(description="The devices, 1 to 64.")

    @model_validator(mode="after")
    def _consistent(self) -> Rig:
        if not 1 <= len(self.device) <= 64:
            raise ValueError(f"a rig has 1 to 64 [[device]] entries, this one has {len(self.device)}")
        names = [entry.name for entry in self.device]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"device '{twice[0]}' is listed twice; give each device its own name")
        if self.reference_view is not None and self.reference_view not in [
            entry.name for entry in self.device if entry.is_view
        ]:
            raise ValueError(f"reference_view '{self.reference_view}' is not a view among the devices")
        return self
