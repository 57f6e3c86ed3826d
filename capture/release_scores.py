"""A score for each repetition that somebody annotated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from assessment.penalty_score import penalty_score


def scores_of(annotations: list[Mapping[str, Any]], actions: Mapping[str, str]) -> dict[tuple[str, int], float]:
    """Return the mean of the annotators' penalty scores by (take_id, repetition); ``actions`` by take_id.

    An annotator who names an error of a keystep twice means it once. NaN where weights are no weights, or more than
    the action has.
    """
    weights: dict[tuple[str, int], dict[str, dict[tuple[str, str], float]]] = {}
    for row in annotations:
        repetition = str(row["take_id"]), int(row["repetition"])
        said = weights.setdefault(repetition, {}).setdefault(str(row["annotator"]), {})
        said[str(row["keystep"]), str(row["error_type"])] = float(row["weight"])
    return {
        repetition: fmean(penalty_score(actions[repetition[0]], errors.values()) for errors in said.values())
        if repetition[0] in actions
        else math.nan
        for repetition, said in weights.items()
    }
