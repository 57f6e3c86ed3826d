"""UTC times as a person writes them."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_text(utc: str) -> str:
    """Return a UTC time of a take as a person writes it; as it is where it is no time."""
    try:
        return datetime.fromisoformat(utc).astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError):
        return utc
