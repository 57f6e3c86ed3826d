"""Joint angles whose numbers jump where the joint does not: whole turns, and the other solution of three angles."""

from __future__ import annotations

from itertools import permutations
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

#: A jump from one sample to the next that is this near a whole turn, or half of one, in parts of the turn.
_NEAR: Final = 0.12
#: Proper Euler angles turn about the first axis again; Tait-Bryan angles about three axes.
_ORDERS: Final = ("xyz", "xyx")


def without_flips(angles: Float64) -> Float64:
    """Return angles (n, channels) without jumps, as (n, columns): unwrapped, or nine columns of a rotation for three.

    Channels that jump by a whole turn (360 or 2 pi) are unwrapped. Where two or more of three neighbours (channels 1 to
    3, 4 to 6 …) jump by half a turn at once, the three describe one rotation in another way from then on, which no
    unwrapping mends: they become the columns of its matrix. In which order they were applied nobody says; it is the one
    in which the matrix jumps least. Values must be finite.
    """
    turn = _turn(angles)
    if turn == 0 or angles.shape[0] < 2:
        return angles
    columns: list[Float64] = []
    for first in range(0, angles.shape[1], 3):
        three = angles[:, first : first + 3]
        unwrapped = np.unwrap(three, period=turn, axis=0)
        steps = np.abs(np.diff(unwrapped, axis=0))
        flipped = np.abs(steps - turn / 2) < _NEAR * turn
        if three.shape[1] == 3 and bool((flipped.sum(axis=1) >= 2).any()):
            columns += list(_steadiest(three * (2 * np.pi / turn)).T * (turn / (2 * np.pi)))
        else:
            columns += list(unwrapped.T)
    return np.stack(columns, axis=1)


def _turn(angles: Float64) -> float:
    """Return what a whole turn is in these numbers, 360 or 2 pi, or 0 where nothing jumps by one or by half of one."""
    steps = np.abs(np.diff(angles, axis=0))
    for turn in (360.0, 2 * np.pi):
        # Angles of one turn, or of two for a convention that counts from 0: anything wider is no such angle.
        inside = np.ptp(angles, axis=0) <= 1.05 * turn
        whole = (np.abs(steps - turn) < _NEAR * turn) & inside
        half = (np.abs(steps - turn / 2) < _NEAR * turn) & inside
        if bool(whole.any()) or bool((half.sum(axis=1) >= 2).any()):
            return turn
    return 0.0


def _steadiest(angles_rad: Float64) -> Float64:
    """Return the nine entries (n, 9) of the rotations that three angles describe, in the order that jumps least."""
    from scipy.spatial.transform import Rotation

    best, least = np.zeros((len(angles_rad), 9)), np.inf
    for order in _ORDERS:
        for columns in permutations(range(3)):
            matrix = Rotation.from_euler(order.upper(), angles_rad[:, columns]).as_matrix().reshape(-1, 9)
            jumps = float(np.sum(np.linalg.norm(np.diff(matrix, axis=0), axis=1)))
            if jumps < least:
                best, least = matrix, jumps
    return best
