"""Which muscles the electrodes are on in an action, and how hard each works.

FLEX has 16 channels, both sides of the body, and does not say where; ours are eight muscles a side, of the legs and
back or of the arms and trunk as the action needs. Activations of the target muscles and the others are ours.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from drivers.simulated.motion import Float64
from drivers.simulated.squat import MUSCLES
from lab.actions import ACTIONS, Family

_ARMS: Final = (
    "anterior_deltoid",
    "lateral_deltoid",
    "pectoralis_major",
    "latissimus_dorsi",
    "biceps_brachii",
    "triceps_brachii",
    "trapezius",
    "erector_spinae",
)
_OF_THE_LEGS: Final[frozenset[Family]] = frozenset({"squat", "hinge", "lunge"})

#: (tonic, eccentric, concentric) activation at the turn of the target muscles and of the others.
_TARGET: Final = (0.03, 0.36, 0.70)
_OTHER: Final = (0.03, 0.09, 0.16)


def muscles_of(action: str) -> tuple[str, ...]:
    """Return the eight muscles of a side that are measured in the action of this id."""
    return tuple(MUSCLES) if ACTIONS[action].family in _OF_THE_LEGS else _ARMS


@cache
def table_of(action: str) -> Float64:
    """Return (8, 3) tonic, eccentric and concentric activation at the turn."""
    if action == "A16":
        return np.array(list(MUSCLES.values()))
    targets = ACTIONS[action].targets
    return np.array([_TARGET if muscle in targets else _OTHER for muscle in muscles_of(action)])


def labels_of(action: str) -> tuple[str, ...]:
    """Return the label of each activation column: all of the left side, then all of the right."""
    return tuple(f"{side} {muscle}" for side in ("L", "R") for muscle in muscles_of(action))
