"""What is plugged in where: the model of a rig file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lab.device_names import DEVICE_NAME, VIEW_NAME


class _Entry(BaseModel):
    """What a rig says of a device as well as of a stream of others."""

    name: str = Field(description="Name of the device and of its stream; a camera is called view1 … view9.")
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

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not DEVICE_NAME.fullmatch(name):
            raise ValueError("a device name is a lower-case letter, then letters, digits or _ (32 at most)")
        return name

    @property
    def is_view(self) -> bool:
        """Whether the name is that of a camera view."""
        return VIEW_NAME.fullmatch(self.name) is not None


class DeviceEntry(_Entry):
    """One ``[[device]]`` of a rig file. Keys that are not named here go to the device's driver."""

    model_config = ConfigDict(frozen=True, extra="allow")

    driver: str = Field(description="Name of the driver, such as simulated.mocap; `flex-capture doctor` lists them.")
    silent_after_s: float = Field(3.0, gt=0, le=3600, description="Seconds without data after which it is an alarm.")

    @property
    def options(self) -> dict[str, Any]:
        """The keys meant for the driver."""
        return dict(self.model_extra or {})


class StreamEntry(_Entry):
    """One ``[[stream]]`` of a rig file: an LSL stream that somebody else publishes.

    What it says of type, unit, rate and channels counts before what the stream says of itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What the stream is called here, whatever its publisher calls it.")
    source_id: str | None = Field(None, min_length=1, max_length=1000, description="Its LSL source id.")
    query: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="An LSL query, such as type='EMG' and hostname='lab2'; with source_id, both must hold.",
    )
    content_type: str | None = Field(None, min_length=1, description="XDF content type, such as EMG or MoCap.")
    rate_hz: float | None = Field(None, gt=0, le=1e6, description="Samples per second.")
    unit: str | None = Field(None, min_length=1, description="Unit of all its values, such as microvolts.")
    labels: tuple[str, ...] = Field((), description="A label for each channel, the counter's too.")
    channel_types: tuple[str, ...] = Field((), description="XDF type of each channel, such as HeartRate.")
    counter: str | int | None = Field(
        None, description="Channel that counts the samples, by label or by number, the first being 1."
    )
    counter_modulus: int | None = Field(
        None, ge=2, le=2**62, description="What that counter is modulo: 256 if 0 follows 255; never 0 if not given."
    )
    silent_after_s: float | None = Field(
        None,
        gt=0,
        le=3600,
        description="Seconds without data after which it is an alarm; 3, and never for an irregular stream.",
    )

    @model_validator(mode="after")
    def _can_be_found(self) -> StreamEntry:
        if self.source_id is None and self.query is None:
            raise ValueError(f"stream '{self.name}' has neither 'source_id' nor 'query'; say how to find it")
        if self.is_view:
            raise ValueError(f"stream '{self.name}' is called as a camera is; give it another name")
        if self.counter_modulus is not None and self.counter is None:
            raise ValueError(f"stream '{self.name}' has a 'counter_modulus' but no 'counter'; name the channel")
        if isinstance(self.counter, int) and self.counter < 1:
            raise ValueError(f"stream '{self.name}': 'counter' is {self.counter}, but channels are counted from 1")
        return self


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
    device: tuple[DeviceEntry, ...] = Field((), description="The devices.")
    stream: tuple[StreamEntry, ...] = Field((), description="The streams of others.")

    @model_validator(mode="after")
    def _consistent(self) -> Rig:
        names = [entry.name for entry in (*self.device, *self.stream)]
        if not 1 <= len(names) <= 64:
            raise ValueError(f"a rig has 1 to 64 [[device]] and [[stream]] entries, this one has {len(names)}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"device '{twice[0]}' is listed twice; give each device its own name")
        if self.reference_view is not None and self.reference_view not in [
            entry.name for entry in self.device if entry.is_view
        ]:
            raise ValueError(f"reference_view '{self.reference_view}' is not a view among the devices")
        return self
