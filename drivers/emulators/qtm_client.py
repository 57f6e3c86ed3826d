"""One client of an emulated QTM: its line, what it sends, and what it wants streamed."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Final

MOST_CLIENTS: Final = 10
_MOST_BYTES: Final = 65536
_LONGEST_COMMAND: Final = 4096
#: What a client that does not read may have waiting; after that it is dropped.
_MOST_WAITING: Final = 16 * 2**20


@dataclass(frozen=True)
class Streaming:
    """What a client asked for: every how many frames, to which UDP address if any, and which components."""

    divisor: int
    udp: tuple[str, int] | None
    parts: tuple[str, ...]


class QtmClient:
    """The server's end of a connection. Nothing here waits for the client."""

    def __init__(self, line: socket.socket, address: tuple[str, int], piece_bytes: int) -> None:
        self.line = line
        self.address = address
        self.version = "1.1"
        self.streaming: Streaming | None = None
        self.gone = False
        self._piece_bytes = piece_bytes
        self._came = b""
        self._waiting = bytearray()
        line.settimeout(0)
        with contextlib.suppress(OSError):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def waiting(self) -> bool:
        """Whether bytes wait for the client to read."""
        return bool(self._waiting)

    def send(self, data: bytes) -> None:
        """Send as much as goes now; the rest waits."""
        if self.gone:
            return
        self._waiting += data
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.clear()
            self.gone = True
            return
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as it goes."""
        try:
            while self._waiting:
                sent = self.line.send(self._waiting[: self._piece_bytes or _MOST_BYTES])
                del self._waiting[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True

    def commands(self) -> list[str]:
        """Return the commands that are whole now; a client that sends nonsense is gone."""
        try:
            data = self.line.recv(_MOST_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.gone = True
            return []
        self._came += data
        found = []
        while len(self._came) >= 8:
            size, kind = struct.unpack_from("<II", self._came)
            if not 8 <= size <= _LONGEST_COMMAND:
                self.gone = True
                break
            if len(self._came) < size:
                break
            if kind == 1:
                found.append(self._came[8:size].rstrip(b"\0").decode("utf-8", "replace"))
            self._came = self._came[size:]
        return found

    def stream(self, wanted: str, rate_hz: float) -> None:
        """Begin to stream, or stop. Raises ValueError for what is no such command."""
        words = wanted.lower().split()
        if words == ["stop"]:
            self.streaming = None
            return
        if len(words) < 2:
            raise ValueError(wanted)
        kind, _, number = words.pop(0).partition(":")
        if kind == "allframes":
            divisor = 1
        elif kind == "frequencydivisor":
            divisor = max(1, int(number))
        elif kind == "frequency":
            divisor = max(1, round(rate_hz / max(1, int(number))))
        else:
            raise ValueError(wanted)
        udp = None
        if words[0].startswith("udp:"):
            host, _, port = words.pop(0)[4:].rpartition(":")
            if not 1023 <= int(port) <= 65535:
                raise ValueError(wanted)
            udp = (host or self.address[0], int(port))
        self.streaming = Streaming(divisor, udp, tuple(words))

    def close(self) -> None:
        """Hang up."""
        self.line.close()
