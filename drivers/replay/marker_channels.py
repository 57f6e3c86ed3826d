"""The channels of marker positions in XDF's words."""

from __future__ import annotations

from collections.abc import Sequence

from lab.streams import Channel


def position_channels(labels: Sequence[str], unit: str) -> tuple[Channel, ...]:
    """Return three channels a marker, ``<label>_X``, ``_Y`` and ``_Z``, in ``unit``."""
    return tuple(Channel(f"{label}_{axis}", unit, f"Position{axis}", label) for label in labels for axis in "XYZ")
