"""A signal in which repetitions can be looked for: positions, joint angles, an IMU, a goniometer, sEMG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

#: ``rotation_rate`` is what a gyroscope measures, ``emg`` raw sEMG; ``other`` is anything else, told or not.
SignalKind = Literal["positions", "angle", "rotation_rate", "acceleration", "emg", "emg_envelope", "other"]
MUSCLE_KINDS: Final[tuple[SignalKind, ...]] = ("emg", "emg_envelope")


@dataclass(frozen=True)
class MotionSignal:
    """Channels of one kind that share their times.

    ``values`` (n, channels) real numbers at ``time_s`` float64 (n,), which increases, NaN where absent. Positions are
    in metres, three channels a point, x, y and z; of all others the unit does not matter.
    """

    name: str
    kind: SignalKind
    time_s: npt.NDArray[np.float64]
    values: npt.NDArray[Any]
    labels: tuple[str, ...]

    @property
    def rate_hz(self) -> float:
        """The median rate, 0 where there are fewer than two samples."""
        return 1 / float(np.median(np.diff(self.time_s))) if self.time_s.size > 1 else 0.0
