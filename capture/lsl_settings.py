"""LSL as this application sets it up, and the two calls that pylsl has no words for."""

from __future__ import annotations

import ctypes
import math
import os
from dataclasses import dataclass
from typing import Any

from lab.errors import RequestError
from lab.rig import LslSettings

_configured: str | None = None


def lsl_configuration(settings: LslSettings) -> str:
    """Return liblsl's configuration text for a rig.

    128 ports because the default 32 find 33 of 40 streams. An inlet that looks for its lost stream keeps a port for
    each question that may yet be answered; with the default of 3 to 5 s for that (MaxRTT) four of them take all ports
    of a computer, and what is started again on it cannot be found. Only fatal errors are logged because a device that
    stops is reported by the recorder in words of its own.
    """
    peers = "KnownPeers = {127.0.0.1}\n" if settings.scope == "machine" else ""
    return (
        f"[multicast]\nResolveScope = {settings.scope}\n"
        "[ports]\nIPv6 = disable\nPortRange = 128\n"
        f"[lab]\n{peers}SessionID = {settings.session_id}\n"
        "[tuning]\nMulticastMinRTT = 0.1\nUnicastMinRTT = 0.1\nMulticastMaxRTT = 0.5\nUnicastMaxRTT = 0.5\n"
        "[log]\nlevel = -3\n"
    )


def configure_lsl(configuration: str) -> None:
    """Set liblsl up in this process, before its first use. A file named by LSLAPICFG takes precedence.

    liblsl reads its configuration once a process; asking for another one later raises RequestError.
    """
    global _configured  # noqa: PLW0603 - liblsl's own configuration is per process
    if os.environ.get("LSLAPICFG"):
        return
    if _configured is not None:
        if _configured != configuration:
            raise RequestError("this process already uses LSL with other settings; start a new one")
        return
    import pylsl

    pylsl.set_config_content(configuration)
    _configured = configuration


@dataclass(frozen=True)
class ClockProbe:
    """One real clock-offset measurement: ``session time = host time + offset_s``.

    ``host_s`` is the stream's host time of the probe; ``round_trip_s`` NaN where liblsl does not tell it.
    """

    host_s: float
    offset_s: float
    round_trip_s: float

    def differs_from(self, previous: ClockProbe | None) -> bool:
        """Whether this is another measurement than ``previous``, not liblsl repeating itself."""
        if previous is None:
            return True
        if math.isnan(self.round_trip_s):
            return self.offset_s != previous.offset_s
        return self.host_s != previous.host_s


def probe_clock(inlet: Any, timeout_s: float) -> ClockProbe | None:
    """Return liblsl's newest clock-offset probe of an inlet, or None if there is none yet.

    liblsl repeats its last probe, even after the source has died: ``differs_from`` tells a new one. Uses
    ``lsl_time_correction_ex`` (liblsl's C API, lsl_inlet.h), whose "uncertainty" is the round trip.
    """
    import pylsl
    from pylsl.lib import lib

    if not hasattr(lib, "lsl_time_correction_ex"):
        try:
            offset_s = float(inlet.time_correction(timeout_s))
        except (RuntimeError, pylsl.util.LostError, pylsl.util.TimeoutError):
            return None
        # the true moment is unknown; "now" in the stream's clock is at most one renewal (2 s) late
        return ClockProbe(float(pylsl.local_clock()) - offset_s, offset_s, math.nan)
    function = lib.lsl_time_correction_ex
    function.restype = ctypes.c_double
    remote, round_trip, status = ctypes.c_double(), ctypes.c_double(), ctypes.c_int()
    offset_s = float(
        function(
            inlet.obj, ctypes.byref(remote), ctypes.byref(round_trip), ctypes.c_double(timeout_s), ctypes.byref(status)
        )
    )
    plausible = math.isfinite(offset_s) and math.isfinite(remote.value) and 0 <= round_trip.value < 10
    if status.value != 0 or not plausible or remote.value == 0:
        return None
    return ClockProbe(remote.value, offset_s, round_trip.value)
