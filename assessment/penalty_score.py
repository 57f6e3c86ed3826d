"""FLEX's penalty score: what share of all that can go wrong in an action did not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

#: Sum of the weights of all errors of an action. Derived from published scores of FLEX, not published itself: A08, A09
#: and A16 have other solutions (123, 81, 67).
ALL_WEIGHTS: Final[dict[str, float]] = {
    "A01": 161,
    "A02": 151,
    "A03": 125,
    "A04": 105,
    "A05": 133,
    "A06": 106,
    "A07": 83,
    "A08": 131,
    "A09": 131,
    "A10": 131,
    "A11": 147,
    "A12": 147,
    "A13": 147,
    "A14": 139,
    "A15": 167,
    "A16": 134,
    "A17": 157,
    "A18": 157,
    "A19": 174,
    "A20": 176,
}


def penalty_score(action: str, observed_weights: Iterable[float]) -> float:
    """Return S = (1 - sum of observed weights / sum of all weights) x 100, between 0 and 100 (FLEX, arXiv 2506.03198).

    NaN where the observed weights are no weights, or more than all there are.
    """
    observed = math.fsum(observed_weights)
    every = ALL_WEIGHTS[action]
    return (1.0 - observed / every) * 100.0 if 0.0 <= observed <= every else math.nan
