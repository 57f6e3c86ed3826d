"""What all replays share about their file: its path, its identity, its units in XDF's words."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from drivers.driver import DriverConfig, filled_in
from lab.errors import DeviceError

#: Unit abbreviations of files -> the words of XDF's metadata conventions.
_XDF_UNITS: Final = {
    "m": "meters",
    "cm": "centimeters",
    "mm": "millimeters",
    "V": "volts",
    "mV": "millivolts",
    "uV": "microvolts",
    "\N{MICRO SIGN}V": "microvolts",
    "\N{GREEK SMALL LETTER MU}V": "microvolts",
    "deg": "degrees",
}


class ReplayConfig(DriverConfig):
    """Options that all replays of sampled signals share."""

    path_fields: ClassVar[tuple[str, ...]] = ("file",)

    file: str = Field(
        description="Path of the file, relative to the rig file; $NAME stands for the environment variable NAME."
    )
    start_s: float = Field(0.0, ge=0, description="Where in the file to begin, in seconds after its first sample.")
    loop: bool = Field(default=False, description="Begin again at the end instead of ending.")


def find_file(text: str) -> Path:
    """Return the path that ``text`` means, environment variables filled in where no rig has done so before.

    Raises DeviceError where a variable is not set or there is no such file.
    """
    path = Path(text)
    if not path.is_file():
        path = Path(filled_in(text))
    if path.is_file():
        return path
    if path.is_dir():
        raise DeviceError(f"{path} is a folder; name a file in it")
    raise DeviceError(f"{path} does not exist; correct 'file' in the rig")


def file_details(path: Path) -> dict[str, str]:
    """Return the file's name and its SHA-256, for the stream's description."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"file": path.name, "sha256": digest.hexdigest()}


def xdf_unit(unit: str) -> str:
    """Return XDF's word for an abbreviated unit, or ``unit`` itself where it has none."""
    return _XDF_UNITS.get(unit.strip(), unit.strip())
