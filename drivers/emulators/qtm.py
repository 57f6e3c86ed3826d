"""An emulated QTM: its RT server on TCP and UDP, and its answer to discovery.

Written from the same documents as drivers.qualisys (see rt_components there) and tried with qtm-rt,
Qualisys' own client.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np

from drivers.emulators import qtm_packets as wire
from drivers.emulators.emulator import EmulatorConfig
from drivers.emulators.qtm_client import MOST_CLIENTS, QtmClient
from drivers.emulators.qtm_scene import AnalogBoard, QtmScene
from drivers.emulators.qtm_settings import PLATE_HZ, QtmEmulatorConfig, sections
from drivers.emulators.stage import Stage
from drivers.host_clock import LslClock
from drivers.links.tcp_link import said
from lab.errors import DeviceError

_LOOK_S: Final = 0.05
_ANALOG_FRAMES: Final = 5
_UDP_BYTES: Final = 60_000


class QtmEmulator:
    """QTM with a measurement of the stage's athlete. What tests do to it happens between two frames."""

    Config: ClassVar[type[EmulatorConfig]] = QtmEmulatorConfig
    PORT_KEY: ClassVar[str] = "base_port"

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        assert isinstance(config, QtmEmulatorConfig)
        self.settings = config
        self._stage = stage
        self._clock = LslClock()
        self._server: socket.socket | None = None
        self._udp: socket.socket | None = None
        self._discovery: socket.socket | None = None
        self._clients: list[QtmClient] = []
        self._orders: deque[Callable[[], None]] = deque()
        self._port = 0
        self.master: QtmClient | None = None
        self.labels: tuple[str, ...] = ()
        self._order: np.ndarray[Any, Any] | None = None
        self.state = 1
        self.measuring = False
        self._silent = False
        self.sent: list[int] = []
        self._reset(measuring=config.measuring)

    # --- what tests do -------------------------------------------------------------------------------------------

    def do(self, what: Callable[[], None]) -> None:
        """Let ``what`` happen in the serving thread, before the next frame."""
        self._orders.append(what)

    def measure(self) -> None:
        """Begin another measurement: frames count anew."""
        self._reset(measuring=True)
        self.say(3)

    def stop_measuring(self) -> None:
        """End the measurement."""
        self.measuring = False
        for client in self._clients:
            if client.streaming is not None:
                self.send_frame(client, [], wire.packet(wire.NO_MORE_DATA))
        self.say(4)

    def relabel(self, labels: tuple[str, ...], event: int | None = 11) -> None:
        """List the markers in another order, or call them otherwise: a name that is not of now takes the place's."""
        names = list(self.labels)
        order = self._order if self._order is not None else np.arange(len(names))
        self._order = order[[names.index(label) if label in names else place for place, label in enumerate(labels)]]
        self.labels = labels
        if event is not None:
            self.say(event)

    def say(self, event: int) -> None:
        """Tell all clients of an event."""
        if event in {1, 2, 3, 4, 6, 7, 8, 9, 10}:
            self.state = event
        for client in self._clients:
            client.send(wire.packet(wire.EVENT, bytes([event])))

    def raw(self, data: bytes) -> None:
        """Send all clients something over TCP."""
        for client in self._clients:
            client.send(data)

    def hang_up(self) -> None:
        """Break all connections off."""
        for client in list(self._clients):
            self._drop(client)

    def fall_silent(self) -> None:
        """Send nothing more to anybody, and answer nothing."""
        self._silent = True

    def _reset(self, *, measuring: bool) -> None:
        settings = self.settings
        self.start_s = self._clock.now_s()
        self.scene = QtmScene(
            self._stage,
            self.start_s,
            settings.rate_hz,
            settings.drift_ppm,
            extra_markers=settings.extra_markers,
            hidden=settings.hidden,
            y_up=settings.y_up,
        )
        self.labels = self.labels or self.scene.labels
        self._board: AnalogBoard | None = None
        if settings.analog_hz:
            self._board = AnalogBoard(self.scene, self._stage, settings.analog_hz, settings.analog_channels)
        self._plate_next = 0
        self._next = 0
        self.measuring = measuring

    # --- serving -------------------------------------------------------------------------------------------------

    @classmethod
    def reached_by(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return the config that serves where a rig looks for QTM."""
        return {"base_port": 22222} | {key: options[key] for key in ("host", "base_port") if key in options}

    def open(self) -> None:
        """Bind the ports. Raises DeviceError."""
        self.close()
        settings = self.settings
        try:
            self._server = socket.create_server((settings.host, settings.base_port + 1 if settings.base_port else 0))
            self._server.settimeout(0)
            self._port = int(self._server.getsockname()[1])
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.settimeout(0)
            if settings.discovery_port:
                self._discovery = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self._discovery.bind((settings.host, settings.discovery_port))
                self._discovery.settimeout(0)
        except OSError as error:
            self.close()
            raise DeviceError(f"the emulated QTM cannot listen on {settings.host} ({said(error)})") from None
        self._silent = False
        self._reset(measuring=settings.measuring)

    def rig_options(self) -> dict[str, Any]:
        """Return host and base port."""
        return {"host": self.settings.host, "base_port": self._port - 1}

    def serve(self, stop: threading.Event) -> None:
        """Serve up to ten clients until ``stop`` is set."""
        while not stop.is_set():
            while self._orders:
                self._orders.popleft()()
            self._frames_due()
            self._wait()

    def close(self) -> None:
        """Let go of all ports; any number of times."""
        self.hang_up()
        for line in (self._server, self._udp, self._discovery):
            if line is not None:
                line.close()
        self._server = self._udp = self._discovery = None

    def _wait(self) -> None:
        assert self._server is not None
        due_s = float(self.scene.host_s(self._next / self.settings.rate_hz)) - self._clock.now_s()
        wait_s = min(max(due_s, 0.0), _LOOK_S) if self.measuring else _LOOK_S
        readers: list[Any] = [self._server, *(client.line for client in self._clients)]
        readers += [self._discovery] if self._discovery is not None else []
        writers = [client.line for client in self._clients if client.waiting]
        if self._silent:
            time.sleep(wait_s)
            return
        ready, writable, _ = select.select(readers, writers, [], wait_s)
        if self._server in ready:
            self._accept()
        if self._discovery is not None and self._discovery in ready:
            self._answer_discovery()
        for client in list(self._clients):
            if client.line in writable:
                client.flush()
            if client.line in ready:
                for command in client.commands():
                    self.obey(client, command)
            if client.gone:
                self._drop(client)

    def _accept(self) -> None:
        assert self._server is not None
        try:
            line, address = self._server.accept()
        except OSError:
            return
        client = QtmClient(line, (str(address[0]), int(address[1])), self.settings.piece_bytes)
        if len(self._clients) >= MOST_CLIENTS:
            client.send(wire.text_packet(wire.ERROR, "Connection refused. Max number of clients reached."))
            client.close()
            return
        self._clients.append(client)
        if self.settings.greets:
            greeting = "QTM RT Interface connected" + ("." if self.settings.period else "")
            client.send(wire.text_packet(wire.COMMAND, greeting))

    def _drop(self, client: QtmClient) -> None:
        client.close()
        if client in self._clients:
            self._clients.remove(client)
        if self.master is client:
            self.master = None

    def _answer_discovery(self) -> None:
        assert self._discovery is not None
        with contextlib.suppress(OSError, struct.error):
            data, sender = self._discovery.recvfrom(2048)
            size, kind = struct.unpack_from("<II", data)
            if (size, kind, len(data)) == (10, 7, 10):
                (port,) = struct.unpack_from(">H", data, 8)
                body = b"EMULATOR, QTM 2026.1 (build 1), 8 cameras\0" + struct.pack(">H", self._port - 1)
                self._discovery.sendto(wire.packet(wire.COMMAND, body), (sender[0], port))

    # --- frames --------------------------------------------------------------------------------------------------

    def _frames_due(self) -> None:
        while self.measuring and self.scene.device_s(self._clock.now_s()) >= self._next / self.settings.rate_hz:
            number = self._next
            self._next += 1
            analog = self._analog_due(number)
            if number in self.settings.lose or self._silent:
                continue
            for client in list(self._clients):
                streaming = client.streaming
                if streaming is not None and number % streaming.divisor == 0:
                    self.send_frame(client, self.components(number, streaming.parts, analog), None)

    def _analog_due(self, number: int) -> dict[str, bytes]:
        """Return the analogue components that go with a frame: they come in larger pieces, and not with each."""
        if number % _ANALOG_FRAMES:
            return {}
        device_s = number / self.settings.rate_hz
        if not any(client.streaming for client in self._clients):  # nothing is kept for those who come later
            self._plate_next = int(device_s * PLATE_HZ) + 1
            if self._board is not None:
                self._board.pass_over(device_s)
            return {}
        parts = {}
        if self._board is not None:
            parts["analog"] = wire.analog([(1, *self._board.until(device_s))])
        first, count = self._plate_next, int(device_s * PLATE_HZ) + 1 - self._plate_next
        self._plate_next += count
        values = self.scene.force(first, count, PLATE_HZ)
        if self.settings.plates:
            parts["force"] = wire.force((plate + 1, first, values) for plate in range(self.settings.plates))
        return parts

    def components(self, number: int, parts: tuple[str, ...], analog: dict[str, bytes]) -> list[bytes]:
        """Return the components of a frame that a client has asked for."""
        found = []
        for part in parts:
            if part in {"3d", "3dres"}:
                values = self.scene.markers(number)
                values = values if self._order is None else values[self._order]
                found.append(wire.points(values, residuals=part == "3dres"))
            elif part.startswith("skeleton") and self.settings.skeleton:
                found.append(wire.skeletons([self.scene.skeleton(number)]))
            elif part in analog:
                found.append(analog[part])
        if self.settings.padding_bytes:
            found.append(wire.component(99, bytes(self.settings.padding_bytes)))
        return found

    def send_frame(self, client: QtmClient, components: list[bytes], instead: bytes | None) -> None:
        """Send a frame the way that the client asked for, or something instead of one."""
        assert client.streaming is not None
        number = self._next - 1
        frame = (self.settings.first_frame + number) % 2**32 if self.settings.numbered else 1
        timestamp_us = round(1e6 * number / self.settings.rate_hz)
        if client.streaming.udp is None:
            client.send(instead or wire.data_packet(timestamp_us, frame, components))
            return
        assert self._udp is not None
        groups = [[one] for one in components] if self.settings.split_udp else [components]
        for group in groups or [[]]:
            data = instead or wire.data_packet(timestamp_us, frame, group)
            with contextlib.suppress(OSError):  # nobody listens any more, or the network is full: UDP loses
                self._udp.sendto(data[:_UDP_BYTES], client.streaming.udp)

    # --- commands ------------------------------------------------------------------------------------------------

    def obey(self, client: QtmClient, command: str) -> None:
        """Answer one command."""
        if self._silent:
            return
        word, _, rest = command.strip().partition(" ")
        answer = {
            "version": self._version,
            "getparameters": self._get_parameters,
            "streamframes": self._stream_frames,
            "getcurrentframe": self._current_frame,
            "takecontrol": self._take_control,
        }.get(word.lower())
        if answer is not None:
            answer(client, rest.strip())
        elif word.lower() == "getstate":
            client.send(wire.packet(wire.EVENT, bytes([self.state])))
        else:
            kind, text = self._plain(client, word.lower())
            client.send(wire.text_packet(kind, text))

    def _plain(self, client: QtmClient, word: str) -> tuple[int, str]:
        if word == "qtmversion":
            return wire.COMMAND, "QTM Version is 2026.1 (build 1)"
        if word == "byteorder":
            return wire.COMMAND, "Byte order is little endian"
        if word == "releasecontrol":
            was, self.master = self.master is client, None if self.master is client else self.master
            return wire.COMMAND, "You are now a regular client" if was else "You are already a regular client"
        if word in {"new", "start", "stop", "close"} and self.master is not client:
            return wire.ERROR, "You must be master to issue this command"
        if word in {"new", "start"}:
            if self.measuring:
                return wire.COMMAND, "Already connected"
            self.do(self.measure)
            return wire.COMMAND, "Creating new connection" if word == "new" else "Starting RT from file"
        if word in {"stop", "close"}:
            self.do(self.stop_measuring)
            return wire.COMMAND, "Stopping measurement" if word == "stop" else "Closing connection"
        return wire.ERROR, "Parse error"

    def _version(self, client: QtmClient, wanted: str) -> None:
        if not wanted:
            client.send(wire.text_packet(wire.COMMAND, f"Version is {client.version}"))
            return
        major, _, minor = wanted.partition(".")
        known = range(self.settings.oldest_version, self.settings.newest_version + 1)
        if major == "1" and minor.isdigit() and len(minor) < 3 and int(minor) in known:
            client.version = wanted
            client.send(wire.text_packet(wire.COMMAND, f"Version set to {wanted}"))
        else:
            client.send(wire.text_packet(wire.ERROR, "Version NOT supported"))

    def _get_parameters(self, client: QtmClient, wanted: str) -> None:
        there = sections(self.settings, self.labels, client.version)
        names = [word.partition(":")[0] for word in wanted.lower().split()]
        names = list(there) if names == ["all"] else names
        if not names or any(name not in there for name in names):
            client.send(wire.text_packet(wire.ERROR, "Parse error"))
        elif not any(there[name] for name in names):
            client.send(wire.text_packet(wire.ERROR, "Parameters not available"))
        else:
            text = wire.parameters(client.version, *(there[name] for name in names))
            client.send(wire.text_packet(wire.XML, text))

    def _stream_frames(self, client: QtmClient, wanted: str) -> None:
        try:
            client.stream(wanted, self.settings.rate_hz)
        except ValueError:
            client.send(wire.text_packet(wire.ERROR, "Parse error"))
            return
        if client.streaming is not None and not self.measuring:
            self.send_frame(client, [], wire.packet(wire.NO_MORE_DATA))

    def _current_frame(self, client: QtmClient, wanted: str) -> None:
        number = self._next - 1
        if not self.measuring or number < 0:
            client.send(wire.packet(wire.NO_MORE_DATA))
            return
        components = self.components(number, tuple(wanted.lower().split()), {})
        frame = (self.settings.first_frame + number) % 2**32
        client.send(wire.data_packet(round(1e6 * number / self.settings.rate_hz), frame, components))

    def _take_control(self, client: QtmClient, password: str) -> None:
        if password != self.settings.password:
            client.send(wire.text_packet(wire.ERROR, "Wrong or missing password"))
        elif self.master not in {None, client}:
            client.send(wire.text_packet(wire.ERROR, "127.0.0.1 (1832) is already master"))
        else:
            text = "You are already master" if self.master is client else "You are now master"
            self.master = client
            client.send(wire.text_packet(wire.COMMAND, text))
