"""One writer at a time: an operating system's lock on ``dataset/.lock``, which no crash leaves behind.

The file itself stays, empty.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.errors import LayoutError
from storage.file_lock import HeldError, file_lock, this_process
from storage.os_errors import reason

LOCK_NAME: Final = ".lock"


@contextlib.contextmanager
def writer_lock(dataset: Path, wait_s: float = 30.0) -> Iterator[None]:
    """Hold the writer's lock of an existing dataset folder.

    Waits up to ``wait_s`` for another writer. Raises LayoutError if it still writes then, or if the
    lock file cannot be opened.
    """
    path = dataset / LOCK_NAME
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(file_lock(path, this_process(), wait_s=wait_s, keep=True))
        except HeldError as error:
            raise LayoutError(
                f"The dataset is being written by {error.holder}, which holds {path}; "
                "wait until it is done and try again."
            ) from None
        except OSError as error:
            raise LayoutError(
                f"The lock file {path} cannot be opened ({reason(error)}); make the dataset folder writable."
            ) from error
        yield
