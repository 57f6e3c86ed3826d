"""Which USB camera is which: by its serial number or the port it is plugged into, never by the order of start-up.

Reads what Linux tells of its video devices below /sys and /dev/v4l.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import DeviceError

_NOBODY: Final = "plug the camera in, and see `flex-capture devices`"


@dataclass(frozen=True)
class UsbCamera:
    """A video device node that gives pictures.

    ``serial`` is "" for a camera without one, ``port`` for one that is not on USB.
    """

    path: str
    name: str
    serial: str
    port: str
    manufacturer: str = ""
    links: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The camera in words, and how a rig may name it."""
        how = [f"serial:{self.serial}"] if self.serial else []
        how += [f"port:{self.port}"] if self.port else []
        return f"{self.name} ({', '.join([*how, self.path])})"


def list_cameras(root: Path = Path("/")) -> list[UsbCamera]:
    """Return all video devices with index 0 (others carry a camera's metadata), by their paths."""
    below = root / "sys/class/video4linux"
    links = _links(root)
    found = []
    for node in sorted(below.glob("video*"), key=lambda path: (len(path.name), path.name)):
        if _text(node / "index") not in {"0", ""}:
            continue
        device = _usb_device(node)
        path = str(root / "dev" / node.name)
        found.append(
            UsbCamera(
                path=path,
                name=_text(node / "name").partition(":")[0] or node.name,
                serial=_text(device / "serial") if device else "",
                port=device.name if device else "",
                manufacturer=_text(device / "manufacturer") if device else "",
                links=tuple(links.get(node.name, ())),
            )
        )
    return found


def find_camera(wanted: str, root: Path = Path("/")) -> UsbCamera:
    """Return the camera that ``wanted`` names: ``serial:…``, ``port:…`` or a path (links are followed).

    Raises DeviceError, with what is there, where none or more than one is meant.
    """
    cameras = list_cameras(root)
    kind, colon, text = wanted.partition(":")
    if colon and kind == "serial":
        matching = [camera for camera in cameras if camera.serial == text]
    elif colon and kind == "port":
        matching = [camera for camera in cameras if text and (camera.port == text or _named(camera, text))]
    else:
        name = os.path.realpath(wanted)
        matching = [camera for camera in cameras if camera.path == name or wanted in camera.links]
        if not matching and Path(wanted).exists() and not Path(wanted).is_dir():
            return UsbCamera(name, Path(name).name, "", "")
    if len(matching) == 1:
        return matching[0]
    there = "; ".join(camera.said for camera in cameras)
    if not matching:
        others = f"; there is {there}" if there else ", and no other"
        raise DeviceError(f"there is no camera '{wanted}'{others}; {_NOBODY}")
    raise DeviceError(
        f"{len(matching)} cameras are '{wanted}': {'; '.join(camera.said for camera in matching)}; name one by its port"
    )


def _named(camera: UsbCamera, text: str) -> bool:
    """Whether ``text`` is the camera's name below /dev/v4l/by-path, with or without its end."""
    names = [Path(link).name for link in camera.links if "by-path" in link]
    return any(text in {name, name.removesuffix("-video-index0")} for name in names)


def _usb_device(node: Path) -> Path | None:
    """Return the USB device in /sys that a video device belongs to: the parent of its interface."""
    try:
        at = (node / "device").resolve(strict=True)
    except OSError:
        return None
    for folder in (at, *at.parents):
        if (folder / "idVendor").is_file():
            return folder
    return None


def _links(root: Path) -> dict[str, list[str]]:
    links: dict[str, list[str]] = {}
    for folder in ("by-id", "by-path"):
        for link in sorted((root / "dev/v4l" / folder).glob("*")):
            links.setdefault(Path(os.path.realpath(link)).name, []).append(str(link))
    return links


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:256].decode("utf-8", "replace").strip()
    except OSError:
        return ""
