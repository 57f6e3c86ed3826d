"""The numbers that make up a layout: its version, the writer's, and the limits it promises."""

from __future__ import annotations

from typing import Final

#: Changes when a reader would have to change.
LAYOUT_VERSION: Final = 1

#: Changes when the same take would be written with other bytes; part of every revision.
WRITER_VERSION: Final = 2

#: A view covers a repetition if it has a frame this close to its start, turn and end, in seconds.
BOUND_TOLERANCE_S: Final = 0.1

#: Pose and sEMG envelope are not interpolated over longer gaps, in seconds.
MAX_GAP_S: Final = 0.1

#: A heart or breath rate is held for at most this long, in seconds: an older one says nothing of now.
MAX_HOLD_S: Final = 10.0

#: A frame of another view belongs to a row if it is within this many of that view's frame periods.
MAX_FRAME_PERIODS: Final = 1.5
