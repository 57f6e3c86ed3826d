"""The error tree. An operator sees the sentences; the class decides the exit code."""

from __future__ import annotations


class FlexCaptureError(Exception):
    """Something an operator can act on.

    Each problem is one sentence: what failed, which device or file, what to do next. Several
    problems found together are reported together.
    """

    exit_code = 3

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: tuple[str, ...] = problems

    def __str__(self) -> str:
        """Return one problem a line."""
        return "\n".join(self.problems)


class RequestError(FlexCaptureError):
    """What was asked for cannot be: unknown action, impossible subject name, unwritable folder.

    Nothing has been touched.
    """

    exit_code = 2


class RigError(RequestError):
    """A rig file is missing, malformed or contradicts itself. Nothing has been touched."""


class FileFormatError(RequestError):
    """A file that was given as input is not what its name says, or is damaged beyond use."""


class DeviceError(FlexCaptureError):
    """A device is absent, refused its settings, fell silent or broke its protocol."""


class TakeError(FlexCaptureError):
    """A raw take cannot be written, read or finished. What could be kept is kept."""


class LayoutError(FlexCaptureError):
    """A dataset cannot be written or read as a FLEX layout."""


class BackupError(FlexCaptureError):
    """The disk of a backup is full, gone or failing. What was copied whole before is kept; the source is untouched."""
