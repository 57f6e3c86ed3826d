"""What a channel is: by its label, unit and type where they say it, else by what it looks like."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.motion_signal import SignalKind

Float64 = npt.NDArray[np.float64]

#: In this order; the first that fits counts. The names of units stand between spaces.
_TELLING: Final[tuple[tuple[SignalKind, str], ...]] = (
    ("emg", r"s?emg|electromyogra\w*|exg"),
    ("rotation_rate", r"gyro?\w*|angular ?(rate|velocity)|omega\w*|(deg|°|rad)(rees)?( ?/ ?s\w*| per s\w*)|dps"),
    ("acceleration", r"acc|acc[xyz]|acc\w*\d|accel\w*|m ?/ ?s ?(\^ ?2|²|2)|m ?s-2|m?g"),
    ("angle", r"angles?|degs?|degrees?|°|rads?|radians?|euler|roll|pitch|yaw|goniometer|flexion|extension|rot\w*"),
)
_ENVELOPE: Final = re.compile(r"env(elope)?|rms|rectified", re.IGNORECASE)
#: Raw sEMG has no power to speak of where motion has its own, and is noise: up to this rate nothing can be said.
_SLOWEST_EMG_HZ: Final = 100.0
_MOTION_HZ: Final = 10.0
_BURSTY: Final = 0.6
_LOOKED_AT: Final = 2**17


def kind_by_words(label: str, unit: str = "", content_type: str = "", rate_hz: float = 0.0) -> SignalKind:
    """Return what a channel's label, unit and type say that it is, ``other`` where they say nothing.

    ``rate_hz`` tells sEMG from its envelope where they do not.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[A-Z][a-z])|[_.,:;()\[\]-]+", " ", f"{label} {content_type}")
    text = f" {words} {unit} ".lower()
    for kind, pattern in _TELLING:
        if re.search(rf"(?<![^\s/])({pattern})(?![^\s\d])", text):
            if kind == "emg" and (_ENVELOPE.search(text) or 0 < rate_hz < _SLOWEST_EMG_HZ):
                return "emg_envelope"
            return kind
    return "other"


def looks_like_emg(values: npt.ArrayLike, rate_hz: float) -> bool:
    """Whether a channel (n,) of which nothing is told has the spectrum of raw sEMG: nearly all of it above motion's.

    White noise has that as well; its strength must therefore come and go.
    """
    from scipy.signal import welch

    channel = np.asarray(values, dtype=np.float64)
    channel = channel[np.isfinite(channel)]
    if rate_hz < 2 * _SLOWEST_EMG_HZ or channel.size < 2 * rate_hz:
        return False
    step = -(-channel.size // _LOOKED_AT)
    pieces = channel[: channel.size // step * step].reshape(step, -1)[:: max(1, step // 4)]
    power = np.zeros(0)
    for piece in pieces:
        frequency, density = welch(piece - piece.mean(), rate_hz, nperseg=min(piece.size, int(rate_hz)))
        power = density if not power.size else power + density
    total = float(power.sum())
    if total <= 0 or float(power[frequency > _MOTION_HZ].sum()) < _BURSTY * total:
        return False
    tenth = max(1, int(rate_hz / 10))
    changes = np.diff(channel)
    strength = np.sqrt(np.mean(changes[: changes.size // tenth * tenth].reshape(-1, tenth) ** 2, axis=1))
    low, high = np.percentile(strength, (10, 95))
    return bool(high > 2 * low)
