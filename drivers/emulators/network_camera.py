"""A network camera: the athlete as Motion JPEG over HTTP, one or several views by name.

``http://127.0.0.1:PORT/view1.mjpg`` and so on. Each client gets pictures of its own from the moment it asks; the number
in a picture, in words and as a barcode, counts from the moment the camera was switched on.
"""

from __future__ import annotations

import base64
import contextlib
import math
import re
import socket
import threading
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import numpy as np
from pydantic import Field

from drivers.emulators.emulator import EmulatorConfig
from drivers.emulators.stage import Stage
from drivers.host_clock import HostClock, LslClock
from drivers.links.tcp_link import said as in_words
from drivers.simulated.drawing import Image, View
from drivers.simulated.room import draw_room
from lab.actions import ACTIONS
from lab.cameras import PinholeCamera
from lab.errors import DeviceError, RequestError

_MOST_CLIENTS: Final = 32
_MOST_REQUEST_BYTES: Final = 8192
_REQUEST_S: Final = 5.0
_SEND_S: Final = 3.0
_TARGET_M: Final = (0.0, 0.0, 0.9)
_SIZE: Final = re.compile(r"(?:^|&)size=(\d{1,5})x(\d{1,5})(?:&|$)")
#: Where views stand: those of the simulated lab; others go round the athlete.
_PLACES_M: Final = {
    "view1": (0.9, 4.2, 1.4),
    "view2": (4.2, -0.9, 1.4),
    "view3": (-4.2, 0.9, 1.4),
    "view4": (-0.9, -4.2, 1.4),
    "view5": (0.35, 4.1, 1.45),
}
#: The pose is computed for this many frames at once: a call costs about as much for one as for a hundred.
_BLOCK: Final = 30
#: So many pictures wait in the camera while a client does not take them.
_BACKLOG: Final = 8
_BOUNDARY: Final = "pictures"


class EmulatedNetworkCameraConfig(EmulatorConfig):
    """A 720p camera whose clock is its own, and what may go wrong with it."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 is any that is free.")
    views: tuple[str, ...] = Field(("view1",), min_length=1, max_length=9, description="Views that can be asked for.")
    width: int = Field(1280, ge=320, le=4096, description="Image width in pixels.")
    height: int = Field(720, ge=240, le=4096, description="Image height in pixels.")
    rate_hz: float = Field(30.0, gt=0, le=240, description="Frames per second, by the camera's own clock.")
    quality: int = Field(85, ge=1, le=100, description="JPEG quality.")
    clock_offset_s: float = Field(5000.0, gt=0, le=1e9, description="What the camera's clock says when switched on.")
    drift_ppm: float = Field(9.0, ge=-5000, le=5000, description="How much the camera's clock runs fast, in ppm.")
    delay_s: float = Field(0.04, ge=0, le=10, description="Constant delay from the exposure to the sending.")
    stamps: bool = Field(default=True, description="Say X-Timestamp with each picture.")
    stamps_zero: bool = Field(default=False, description="Fault: the time stamps are all 0.")
    lengths: bool = Field(default=True, description="Say Content-Length with each picture.")
    chunked: bool = Field(default=False, description="Send the body in chunks, as HTTP/1.1 servers do.")
    password: str = Field("", description="Ask for the user 'flex' with this password.")
    padding: int = Field(0, ge=0, le=65536, description="Zeros behind each picture, in bytes.")
    lose_every: int = Field(0, ge=0, description="Fault: every so many frames one is never sent; 0 is none.")
    cut_every: int = Field(0, ge=0, description="Fault: every so many frames one ends half-way; 0 is none.")
    stall_after_s: float = Field(math.inf, gt=0, description="Fault: sends nothing after so many seconds of a client.")
    hang_up_after_s: float = Field(math.inf, gt=0, description="Fault: hangs up after so many seconds of a client.")


class EmulatedNetworkCamera:
    """Serves any number of clients at once, each in a thread of its own."""

    Config: ClassVar[type[EmulatorConfig]] = EmulatedNetworkCameraConfig
    PORT_KEY: ClassVar[str] = "port"

    def __init__(self, config: EmulatorConfig, stage: Stage, clock: HostClock | None = None) -> None:
        if not isinstance(config, EmulatedNetworkCameraConfig):
            raise TypeError(f"EmulatedNetworkCameraConfig is needed, not {type(config).__name__}")
        self._settings = config
        self._stage = stage
        self._clock = clock or LslClock()
        self._server: socket.socket | None = None
        self._port = config.port
        self._stop = threading.Event()
        self._clients: list[threading.Thread] = []
        self._rooms: dict[str, Image] = {}
        self._on_s = math.nan
        #: Pictures that were never sent because a client, or this computer, did not keep up.
        self.skipped = 0

    @classmethod
    def reached_by(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return the config that serves the view of a rig's URL, of the size in it. Raises RequestError if no HTTP."""
        address = urlsplit(str(options["url"]))
        view = address.path.strip("/").removesuffix(".mjpg")
        if address.scheme != "http" or address.port is None or not view:
            raise RequestError(f"no camera is emulated at {address.geturl()}; write http://127.0.0.1:PORT/view1.mjpg")
        said: dict[str, Any] = {"host": address.hostname, "port": address.port, "views": (view,)}
        if options.get("rate_hz") is not None:
            said["rate_hz"] = options["rate_hz"]
        size = _SIZE.search(address.query)  # as many network cameras are told it
        return said | ({"width": int(size[1]), "height": int(size[2])} if size else {})

    def open(self) -> None:
        """Switch the camera on and bind its address. Raises DeviceError."""
        import cv2
        import simplejpeg  # noqa: F401 - loaded here so that the first picture is not late

        self.close()
        cv2.setNumThreads(1)
        for view in self._settings.views:
            self._rooms.setdefault(view, draw_room(self._pinhole(view)))
        try:
            self._server = socket.create_server((self._settings.host, self._port))
        except OSError as error:
            raise DeviceError(
                f"the emulated camera cannot listen on {self._settings.host}:{self._port} ({in_words(error)})"
            ) from None
        self._server.settimeout(0.1)
        self._port = int(self._server.getsockname()[1])  # switched on again, it is the same
        if math.isnan(self._on_s):
            self._on_s = self._clock.now_s()

    def url(self, view: str) -> str:
        """Return where a view's pictures are; valid once open."""
        user = f"flex:{self._settings.password}@" if self._settings.password else ""
        return f"http://{user}{self._settings.host}:{self._port}/{view}.mjpg"

    def rig_options(self) -> dict[str, Any]:
        """Return what a rig says to reach the first view; valid once open."""
        return {"url": self.url(self._settings.views[0]), "rate_hz": self._settings.rate_hz}

    def exposure_s(self, number: int) -> float:
        """Return the host time at which the frame with a number was taken."""
        settings = self._settings
        return self._on_s + number / (settings.rate_hz * (1 + settings.drift_ppm * 1e-6))

    def device_time_s(self, number: int) -> float:
        """Return what the camera's clock said then."""
        return self._settings.clock_offset_s + number / self._settings.rate_hz

    def serve(self, stop: threading.Event) -> None:
        """Serve clients until ``stop`` is set."""
        self._stop.clear()
        while not stop.is_set():
            self._clients = [client for client in self._clients if client.is_alive()]
            try:
                if self._server is None:
                    return
                line, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:
                stop.wait(0.1)  # a client that was gone before it was there
                continue
            if len(self._clients) >= _MOST_CLIENTS:
                line.close()
                continue
            client = threading.Thread(target=self._client, args=(line,), name="camera-client", daemon=True)
            self._clients.append(client)
            client.start()
        self._hang_up()

    def close(self) -> None:
        """Switch off; any number of times."""
        self._hang_up()
        if self._server is not None:
            self._server.close()
        self._server = None

    def _hang_up(self) -> None:
        self._stop.set()
        for client in self._clients:
            client.join()
        self._clients = []

    def _pinhole(self, view: str) -> PinholeCamera:
        settings = self._settings
        turn = 2.0 * math.pi * (settings.views.index(view) / len(settings.views))
        place_m = _PLACES_M.get(view, (4.3 * math.sin(turn), 4.3 * math.cos(turn), 1.4))
        focal_px = 1100.0 * min(settings.width / 1280.0, settings.height / 720.0)
        return PinholeCamera.looking_at(place_m, _TARGET_M, settings.width, settings.height, focal_px)

    def _client(self, line: socket.socket) -> None:
        # whatever a client does concerns this thread alone
        with line, contextlib.suppress(OSError):
            line.settimeout(_SEND_S)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = self._request(line)
            if head is None:
                return
            words = head.split("\r\n", 1)[0].split(" ")
            view = words[1].partition("?")[0].strip("/").removesuffix(".mjpg") if len(words) > 1 else ""
            if self._settings.password and self._authorisation() not in head:
                self._answer(line, "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n', "a password")
            elif view not in self._rooms:
                self._answer(line, "404 Not Found", "", "there are " + ", ".join(self._rooms))
            else:
                self._pictures(line, view)

    def _authorisation(self) -> str:
        return "Basic " + base64.b64encode(f"flex:{self._settings.password}".encode()).decode()

    def _request(self, line: socket.socket) -> str | None:
        """Return the head of a request, None for one that does not come to its end in time and size."""
        end_s, data = self._clock.now_s() + _REQUEST_S, b""
        line.settimeout(0.1)
        while b"\r\n\r\n" not in data:
            if self._stop.is_set() or len(data) > _MOST_REQUEST_BYTES or self._clock.now_s() > end_s:
                return None
            with contextlib.suppress(TimeoutError):
                more = line.recv(4096)
                if not more:
                    return None
                data += more
        line.settimeout(_SEND_S)
        return data.decode("latin-1")

    def _answer(self, line: socket.socket, status: str, header: str, text: str) -> None:
        body = (text + "\n").encode()
        line.sendall(
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{header}Content-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )

    def _pictures(self, line: socket.socket, view: str) -> None:
        settings = self._settings
        transfer = "Transfer-Encoding: chunked\r\n" if settings.chunked else ""
        line.sendall(
            "HTTP/1.1 200 OK\r\nServer: flex-capture emulated camera\r\nCache-Control: no-cache\r\n"
            f"Content-Type: multipart/x-mixed-replace; boundary={_BOUNDARY}\r\n"
            f"{transfer}Connection: close\r\n\r\n".encode()
        )
        drawn = View(self._pinhole(view), view, self._rooms[view], ACTIONS[self._stage.action].implement)
        began_s = self._clock.now_s()
        period_s = self.exposure_s(1) - self.exposure_s(0)
        number = max(0, math.ceil((began_s - self._on_s) / period_s))
        first, poses = number, self._stage.joints_m([])
        while not self._stop.is_set():
            if not self._clock.sleep_until(self.exposure_s(number) + settings.delay_s, 0.1):
                continue
            now_s = self._clock.now_s()
            if now_s - began_s > settings.hang_up_after_s:
                return
            if now_s - began_s <= settings.stall_after_s and not _falls(number, settings.lose_every):
                if not first <= number < first + len(poses):
                    first = number
                    poses = self._stage.joints_m([self.exposure_s(first + i) for i in range(_BLOCK)])
                image = drawn.draw(np.asarray(poses[number - first]), number)
                self._send(line, number, self._encoded(image, number))
            # a client that does not keep up misses pictures, as it does with a camera
            newest = math.floor((self._clock.now_s() - settings.delay_s - self._on_s) / period_s)
            self.skipped += max(0, newest - _BACKLOG - number - 1)
            number = max(number + 1, newest - _BACKLOG)

    def _encoded(self, image: Image, number: int) -> bytes:
        import simplejpeg

        data: bytes = simplejpeg.encode_jpeg(
            image, quality=self._settings.quality, colorspace="BGR", colorsubsampling="420", fastdct=True
        )
        return data[: len(data) // 2] if _falls(number, self._settings.cut_every) else data

    def _send(self, line: socket.socket, number: int, image: bytes) -> None:
        settings = self._settings
        body = image + bytes(settings.padding)
        header = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
        if settings.lengths:
            header += f"Content-Length: {len(body)}\r\n"
        if settings.stamps:
            header += f"X-Timestamp: {0.0 if settings.stamps_zero else self.device_time_s(number):.6f}\r\n"
        data = header.encode() + b"\r\n" + body + b"\r\n"
        line.sendall(b"%x\r\n%s\r\n" % (len(data), data) if settings.chunked else data)


def _falls(number: int, every: int) -> bool:
    return every > 0 and number % every == every - 1
