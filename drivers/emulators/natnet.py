"""An emulated Motive: NatNet 2.1 to 4.2 over unicast or multicast, with a clock of its own and faults on request."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections import deque
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from drivers.emulators.emulator import EmulatorConfig
from drivers.emulators.natnet_scene import Scene
from drivers.emulators.stage import Float64, Stage
from drivers.host_clock import LslClock
from drivers.links.tcp_link import said
from drivers.optitrack.frame_codec import FrameFlag
from drivers.optitrack.natnet_codec import Echo, ServerInfo, message
from drivers.optitrack.natnet_encoder import encode_echo, encode_frame, encode_models, encode_server_info
from drivers.optitrack.natnet_session import GROUP
from drivers.optitrack.wire import HEADER, NEWEST, OLDEST, TICKING, Message, Version
from lab.errors import DeviceError
from lab.joints import JOINTS

_NOISY_KEY: Final = 7
#: Clients beyond these are not served; one that has not been heard of for so long is forgotten.
_MOST_CLIENTS: Final = 16
_FORGET_AFTER_S: Final = 10.0
_LONGEST_WAIT_S: Final = 0.05
#: Behind by more than this, frames are left out, as a busy computer does.
_FURTHEST_BEHIND_S: Final = 0.5
_MOST_REMEMBERED: Final = 100_000
_RECEIVED_AFTER_S: Final = 0.6
_U64: Final = struct.Struct("<Q")


class NatNetEmulatorConfig(EmulatorConfig):
    """A Motive that tracks the athlete's joints, a barbell and some more."""

    version: str = Field("4.1", description="NatNet version that it speaks, such as 2.10, 3.1 or 4.1.")
    transport: Literal["unicast", "multicast"] = Field("unicast", description="How frames are sent.")
    host: str = Field("127.0.0.1", description="Address it listens on, and of the network card for multicast.")
    command_port: int = Field(0, ge=0, le=65535, description="UDP port for requests; 0 is any, Motive has 1510.")
    data_port: int = Field(0, ge=0, le=65535, description="UDP port of multicast frames; 0 is any, Motive has 1511.")
    group: str = Field(GROUP, description="Multicast group of the frames.")
    rate_hz: float = Field(120.0, gt=0, le=1000, description="Frames per second by its own clock.")
    wall_markers: int = Field(0, ge=0, le=500, description="Markers on a wall, beside 27 others.")
    up_axis: Literal["y", "z"] = Field("z", description="The axis that points up.")
    unit_mm: float = Field(1000.0, gt=0, description="Its unit of length in millimetres.")
    clock_hz: int = Field(10_000_000, ge=0, description="Ticks per second of its clock; 0 is a clock it does not tell.")
    clock_offset_s: float = Field(86_400.0, ge=0, description="What its clock says at its first frame.")
    drift_ppm: float = Field(14.0, ge=-5000, le=5000, description="How much its clock runs fast, in ppm.")
    latency_s: float = Field(
        0.006, ge=0, le=1, description="From the middle of the exposure to the sending of a frame."
    )
    mid_exposure: bool = Field(default=True, description="Whether it knows when the exposure was.")
    first_frame: int = Field(1000, ge=0, lt=2**32, description="Number of its first frame.")
    occlusion: float = Field(0.0, ge=0, le=1, description="Probability that a joint is hidden in a frame.")
    loss: float = Field(0.0, ge=0, le=0.9, description="Probability that a frame is lost.")
    reorder: float = Field(0.0, ge=0, le=0.9, description="Probability that the next frame overtakes a frame.")
    duplicate: float = Field(0.0, ge=0, le=0.9, description="Probability that a frame comes twice.")
    time_code: bool = Field(default=False, description="Whether a studio's time code comes in, 30 frames per second.")
    rename_after_s: float | None = Field(None, ge=0, description="When its first two joints change names.")
    flag_rename: bool = Field(default=True, description="Whether a frame says so.")
    silent_after_s: float | None = Field(None, ge=0, description="When it stops sending frames.")
    answers_models: bool = Field(default=True, description="Whether it tells what it tracks.")

    @field_validator("version")
    @classmethod
    def _known(cls, version: str) -> str:
        if not OLDEST <= _version(version) <= NEWEST:
            raise ValueError(f"'{version}' is no NatNet version from {OLDEST} to {NEWEST}")
        return version


def _version(text: str) -> Version:
    major, _, minor = text.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise ValueError(f"'{text}' is no version such as 3.1")
    return Version(int(major), int(minor))


def _time_code(since_s: float) -> tuple[int, int]:
    """Return the code of a clock that says 10:00:00:00 at its first frame, and a quarter of its frame."""
    seconds, rest = divmod(since_s, 1.0)
    frames, part = divmod(rest * 30, 1.0)
    hour, minute, second = 10 + int(seconds) // 3600 % 14, int(seconds) // 60 % 60, int(seconds) % 60
    return hour << 24 | minute << 16 | second << 8 | int(frames), int(part * 4)


class NatNetEmulator:
    """An emulated Motive that tracks the athlete's joints, a barbell, and markers on a wall."""

    Config: ClassVar[type[EmulatorConfig]] = NatNetEmulatorConfig
    PORT_KEY: ClassVar[str] = "command_port"

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        if not isinstance(config, NatNetEmulatorConfig):
            raise TypeError(f"NatNetEmulatorConfig is needed, not {type(config).__name__}")
        self._settings = config
        self._stage = stage
        self.version = _version(config.version)
        self._clock = LslClock()
        self._rng = np.random.default_rng([stage.seed, _NOISY_KEY])
        self._rate_hz = config.rate_hz * (1 + 1e-6 * config.drift_ppm)
        self._socket: socket.socket | None = None
        self._data_port = config.data_port
        self._clients: dict[tuple[str, int], float] = {}
        self._kept_back: bytes | None = None
        # numbers of frames, for tests to compare with
        self.lost: deque[int] = deque(maxlen=_MOST_REMEMBERED)
        self.reordered: deque[int] = deque(maxlen=_MOST_REMEMBERED)
        self.repeated: deque[int] = deque(maxlen=_MOST_REMEMBERED)
        self._begin()

    def _begin(self) -> None:
        config = self._settings
        self._zero_s = self._clock.now_s()
        self._index = 0
        self._renamed = False
        self._scene = Scene(
            self._stage,
            self.version,
            config.wall_markers,
            y_up=config.up_axis == "y",
            units_per_m=1000 / config.unit_mm,
        )

    @classmethod
    def reached_by(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return the config that serves where a rig looks for Motive."""
        keys = ("host", "command_port", "transport", "data_port", "group")
        return {key: options[key] for key in keys if options.get(key) not in (None, "auto")}

    def open(self) -> None:
        """Bind the command port. Raises DeviceError."""
        self.close()
        config = self._settings
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket = line
        try:
            line.bind((config.host, config.command_port))
            line.settimeout(0)
            line.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(config.host))
            line.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            if not self._data_port:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind((config.host, 0))
                    self._data_port = int(probe.getsockname()[1])
        except OSError as error:
            self.close()
            raise DeviceError(f"UDP port {config.command_port} for the emulated Motive: {said(error)}") from None
        self._begin()

    @property
    def command_address(self) -> tuple[str, int]:
        """Where it takes requests."""
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def data_port(self) -> int:
        """Where multicast frames go."""
        return self._data_port

    def rig_options(self) -> dict[str, Any]:
        """Return the keys of a rig's device that reach it."""
        host, port = self.command_address
        transport = self._settings.transport
        options: dict[str, Any] = {"host": host, "command_port": port, "transport": transport}
        if transport == "multicast":
            options |= {"interface": host, "data_port": self._data_port, "group": self._settings.group}
        return options

    def exposure_s(self, index: npt.ArrayLike) -> Float64:
        """Return the host times of the middle of the exposures of frames, from 0 on."""
        return self._zero_s + np.asarray(index, dtype=np.float64) / self._rate_hz

    def server_s(self, host_s: npt.ArrayLike) -> Float64:
        """Return what its clock says at host times."""
        since = np.asarray(host_s, dtype=np.float64) - self._zero_s
        return self._settings.clock_offset_s + since * (1 + 1e-6 * self._settings.drift_ppm)

    def serve(self, stop: threading.Event) -> None:
        """Answer and send until ``stop`` is set."""
        while not stop.is_set():
            due_s = float(self.exposure_s(self._index)) + self._settings.latency_s
            wait_s = due_s - self._clock.now_s()
            if wait_s <= 0:
                self._send_frame(due_s)
            self._listen(min(max(0.0, wait_s), _LONGEST_WAIT_S))

    def close(self) -> None:
        """Let go of the port; any number of times."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._clients.clear()
        self._kept_back = None

    def _listen(self, wait_s: float) -> None:
        assert self._socket is not None
        if not select.select([self._socket], [], [], wait_s)[0]:
            return
        try:
            data, client = self._socket.recvfrom(65535)
        except OSError:  # what was sent to a client that is no more
            return
        for reply in self._replies(data, client):
            self._send(reply, client)

    def _replies(self, data: bytes, client: tuple[str, int]) -> list[bytes]:
        if len(data) < HEADER.size:
            return []
        kind, _ = HEADER.unpack_from(data)
        payload = data[HEADER.size :]
        known = client in self._clients
        if kind in (Message.CONNECT, Message.DISCOVERY):
            if kind == Message.CONNECT and (known or len(self._clients) < _MOST_CLIENTS):
                self._clients[client] = self._clock.now_s()
            return [encode_server_info(self._info())]
        if known:
            self._clients[client] = self._clock.now_s()
        if kind == Message.DISCONNECT:
            self._clients.pop(client, None)
        elif kind == Message.REQUEST_MODELS:
            return [encode_models(self._scene.models(), self.version)] if self._settings.answers_models else []
        elif kind == Message.ECHO_REQUEST and self.version >= TICKING:
            if len(payload) >= _U64.size:
                (token,) = _U64.unpack_from(payload)
                return [encode_echo(Echo(token, self._ticks(self._clock.now_s())))]
        elif kind == Message.REQUEST:
            return [self._answer(payload)]
        elif kind != Message.KEEP_ALIVE:
            return [message(Message.UNRECOGNIZED)]
        return []

    def _answer(self, payload: bytes) -> bytes:
        question = payload.split(b"\0", 1)[0]
        answers = {
            b"FrameRate": struct.pack("<f", self._settings.rate_hz),
            b"UnitsToMillimeters": struct.pack("<f", self._settings.unit_mm),
            b"UpAxis": struct.pack("<i", "xyz".index(self._settings.up_axis)),
            b"AnalogSamplesPerMocapFrame": struct.pack("<i", 0),
            b"CurrentMode": struct.pack("<i", 0),
        }
        answer = answers.get(question)
        return message(Message.UNRECOGNIZED) if answer is None else message(Message.RESPONSE, answer)

    def _info(self) -> ServerInfo:
        return ServerInfo(
            "Motive",
            f"{self.version.major}.{self.version.minor}.0.1",
            self.version,
            self._settings.clock_hz,
            self._data_port,
            self._settings.transport == "multicast",
            self._settings.group,
        )

    def _ticks(self, host_s: float) -> int:
        return int(float(self.server_s(host_s)) * self._settings.clock_hz)

    def _send_frame(self, due_s: float) -> None:
        settings, now_s = self._settings, self._clock.now_s()
        index = self._index
        self._index += 1
        number = (settings.first_frame + index) % 2**32
        since_s = now_s - self._zero_s
        if settings.silent_after_s is not None and since_s >= settings.silent_after_s:
            return
        chances = self._rng.random(3)
        occluded = self._rng.random(len(JOINTS)) < settings.occlusion
        if now_s - due_s > _FURTHEST_BEHIND_S or chances[0] < settings.loss:
            self.lost.append(number)
            return
        flags = 0
        if settings.rename_after_s is not None and since_s >= settings.rename_after_s and not self._renamed:
            names = self._scene.joint_names
            names[0], names[1] = names[1], names[0]
            self._renamed = True
            flags = FrameFlag.MODELS_CHANGED if settings.flag_rename else 0
        exposure_s = float(self.exposure_s(index))
        frame = replace(
            self._scene.frame(number, index, self.exposure_s, occluded),
            time_s=index / settings.rate_hz,
            time_code=_time_code(index / settings.rate_hz) if settings.time_code else (0, 0),
            mid_exposure_ticks=self._ticks(exposure_s) if settings.mid_exposure else 0,
            received_ticks=self._ticks(exposure_s + _RECEIVED_AFTER_S * settings.latency_s),
            sent_ticks=self._ticks(now_s),
            flags=int(flags),
        )
        data = encode_frame(frame, self.version, (1_700_000_000, 2**31))
        if self._kept_back is None and chances[1] < settings.reorder:
            self._kept_back = data
            self.reordered.append(number)
            return
        self._to_clients(data)
        if self._kept_back is not None:
            self._to_clients(self._kept_back)
            self._kept_back = None
        if chances[2] < settings.duplicate:
            self.repeated.append(number)
            self._to_clients(data)

    def _to_clients(self, data: bytes) -> None:
        if self._settings.transport == "multicast":
            self._send(data, (self._settings.group, self._data_port))
            return
        horizon_s = self._clock.now_s() - _FORGET_AFTER_S
        for client, heard_s in list(self._clients.items()):
            if heard_s < horizon_s:
                del self._clients[client]
            else:
                self._send(data, client)

    def _send(self, data: bytes, client: tuple[str, int]) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):  # a client that is gone, or one that does not listen
            self._socket.sendto(data, client)
