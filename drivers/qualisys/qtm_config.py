"""What a rig says of QTM, and how QTM is asked for it."""

from __future__ import annotations

from typing import Final

from pydantic import Field, field_validator

from drivers.driver import DriverConfig
from drivers.qualisys.qtm_channels import PARTS, Part

#: What GetParameters calls the parts.
PARAMETERS_OF: Final[dict[Part, str]] = {
    "markers": "3D",
    "skeleton": "Skeleton:global",
    "analog": "Analog",
    "force": "Force",
}


class QtmConfig(DriverConfig):
    """QTM on the computer ``host``: what it streams, and over what."""

    host: str = Field("127.0.0.1", min_length=1, max_length=255, description="Address of the computer QTM runs on.")
    base_port: int = Field(22222, ge=2, le=65000, description="Base port in QTM's options; 1 is added: little-endian.")
    components: tuple[Part, ...] = Field(
        ("markers",), min_length=1, max_length=4, description="What is recorded: markers, skeleton, analog, force."
    )
    prefix: str = Field(
        "", max_length=100, description="What QTM's labels begin with and is left out, such as the subject's VF_."
    )
    residuals: bool = Field(default=True, description="Whether each marker's residual is recorded beside its position.")
    emg: tuple[str, ...] | None = Field(
        None,
        max_length=64,
        description="Patterns of the analogue channels that are sEMG; if not given, all of a device that sends"
        " voltages alone and is no force plate's.",
    )
    udp: bool = Field(
        default=False, description="Whether frames come over UDP: lower latency, and lost ones are not sent again."
    )
    udp_port: int = Field(0, ge=0, le=65535, description="UDP port of this computer that frames are sent to; 0: any.")
    wait_s: float = Field(8.0, ge=0, le=600, description="Seconds to wait for QTM to measure.")
    stall_s: float = Field(5.0, ge=0.5, le=600, description="Seconds without a frame after which it is a fault.")
    check_labels_s: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="Seconds from one look at QTM's lists of names to the next; 0: after events alone.",
    )
    if_idle: str = Field(
        "wait",
        pattern="^(wait|preview|file)$",
        description="If QTM does not measure: wait, or take control and begin a preview, or play its open file.",
    )
    password: str = Field(
        "", max_length=100, description="For control of QTM; $NAME is taken from the environment and kept in no file."
    )

    @field_validator("components")
    @classmethod
    def _once_each(cls, components: tuple[Part, ...]) -> tuple[Part, ...]:
        if len(set(components)) != len(components):
            raise ValueError("a component is named twice")
        return tuple(part for part in PARTS if part in components)


def stream_command(config: QtmConfig, udp_port: int | None) -> str:
    """Return the command that begins to stream what the rig asks for."""
    where = "" if udp_port is None else f" UDP:{udp_port}"
    names: dict[Part, str] = {**PARAMETERS_OF, "markers": "3DRes" if config.residuals else "3D"}
    return f"StreamFrames AllFrames{where} {' '.join(names[part] for part in config.components)}"
