"""What ``doctor`` looks at: whether the installed parts are ours, whole, and new enough."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOMS: Final = ("lab", "storage", "drivers", "sync", "calibration", "assessment", "capture")
_PYLSL_ADVICE: Final = (
    "install it with `pip install pylsl` on x86-64 with glibc 2.35 or newer or on Windows, or install liblsl and name"
    " it in PYLSL_LIB"
)


@dataclass(frozen=True)
class Check:
    """One thing looked at, what was found and, where that is not good, what to do."""

    what: str
    ok: bool
    found: str
    advice: str = ""


def health_report() -> list[Check]:
    """Run all checks; none raises."""
    return [
        _python(),
        *_rooms(),
        lsl_check(),
        video_check(),
        *(_package(name) for name in ("cv2", "simplejpeg", "h5py", "pyarrow", "pandas", "scipy", "c3d", "serial")),
        _drivers(),
        _disk(),
    ]


def _python() -> Check:
    found = sys.version.split()[0]
    return Check("Python", sys.version_info >= (3, 10), found, "install Python 3.10 or newer")


def rooms_folder() -> Path:
    """Return the folder that all rooms must lie in: the one this file's room lies in."""
    return Path(__file__).resolve().parent.parent


def _rooms() -> list[Check]:
    """Check that each room that Python finds is ours: their names are short, and others use them as well."""
    checks = []
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        origin = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        expected = rooms_folder() / room / "__init__.py"
        if origin == expected:
            checks.append(Check(f"room {room}", ok=True, found=str(origin.parent)))
        else:
            found = "not found" if origin is None else f"shadowed by {origin}"
            advice = (
                f"expected {expected}; install flex-capture into a venv of its own and do not start it from a folder"
                f" that has a '{room}' of its own on PYTHONPATH"
            )
            checks.append(Check(f"room {room}", ok=False, found=found, advice=advice))
    return checks


def lsl_check() -> Check:
    """Look whether liblsl is there and finds streams."""
    try:
        import pylsl

        version = int(pylsl.library_version())
    except (ImportError, RuntimeError, OSError) as error:
        return Check("liblsl", ok=False, found=f"cannot be loaded ({error})".replace("\n", " "), advice=_PYLSL_ADVICE)
    found = f"{version // 100}.{version % 100}"
    return Check("liblsl", version >= 117, found, f"liblsl 1.17 or newer finds local streams; {_PYLSL_ADVICE}")


def video_check() -> Check:
    """Look whether videos can be written so that a crash does not cost them."""
    try:
        import av
    except ImportError as error:
        return Check("video (PyAV)", ok=False, found=str(error), advice="install it with `pip install av`")
    libavformat = av.library_versions.get("libavformat", (0, 0, 0))
    found = f"{av.__version__}, libavformat {'.'.join(map(str, libavformat))}"
    # hybrid_fragmented, the crash-safe MOV, came with FFmpeg 7.1 (libavformat 61.7)
    return Check("video (PyAV)", libavformat >= (61, 7, 0), found, "install PyAV 16.0.1 or newer")


def _package(name: str) -> Check:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        return Check(name, ok=False, found=str(error), advice="install flex-capture again into a fresh venv")
    return Check(name, ok=True, found=str(getattr(module, "__version__", "present")))


def _drivers() -> Check:
    from drivers.registry import driver_names, find_driver
    from lab.errors import RigError

    broken = []
    for name in driver_names():
        try:
            find_driver(name)
        except RigError as error:
            broken.append(str(error))
    return Check(
        "drivers", not broken, ", ".join(driver_names()) if not broken else "; ".join(broken), "see the sentences"
    )


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    return Check(
        "disk here", free > 5e9, f"{free / 1e9:.1f} GB free", "a take of five cameras needs a few GB; free some"
    )
