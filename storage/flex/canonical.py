"""JSON that is the same for the same values: sorted keys, no spaces, null for what is no number."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return ``value`` as JSON has it: NaN and infinities as None, tuples as lists, numpy's numbers as Python's."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


def canonical_json(value: Any) -> str:
    """Encode as JSON in the one way that depends on the values alone."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def short_hash(text: str) -> str:
    """Return the first 12 hex digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
