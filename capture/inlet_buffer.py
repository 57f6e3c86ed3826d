"""What has arrived at an LSL inlet, taken with one call into memory that is used again.

pylsl's own ``pull_chunk`` makes new arrays and pointers each time, which takes longer than the pull: a recorder asks
every stream thirty times a second.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np

#: Values that are kept for an inlet, and samples at most.
_VALUES: Final = 65_536
_SAMPLES: Final = 1024


class InletBuffer:
    """The memory of one inlet of numbers or texts."""

    def __init__(self, inlet: Any) -> None:
        """Reserve the memory; nothing is pulled yet."""
        self.inlet = inlet
        channels = max(1, inlet.channel_count)
        self._channels = channels
        self._most = max(1, min(_SAMPLES, _VALUES // channels))
        self._values: Any = None
        if inlet.np_dtype is not None:
            self._values = np.empty((self._most, channels), dtype=inlet.np_dtype)
            self._stamps = np.empty(self._most)
            self._error = ctypes.c_int()
            self._arguments = (
                ctypes.c_void_p(self._values.ctypes.data),
                ctypes.c_void_p(self._stamps.ctypes.data),
                ctypes.c_size_t(self._most * channels),
                ctypes.c_size_t(self._most),
                ctypes.c_double(0.0),
                ctypes.byref(self._error),
            )

    def pull(self) -> tuple[Any, Any, bool]:
        """Return values (n, channels), stamps (n,) and whether more may be waiting; they are valid until the next call.

        Never waits. Raises pylsl's LostError and RuntimeError, as its ``pull_chunk`` does.
        """
        if self._values is None:
            count = min(self._most, int(self.inlet.samples_available()))
            values, stamps = self.inlet.pull_chunk(timeout=0.0, max_samples=count) if count else (None, ())
            return values, stamps, count == self._most
        from pylsl.util import handle_error

        pulled = self.inlet.do_pull_chunk(self.inlet.obj, *self._arguments)
        if self._error.value:
            handle_error(self._error)
        count = pulled // self._channels
        return self._values[:count], self._stamps[:count], count == self._most
