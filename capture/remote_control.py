"""A TCP port for lines of text, such as LabRecorder's remote-control commands: one thread, hostile bytes expected."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from lab.errors import RequestError
from storage.os_errors import reason

LOOPBACK: Final = "127.0.0.1"
_MOST_CLIENTS: Final = 8
_LONGEST_LINE: Final = 2048
#: A line that was begun must end within this time.
_LINE_S: Final = 10.0
#: Who has said nothing for so long makes room for somebody new; until then an open connection costs nothing.
_SILENT_S: Final = 60.0
#: More lines than this in a second are not a program that records.
_MOST_LINES_PER_S: Final = 50
_POLL_S: Final = 0.2
_BLOCK_BYTES: Final = 4096

#: Windows: the port is nobody else's. Elsewhere: it can be had again at once after the last session.
_OWN_PORT: Final = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)

Answer = Callable[[str, str], str]


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``[HOST:]PORT``; loopback without a host. Raises RequestError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535) or (colon and not host):
        raise RequestError(f"--remote {text} is no port, nor HOST:PORT; LabRecorder's is 22345")
    return host or LOOPBACK, int(port)


@dataclass
class _Client:
    name: str
    heard_s: float
    left: bytes = b""
    begun_s: float | None = None
    lines: list[float] = field(default_factory=list)


class RemoteControl:
    """Listens on a port and answers each line of text through ``answer(line, who)``, within one thread of its own."""

    def __init__(self, host: str, port: int, answer: Answer) -> None:
        """Open the port. Raises RequestError where that cannot be."""
        self._answer = answer
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._listening = socket.socket(family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise RequestError(f"remote control: {host} cannot be used ({reason(error)}); check --remote") from None
        try:
            self._listening.setsockopt(socket.SOL_SOCKET, _OWN_PORT, 1)
            self._listening.bind(address)
            self._listening.listen(_MOST_CLIENTS)
            self._listening.settimeout(0.0)
        except OSError as error:
            self._listening.close()
            raise RequestError(
                f"remote control: port {port} of {host} cannot be opened ({reason(error)}); end the program that has"
                " it, such as LabRecorder, or give another with --remote"
            ) from None
        self.host, self.port = self._listening.getsockname()[:2]
        self._clients: dict[socket.socket, _Client] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="remote control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the port and all connections."""
        self._closing.set()
        self._thread.join()

    @property
    def beyond_this_computer(self) -> bool:
        """Whether others than programs on this computer can reach it."""
        return not (self.host.startswith("127.") or self.host == "::1")

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                for key, _ in self._selector.select(_POLL_S):
                    if key.fileobj is self._listening:
                        self._welcome()
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._clients:
                        self._hear(key.fileobj)
                self._send_away_the_slow()
        finally:
            for client in list(self._clients):
                self._drop(client)
            self._selector.close()
            self._listening.close()

    def _welcome(self) -> None:
        try:
            client, address = self._listening.accept()
        except OSError:  # it has gone already, or this process has no descriptor left
            time.sleep(_POLL_S)
            return
        client.settimeout(0.0)
        if len(self._clients) >= _MOST_CLIENTS:
            longest = min(self._clients, key=lambda known: self._clients[known].heard_s)
            if time.monotonic() - self._clients[longest].heard_s < _SILENT_S:
                self._send(client, "ERROR too many connections; close one")
                client.close()
                return
            self._drop(longest)
        with contextlib.suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._clients[client] = _Client(str(address[0]), time.monotonic())
        self._selector.register(client, selectors.EVENT_READ)

    def _hear(self, client: socket.socket) -> None:
        known = self._clients[client]
        try:
            data = client.recv(_BLOCK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        now_s = known.heard_s = time.monotonic()
        *lines, known.left = (known.left + data).split(b"\n")
        if lines or not known.left:
            known.begun_s = None
        if known.left and known.begun_s is None:
            known.begun_s = now_s
        for line in lines:
            known.lines = [at_s for at_s in known.lines if now_s - at_s < 1.0] + [now_s]
            refusal = _refusal(line, len(known.lines))
            if refusal is not None:
                self._send(client, refusal)
                self._drop(client)
                return
            text = line.decode("utf-8", "replace").strip()
            if text and not self._send(client, self._answer(text, known.name)):
                self._drop(client)
                return
        if len(known.left) > _LONGEST_LINE:
            self._send(client, "ERROR the line is too long")
            self._drop(client)

    def _send(self, client: socket.socket, text: str) -> bool:
        """Send a line; False where it cannot be sent at once: whoever does not read gets no more."""
        data = text.encode() + b"\n"
        try:
            return client.send(data) == len(data)
        except OSError:
            return False

    def _drop(self, client: socket.socket) -> None:
        self._clients.pop(client, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client)
        client.close()

    def _send_away_the_slow(self) -> None:
        now_s = time.monotonic()
        for client, known in list(self._clients.items()):
            if known.begun_s is not None and now_s - known.begun_s > _LINE_S:
                self._send(client, "ERROR the line did not end in time")
                self._drop(client)


def _refusal(line: bytes, lines_in_a_second: int) -> str | None:
    """Return why nothing more is heard from whoever sent this line; None where it may be a command."""
    if len(line) > _LONGEST_LINE:
        return "ERROR the line is too long"
    if lines_in_a_second > _MOST_LINES_PER_S:
        return "ERROR too many commands at once"
    if b" HTTP/" in line:  # a web page that tries what is open on this computer; a command may follow in its body
        return "ERROR this is no web server"
    return None


@contextmanager
def remote_control(address: str, answer: Answer) -> Iterator[RemoteControl]:
    """Listen on ``[HOST:]PORT`` for as long as it lasts. Raises RequestError where that cannot be."""
    control = RemoteControl(*parse_address(address), answer)
    try:
        yield control
    finally:
        control.close()
