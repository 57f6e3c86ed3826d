"""A Delsys Trigno base behind its SDK server: commands, EMG and AUX rows, and what goes wrong with them.

As there, the legacy ports repeat what sensors of four channels or fewer send; where their rate is another one, the
nearest sample is taken instead of a resampled one.
"""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np

from drivers.emulators.emulator import EmulatorConfig
from drivers.emulators.stage import Stage
from drivers.emulators.trigno_commands import GREETING, BaseState, TrignoEmulatorConfig
from drivers.emulators.trigno_signals import Float32, TrignoSignals
from drivers.host_clock import LslClock
from drivers.links.tcp_link import said
from lab.errors import DeviceError

_COMMAND: Final = "command"
_DATA: Final = ("emg", "aux")
_LEGACY: Final = ("legacy_emg", "legacy_aux")
_END: Final = b"\r\n\r\n"
_TICK_S: Final = 0.005
#: Between the pieces of data that are cut up.
_SEGMENT_TICK_S: Final = 0.0002
#: A client that takes nothing is dropped when so much waits for it, and one whose command does not end.
_MOST_WAITING: Final = 8 * 2**20
_LONGEST_COMMAND: Final = 4096
_MOST_CLIENTS: Final = 64
_MOST_FRAMES: Final = 100


@dataclass
class _Client:
    """A connection to one of the ports: what it said that is no whole command yet, and what waits to be sent."""

    line: socket.socket
    role: str
    heard: bytearray = field(default_factory=bytearray)
    waiting: bytearray = field(default_factory=bytearray)
    leaving: bool = False


class TrignoEmulator:
    """Serves the command and data ports in one thread. ``rows`` are the last ones by port, if the config keeps any."""

    Config: ClassVar[type[EmulatorConfig]] = TrignoEmulatorConfig
    PORT_KEY: ClassVar[str] = "command_port"

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        if not isinstance(config, TrignoEmulatorConfig):
            raise TypeError(f"TrignoEmulatorConfig is needed, not {type(config).__name__}")
        self.config = config
        self.state = BaseState(config)
        self._stage = stage
        self._clock = LslClock()
        self._servers: dict[str, socket.socket] = {}
        self._ports: dict[str, int] = {}
        self._clients: list[_Client] = []
        self._selector: selectors.BaseSelector | None = None
        self._signals: TrignoSignals | None = None
        self._dropped_all = False
        self._random = random.Random(stage.seed)  # noqa: S311 - no secret
        self.rows: dict[str, deque[Float32]] = {}
        self.commands: deque[str] = deque(maxlen=1000)

    @classmethod
    def reached_by(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return the config that serves where a rig looks for the Trigno Control Utility."""
        ports = [f"{role}_port" for role in (_COMMAND, *_DATA, *_LEGACY)]
        return {key: options[key] for key in ("host", *ports) if key in options}

    def open(self) -> None:
        """Listen on all ports. Raises DeviceError."""
        import scipy.signal  # noqa: F401 - takes long enough to make the first samples late

        self.close()
        config = self.config
        wanted = {_COMMAND: config.command_port, "legacy_emg": config.legacy_emg_port}
        wanted |= {"legacy_aux": config.legacy_aux_port, "emg": config.emg_port, "aux": config.aux_port}
        self._selector = selectors.DefaultSelector()
        try:
            for role, port in wanted.items():
                server = socket.socket()
                self._servers[role] = server
                if os.name == "posix":
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind((config.host, self._ports.get(role, port)))  # started again, it is the same
                self._ports[role] = int(server.getsockname()[1])
                if config.old and role in _DATA:
                    continue  # nobody listens there
                if config.mss is not None and role != _COMMAND and hasattr(socket, "TCP_MAXSEG"):
                    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, config.mss)
                server.listen()
                server.settimeout(0)
                self._selector.register(server, selectors.EVENT_READ, role)
        except OSError as error:
            self.close()
            raise DeviceError(f"the emulated Trigno server cannot listen ({said(error)}); is a port in use?") from None
        self.state = BaseState(config)
        self._dropped_all = False
        if config.streaming:
            self._begin()

    def rig_options(self) -> dict[str, Any]:
        """Return the keys of a rig's device that reach it."""
        names = {f"{role}_port": port for role, port in self._ports.items()}
        return {"host": self.config.host, **names}

    def serve(self, stop: threading.Event) -> None:
        """Serve any number of clients until ``stop`` is set."""
        assert self._selector is not None
        while not stop.is_set():
            busy = self.config.segment_bytes is not None and any(client.waiting for client in self._clients)
            if busy:
                time.sleep(_SEGMENT_TICK_S)  # a selector waits a millisecond at least
            for key, _ in self._selector.select(0 if busy else _TICK_S):
                if isinstance(key.data, _Client):
                    self._hear(key.data)
                else:
                    self._accept(self._servers[key.data], key.data)
            self._measure()
            for client in list(self._clients):
                self._send(client)

    def close(self) -> None:
        """Drop all clients and let go of the ports; any number of times."""
        for client in list(self._clients):
            self._drop(client)
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        if self._selector is not None:
            self._selector.close()
        self._selector, self._signals = None, None

    def _accept(self, server: socket.socket, role: str) -> None:
        assert self._selector is not None
        try:
            line, _ = server.accept()
        except OSError:
            return
        if len(self._clients) >= _MOST_CLIENTS:
            line.close()
            return
        line.settimeout(0)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = _Client(line, role)
        self._clients.append(client)
        self._selector.register(line, selectors.EVENT_READ, client)
        if role == _COMMAND:
            client.waiting += GREETING.encode() + _END

    def _hear(self, client: _Client) -> None:
        try:
            data = client.line.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)  # and the base goes on sending, as the real one may
            return
        if client.role != _COMMAND:
            return
        client.heard += data
        while (end := client.heard.find(_END)) >= 0:
            packet = bytes(client.heard[:end])
            del client.heard[: end + len(_END)]
            for command in packet.decode("latin-1").split("\r\n"):
                self._obey(client, command)
        if len(client.heard) > _LONGEST_COMMAND:
            self._drop(client)

    def _obey(self, client: _Client, command: str) -> None:
        self.commands.append(command[:100])
        was_streaming = self.state.streaming
        reply = self.state.reply(command)
        if self.state.streaming and not was_streaming:
            self._begin()
        elif reply == "BYE":
            self.state.streaming = False
            client.leaving = True
        if not self.state.streaming:
            self._signals = None
        client.waiting += reply.encode() + _END

    def _begin(self) -> None:
        first_s = self._clock.now_s() + self.config.first_data_s
        self._signals = TrignoSignals(self.state, self._stage, first_s)
        self.rows = {role: deque() for role in (*_DATA, *_LEGACY)}

    def _measure(self) -> None:
        """Make the frames that are over by now and give them to who listens."""
        signals, config = self._signals, self.config
        if signals is None:
            return
        since_s = self._clock.now_s() - signals.first_s
        if config.disconnect_after_s is not None and since_s > config.disconnect_after_s and not self._dropped_all:
            self._dropped_all = True
            self.state.streaming, self._signals = False, None
            for client in list(self._clients):
                self._drop(client)
            return
        frames = min(signals.due(self._clock.now_s()), _MOST_FRAMES)
        if frames == 0 or (config.stall_after_s is not None and since_s > config.stall_after_s):
            return
        for role, rows in signals.make(frames).items():
            if config.kept_rows:
                kept = self.rows[role]
                kept.extend(rows)
                while len(kept) > config.kept_rows:
                    kept.popleft()
            data = rows.astype(">f4" if self.state.big_endian else "<f4").tobytes()
            for client in self._clients:
                if client.role == role:
                    client.waiting += data

    def _send(self, client: _Client) -> None:
        """Send what the client takes now, all or one piece of it."""
        if client.waiting:
            size = len(client.waiting)
            if self.config.segment_bytes is not None and client.role != _COMMAND:
                size = min(size, self._random.randint(*self.config.segment_bytes))
            try:
                sent = client.line.send(memoryview(client.waiting)[:size].tobytes())
                del client.waiting[:sent]
            except BlockingIOError:
                pass
            except OSError:
                self._drop(client)
        if len(client.waiting) > _MOST_WAITING or (client.leaving and not client.waiting):
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        if client not in self._clients:
            return
        self._clients.remove(client)
        if self._selector is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(client.line)
        client.line.close()

    def sent(self, role: str) -> Float32:
        """Return the rows of a port that are kept, (n, columns) in the port's units; not while it is served."""
        return np.array(self.rows.get(role, ()), dtype=np.float32)
