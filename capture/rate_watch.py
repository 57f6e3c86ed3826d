"""While a take runs: streams that do not come at the rate they promise. Their times do not depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from capture.console import StreamRow

#: A rate is known well enough to be judged after this many seconds, and wrong if it is off by more than this share.
_KNOWN_S: Final = 5.0
_OFF: Final = 0.1
_SAMPLES: Final = 20
#: After a short pause all arrives at once: for a moment the rate seems to be too low, but not for so long.
_OFF_FOR_S: Final = 3.0


class RateWatch:
    """Looks at the rates of a take's streams, those since its begin."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._unsteady: set[str] = set()
        self._off_since_s: dict[str, float] = {}

    def wrong(self, rows: Sequence[StreamRow], elapsed_s: float) -> list[str]:
        """Return a sentence for each stream whose rate is wrong; the same one at each look.

        A stream that was silent, away or lost samples once is not judged any more: its mean rate tells nothing.
        """
        wrong = []
        for row in rows:
            if row.state != "ok" or row.lost:
                self._unsteady.add(row.name)
            if not self._is_off(row, elapsed_s):
                self._off_since_s.pop(row.name, None)
            elif elapsed_s - self._off_since_s.setdefault(row.name, elapsed_s) >= _OFF_FOR_S:
                wrong.append(
                    f"stream '{row.name}' does not come at the {row.rate_asked_hz:g} Hz it promises; check its settings"
                )
        return wrong

    def _is_off(self, row: StreamRow, elapsed_s: float) -> bool:
        if row.name in self._unsteady or elapsed_s < _KNOWN_S or row.samples < _SAMPLES or row.rate_asked_hz <= 0:
            return False
        return abs(row.rate_measured_hz / row.rate_asked_hz - 1) > _OFF
