"""The command port: one question, one answer."""

from __future__ import annotations

import time
from typing import Final

from drivers.delsys.trigno_codec import CANNOT, END, GREETING, INVALID, STOPPED, ReplyReader
from drivers.host_clock import HostClock
from drivers.links.tcp_link import TcpLink
from lab.errors import DeviceError

#: How long the server may take to answer, and to start or stop the hardware, about which it answers afterwards.
_REPLY_S: Final = 3.0
SLOW_REPLY_S: Final = 8.0
#: A line that nothing follows for so long is a whole reply of a server that ends replies with one line end.
_QUIET_S: Final = 0.5
#: A server that talks without being asked is listened to for so many pieces.
_MOST_UNASKED: Final = 16
#: All questions together; a rig waits 20 s for its devices.
_QUESTIONS_S: Final = 15.0


class CommandPort:
    """The connection on which the base is asked and told. A reply that fails to come ends it: it could be the next one.

    ``stopped`` is True once the server has said that its stop trigger came.
    """

    def __init__(self, host: str, port: int, clock: HostClock) -> None:
        self._link = TcpLink(host, port, "the Trigno server", clock)
        self._where = f"the Trigno server at {host}:{port}"
        self._replies = ReplyReader()
        self._line_is_reply = False
        self._no_questions_s = 0.0
        self.greeting = ""
        self.stopped = False

    def open(self, wait_s: float | None = None) -> None:
        """Connect and read the greeting, within ``wait_s`` seconds each.

        Raises DeviceError where none comes, or not that of a Trigno server.
        """
        self._replies, self._line_is_reply, self.stopped = ReplyReader(), False, False
        self._no_questions_s = time.monotonic() + _QUESTIONS_S
        wait_s = _REPLY_S if wait_s is None else wait_s
        self._link.open(wait_s)
        greeting = self._reply("its greeting", wait_s)
        if not greeting.lower().startswith(GREETING.lower()):
            raise DeviceError(
                f"what answers at {self._where.rpartition(' ')[2]} is no Trigno server, it says '{greeting[:60]}'; "
                "check host and command_port"
            )
        self.greeting = greeting

    def ask(self, command: str, wait_s: float | None = None) -> str:
        """Send a command and return the reply, which may be a refusal. Raises DeviceError where none comes."""
        self._hear_unasked()
        self._link.send(command.encode("ascii") + END)
        return self._reply(f"'{command}'", _REPLY_S if wait_s is None else wait_s)

    def asked(self, command: str) -> str | None:
        """Return the reply to a question, None where the server does not know it or cannot tell now."""
        if time.monotonic() > self._no_questions_s:
            raise DeviceError(f"{self._where} answers too slowly; restart the Trigno Control Utility")
        reply = self.ask(command)
        return None if reply.upper() in {INVALID, CANNOT} else reply

    def listen(self) -> None:
        """Hear what the server says unasked; never waits. Raises DeviceError where the connection is closed."""
        self._hear_unasked()

    def fileno(self) -> int:
        """Return what a selector waits on."""
        return self._link.fileno()

    def close(self) -> None:
        """Disconnect; any number of times."""
        self._link.close()

    def _hear_unasked(self) -> None:
        for _ in range(_MOST_UNASKED):
            piece = self._link.receive(0.0)
            if piece is None:
                break
            self._take(piece[0], "nothing that was asked")
            while (said := self._replies.line()) is not None:
                self.stopped |= said.upper() == STOPPED

    def _take(self, data: bytes, to: str) -> None:
        self._replies.feed(data)
        if self._replies.too_long:
            raise DeviceError(f"{self._where} answers {to} with a text that does not end; is it a Trigno server?")

    def _reply(self, to: str, wait_s: float) -> str:
        deadline_s = time.monotonic() + wait_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            said = self._replies.line() if self._line_is_reply else self._replies.text()
            if said is None:
                piece = self._link.receive(min(left_s, _QUIET_S))
                if piece is not None:
                    self._take(piece[0], to)
                    continue
                said = self._replies.line()
                self._line_is_reply |= said is not None
            if said is not None and said.upper() == STOPPED:
                self.stopped = True
            elif said:
                return said
        raise DeviceError(f"{self._where} does not answer {to}; restart the Trigno Control Utility")
