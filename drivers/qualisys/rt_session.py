"""A connection to QTM's RT server: greeting, version, questions and answers."""

from __future__ import annotations

import re
import struct
import time
from collections import deque
from typing import Final

from drivers.host_clock import HostClock
from drivers.links.tcp_link import TcpLink
from drivers.qualisys.rt_codec import COMMAND, ERROR, Packet, Reply, RtCodec
from lab.errors import DeviceError

_GREETING: Final = "QTM RT Interface connected"
#: Versions of the protocol that are asked for, the newest first: all have the packets that are read here.
VERSIONS: Final = tuple(f"1.{minor}" for minor in range(28, 19, -1))
_REPLY_S: Final = 5.0
_AGREEMENT_S: Final = 8.0
#: What comes beside an answer is kept for the reader, the newest of it.
_KEPT: Final = 256


class RtSession:
    """Packets to and from QTM at ``host``:``port``, the little-endian port. ``what`` is what sentences call it.

    ``version`` of the protocol and ``peer``, QTM's resolved address, are known once open.
    """

    def __init__(self, host: str, port: int, clock: HostClock) -> None:
        self.what = f"QTM at {host}:{port}"
        self._link = TcpLink(host, port, "QTM", clock)
        self._codec = RtCodec()
        self._beside: deque[tuple[Packet, float]] = deque(maxlen=_KEPT)
        self.version = ""
        self.peer = ""

    def open(self) -> None:
        """Connect, wait for the greeting and agree on a version. Raises DeviceError."""
        self._codec = RtCodec()
        self._beside.clear()
        self._link.open()
        try:
            self.peer = self._link.peer_address[0]
            greeting = self._reply("greet")
            if greeting.kind == ERROR:
                raise DeviceError(f"{self.what} refuses the connection ({greeting.text}); close other clients of it")
            if not greeting.text.startswith(_GREETING):
                raise DeviceError(
                    f"{self.what} greets with '{greeting.text[:60]}': is it QTM, and the port its base port + 1?"
                )
            self.version = self._agree()
        except DeviceError:
            self.close()
            raise

    def _agree(self) -> str:
        end_s = time.monotonic() + _AGREEMENT_S
        for version in VERSIONS:
            if time.monotonic() > end_s:
                raise DeviceError(f"{self.what} takes too long to agree on a version; is it QTM, and the port right?")
            answer = self.ask(f"Version {version}")
            if answer.kind == COMMAND and re.fullmatch(rf"Version set to {re.escape(version)}\.?", answer.text.strip()):
                return version
        raise DeviceError(
            f"{self.what} knows no version {VERSIONS[-1]} to {VERSIONS[0]} of its real-time protocol"
            f" ({answer.text[:60]}); update QTM"
        )

    def send(self, command: str) -> None:
        """Send a command. Raises DeviceError."""
        body = command.encode("utf-8") + b"\0"
        self._link.send(struct.pack("<II", len(body) + 8, COMMAND) + body)

    def ask(self, command: str) -> Reply:
        """Send a command and return what answers it. Raises DeviceError where nothing does in 5 s."""
        self.send(command)
        return self._reply(f"answer '{command.partition(' ')[0]}'")

    def _reply(self, done: str) -> Reply:
        end_s = time.monotonic() + _REPLY_S
        answer: Reply | None = None
        while time.monotonic() < end_s:
            for packet, arrival_s in self._received(0.2):
                if answer is None and isinstance(packet, Reply):
                    answer = packet
                else:
                    self._beside.append((packet, arrival_s))
            if answer is not None:
                return answer
        raise DeviceError(f"{self.what} does not {done} within {_REPLY_S:.0f} s; is it QTM, and the port right?")

    def receive(self, wait_s: float) -> list[tuple[Packet, float]]:
        """Return what has come, with its arrival in host time; nothing after ``wait_s`` without a byte.

        Raises DeviceError where the connection is closed or broken.
        """
        if self._beside:
            kept = list(self._beside)
            self._beside.clear()
            return kept
        return self._received(wait_s)

    def _received(self, wait_s: float) -> list[tuple[Packet, float]]:
        came = self._link.receive(wait_s)
        if came is None:
            return []
        return [(packet, came[1]) for packet in self._codec.feed(came[0])]

    @property
    def damaged(self) -> int:
        """How often something came that was no packet."""
        return self._codec.damaged

    @property
    def skipped_bytes(self) -> int:
        """How many bytes belonged to no packet."""
        return self._codec.skipped_bytes

    def close(self) -> None:
        """Disconnect; any number of times."""
        self._link.close()
