"""Channels in XDF's words that drivers of one kind share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.streams import FRAME_LABELS, Channel

_FRAME_UNITS: Final = {"device_time": "seconds", "arrival": "seconds", "pts": "microseconds"}

#: The channels of every camera.
FRAME_CHANNELS: Final = tuple(Channel(label, _FRAME_UNITS.get(label, "")) for label in FRAME_LABELS)


def position_channels(labels: Sequence[str], unit: str) -> tuple[Channel, ...]:
    """Return three channels a marker or joint, ``<label>_X``, ``_Y`` and ``_Z``, in ``unit``."""
    return tuple(Channel(f"{label}_{axis}", unit, f"Position{axis}", label) for label in labels for axis in "XYZ")
