"""Which muscles the electrodes are on in an action, and how hard each works.

FLEX has 16 channels, both sides of the body, and does not say where; ours are eight muscles a side, of the legs and
back or of the arms and trunk as the action needs. Activations of the target muscles and the others are ours.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from drivers.simulated.motion import Float64
from lab.actions import ACTIONS, Family

#: A muscle is active before the motion that it makes: the electromechanical delay, 30–100 ms in the literature.
LEAD_S: Final = 0.06

#: Muscle: (tonic, eccentric, concentric) activation at full depth of the squat; the quadriceps and gluteals push in the
#: ascent (after R. F. Escamilla, "Knee biomechanics of the dynamic squat exercise", Med. Sci. Sports Exerc. 33, 2001).
_SQUAT: Final[dict[str, tuple[float, float, float]]] = {
    "vastus_lateralis": (0.03, 0.38, 0.72),
    "rectus_femoris": (0.03, 0.30, 0.55),
    "biceps_femoris": (0.02, 0.14, 0.33),
    "gluteus_maximus": (0.02, 0.16, 0.58),
    "erector_spinae": (0.08, 0.28, 0.46),
    "gastrocnemius": (0.05, 0.12, 0.24),
    "tibialis_anterior": (0.03, 0.24, 0.14),
    "trapezius": (0.10, 0.11, 0.16),
}
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
    return tuple(_SQUAT) if ACTIONS[action].family in _OF_THE_LEGS else _ARMS


@cache
def table_of(action: str) -> Float64:
    """Return (8, 3) tonic, eccentric and concentric activation at the turn."""
    if action == "A16":
        return np.array(list(_SQUAT.values()))
    targets = ACTIONS[action].targets
    return np.array([_TARGET if muscle in targets else _OTHER for muscle in muscles_of(action)])


def work_of(table: Float64, load: Float64, lifting: Float64, tired: Float64) -> Float64:
    """Return activation (n, 8) by work, beside the tonic one, at n moments.

    ``load`` (n,) is 1 at the turn, ``lifting`` (n,) how far the load is being lifted and not lowered, 0 … 1, and
    ``tired`` (n,) a factor.
    """
    return np.asarray(load[:, None] * (table[:, 1] + (table[:, 2] - table[:, 1]) * lifting[:, None]) * tired[:, None])


def labels_of(action: str) -> tuple[str, ...]:
    """Return the label of each activation column: all of the left side, then all of the right."""
    return tuple(f"{side} {muscle}" for side in ("L", "R") for muscle in muscles_of(action))
