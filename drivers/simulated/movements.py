"""How each action but the barbell squat is done: poses at base and turn, and the way of the hands between them.

All are done standing, also those that are done on a bench in a gym. Numbers are ours, chosen by eye. Ways of the hands
are relative to the shoulder: outward, ahead and up in the trunk's axes, in parts of the length of the straight arm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from drivers.simulated.motion import Float64

Vector = tuple[float, float, float]

#: line: straight from base to turn. elbow: the forearm swings about the elbow, ahead from a hanging upper arm or
#: backwards from a raised one. shoulder: the nearly straight arm swings up from hanging. hang: straight down, whatever
#: the trunk does. back: the bar lies on the upper back.
Way = Literal["line", "elbow", "shoulder", "hang", "back"]


@dataclass(frozen=True)
class Movement:
    """One action. Pairs are (at base, at the turn).

    ``hand`` are the ends of a line. ``angle_deg`` is the bend of the elbow (elbow) or the swing from hanging (shoulder)
    and ``aim_deg`` where the upper arm points (elbow) or in which direction the arm swings (shoulder), 0 for ahead, 90
    for outward. ``pole`` is where elbows point. ``pitch_deg`` leans the trunk, ``drop`` lowers the hips in parts of the
    thigh, ``back`` moves them back in parts of it, ``stride`` moves the working foot ahead in parts of it.
    """

    way: Way
    hand: tuple[Vector, Vector] = ((0.0, 0.0, -0.98), (0.0, 0.0, -0.98))
    angle_deg: tuple[float, float] = (0.0, 0.0)
    aim_deg: float = 0.0
    out: float = 0.0
    pole: Vector = (0.3, -1.0, 0.0)
    pitch_deg: tuple[float, float] = (3.0, 3.0)
    drop: tuple[float, float] = (0.02, 0.02)
    back: tuple[float, float] = (0.0, 0.0)
    stride: float = 0.0

    def hand_at(self, part: Float64, pitch_rad: Float64) -> Float64:
        """Return the hand (n, 3) of the right side at ``part`` (n,) of the way, 0 … 1 or a little more."""
        if self.way == "line":
            base, turn = np.array(self.hand)
            return np.asarray(base + part[:, None] * (turn - base))
        angle = np.deg2rad(self.angle_deg[0] + part * (self.angle_deg[1] - self.angle_deg[0]))
        zero = np.zeros(len(part))
        if self.way == "elbow":
            upper = np.full(len(part), np.deg2rad(self.aim_deg))
            # A hanging arm bends ahead, a raised one backwards over the head: both turn the same way round.
            lower = upper + angle
            ahead = _UPPER * np.sin(upper) + _LOWER * np.sin(lower)
            up = -_UPPER * np.cos(upper) - _LOWER * np.cos(lower)
            return np.stack((zero + self.out, ahead, up), axis=1)
        if self.way == "shoulder":
            aim = np.deg2rad(self.aim_deg)
            # The trunk may be bent; the arm swings from hanging.
            ahead = 0.96 * np.sin(angle) * np.cos(aim)
            up = -0.96 * np.cos(angle)
            return np.stack((self.out + 0.96 * np.sin(angle) * np.sin(aim), ahead + 0.08, up), axis=1)
        return hanging(pitch_rad, self.out)


#: Parts of the arm above and below the elbow; the hand prolongs the forearm.
_UPPER: Final = 0.170 / 0.365
_LOWER: Final = 0.195 / 0.365


def hanging(pitch_rad: Float64, out: float) -> Float64:
    """Return the hand (n, 3) of an arm that hangs straight down from a trunk that leans by ``pitch_rad`` (n,)."""
    lean = pitch_rad + 0.12  # a little ahead of the thighs
    return np.stack((np.full(len(lean), out), 0.97 * np.sin(lean), -0.97 * np.cos(lean)), axis=1)


#: Where the elbows of hanging arms point.
HANGING_POLE: Final[Vector] = (0.4, -1.0, 0.0)

_SIDEWAYS: Final[Vector] = (0.6, 0.3, -1.0)
_BELOW: Final[Vector] = (0.15, -0.7, -0.7)

_ROW: Final = Movement("line", pitch_deg=(48.0, 45.0), drop=(0.14, 0.13), back=(0.34, 0.33), pole=(0.35, -1.0, 0.3))
_CURL: Final = Movement("elbow", angle_deg=(16.0, 132.0), aim_deg=4.0, pole=_BELOW)
#: The upper arm points up and a little ahead; further bending swings the forearm backwards.
_EXTENSION: Final = Movement("elbow", angle_deg=(18.0, 112.0), aim_deg=166.0, pole=(0.5, 1.0, 0.6))

#: By id; A16 has a model of its own, ``squat.Squat``.
MOVEMENTS: Final[dict[str, Movement]] = {
    "A01": Movement("line", ((0.10, 0.30, 0.10), (0.10, 0.04, 0.975)), pole=_SIDEWAYS),
    "A02": Movement("line", ((0.20, 0.24, -0.22), (0.20, 0.93, -0.08)), pole=(1.0, -0.3, -0.7)),
    "A03": Movement("line", ((0.0, 0.16, -0.96), (0.0, 0.24, -0.14)), pole=(1.0, -0.1, 0.5)),
    "A04": Movement("line", ((0.42, 0.06, 0.16), (0.12, 0.02, 0.97)), pole=(0.8, 0.2, -1.0)),
    "A05": Movement("line", ((0.36, 0.22, -0.18), (0.08, 0.95, -0.06)), pole=(1.0, -0.3, -0.7)),
    "A06": Movement("shoulder", angle_deg=(8.0, 88.0), aim_deg=80.0, pole=(0.0, -1.0, 0.3)),
    "A07": Movement("shoulder", angle_deg=(8.0, 88.0), aim_deg=0.0, pole=(1.0, 0.0, -0.4)),
    "A08": replace(_ROW, hand=((0.12, 0.80, -0.54), (0.12, 0.26, -0.40))),
    "A09": _CURL,
    "A10": replace(_EXTENSION, out=-0.05),
    "A11": _CURL,
    "A12": replace(_CURL, angle_deg=(14.0, 120.0), out=0.04),
    "A13": replace(_EXTENSION, angle_deg=(16.0, 118.0), out=-0.08),
    "A14": replace(_ROW, hand=((0.05, 0.80, -0.54), (0.12, 0.16, -0.52))),
    "A15": Movement("hang", pitch_deg=(4.0, 68.0), drop=(0.03, 0.17), back=(0.0, 0.55), pole=(0.5, -1.0, 0.0)),
    "A17": Movement(
        "line",
        ((0.06, 0.18, 0.10), (0.06, 0.18, 0.12)),
        pole=(0.5, 0.8, -0.7),
        pitch_deg=(4.0, 22.0),
        drop=(0.02, 0.95),
        back=(0.0, 0.42),
    ),
    "A18": Movement("back", pitch_deg=(6.0, 12.0), drop=(0.02, 0.62), stride=-1.45),
    "A19": Movement("hang", pitch_deg=(3.0, 8.0), drop=(0.02, 0.62), stride=1.45, out=0.10),
    "A20": Movement("hang", pitch_deg=(4.0, 38.0), drop=(0.02, 0.85), back=(0.0, 0.50), out=0.12),
}
