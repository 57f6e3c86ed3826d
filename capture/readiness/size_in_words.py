"""Bytes as people read them."""

from __future__ import annotations


def size_in_words(count: float) -> str:
    """Return a number of bytes as ``1.2 GB``, ``340 MB`` or ``12 kB``."""
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"
