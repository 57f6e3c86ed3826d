"""A serial line, by pyserial: a port of this computer, or one of its URLs such as socket://host:port."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import Any, Final

from drivers.host_clock import HostClock
from drivers.links.tcp_link import TcpLink, said
from lab.errors import DeviceError

_WAIT_S: Final = 0.2
_MOST_BYTES: Final = 65536
#: Pieces of a connection that are thrown away before it is used.
_MOST_DRAINED: Final = 256
_TCP: Final = re.compile(r"socket://([^:/?#]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")


class SerialLink:
    """The line at ``port``; ``what`` is what sentences call the device, such as "the Cyton"."""

    def __init__(self, port: str, baud: int, what: str, clock: HostClock) -> None:
        self._port = port
        self._baud = baud
        self._what = f"{what} on {port}"
        self._clock = clock
        self._line: Any = None
        # pyserial's own socket throws away what came together with the end of the connection
        tcp = _TCP.fullmatch(port)
        self._tcp = TcpLink(tcp[1].strip("[]"), int(tcp[2]), what, clock) if tcp else None

    def open(self) -> None:
        """Open the port, 8N1, for this process alone. Raises DeviceError."""
        import serial

        self.close()
        if self._tcp is not None:
            self._tcp.open()
            return
        if self._port.startswith("socket://"):
            raise DeviceError(f"{self._port} names no TCP port; write socket://HOST:PORT")
        alone: dict[str, Any] = {"exclusive": True} if os.name == "posix" and "://" not in self._port else {}
        try:
            self._line = serial.serial_for_url(
                self._port, baudrate=self._baud, timeout=_WAIT_S, write_timeout=_WAIT_S * 10, **alone
            )
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise DeviceError(self._why_not(error)) from None
        # USB chips wait 16 ms for more to come, unless told that it matters; only Linux can be told from here
        with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
            self._line.set_low_latency_mode(True)

    def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises DeviceError."""
        if self._tcp is not None:
            self._tcp.send(data)
            return
        line = self._opened()
        try:
            line.write(data)  # no flush after it, which has no bound: a line that takes nothing would hold us for ever
        except (OSError, AttributeError, TypeError) as error:  # the last two: pyserial, when the line goes meanwhile
            raise self._broken(error) from None

    def receive(self) -> tuple[bytes, float] | None:
        """Return what has come, 64 KiB at most, and its arrival in host time; None after 0.2 s without a byte.

        Raises DeviceError where the line is gone.
        """
        if self._tcp is not None:
            return self._tcp.receive()
        line = self._opened()
        try:
            data = line.read(1)
            if not data:
                return None
        except (OSError, AttributeError, TypeError) as error:
            raise self._broken(error) from None
        with contextlib.suppress(OSError, AttributeError, TypeError):  # the next call meets it again
            # no more than waits: a read that meets the end of the line throws away what it had
            data += line.read(min(int(line.in_waiting), _MOST_BYTES))
        return bytes(data), self._clock.now_s()

    def drain(self) -> None:
        """Throw away what has come so far. Raises DeviceError where the line is gone."""
        if self._tcp is not None:
            for _ in range(_MOST_DRAINED):  # whoever sends faster than this will not come to an end
                if self._tcp.receive(0.0) is None:
                    break
            return
        line = self._opened()
        try:
            line.reset_input_buffer()
        except Exception as error:  # noqa: BLE001 - termios.error among them, which is no OSError
            raise self._broken(error) from None

    def close(self) -> None:
        """Let go of the port; any number of times."""
        if self._tcp is not None:
            self._tcp.close()
        if self._line is not None:
            with contextlib.suppress(Exception):  # the device may be gone
                self._line.close()
        self._line = None

    def _opened(self) -> Any:
        if self._line is None:
            raise DeviceError(f"{self._what} is not open; open it first")
        return self._line

    def _broken(self, error: Exception) -> DeviceError:
        # what pyserial itself says, without the system's number, is about its reading and not about the line
        told = isinstance(error, OSError) and (error.errno is not None or isinstance(error, TimeoutError))
        why = said(error) if told else "the line is gone"
        if type(error).__name__ == "SerialTimeoutException":
            why = "it takes nothing that is sent to it"
        return DeviceError(f"{self._what} broke off ({why}); check its cable or dongle")

    def _why_not(self, error: Exception) -> str:
        number = getattr(error, "errno", None)
        if number == errno.ENOENT or "FileNotFoundError" in str(error):
            return (
                f"there is no serial port {self._port} for {self._what.partition(' on ')[0]}; "
                "plug it in, and see `flex-capture devices`"
            )
        if number in {errno.EACCES, errno.EPERM} or "PermissionError" in str(error):
            help_ = "on Linux the group dialout may: `sudo usermod -aG dialout $USER`, then log in again"
            return f"this user may not open {self._port}, or another program has it; {help_}"
        if number in {errno.EBUSY, errno.EAGAIN}:
            return f"another program has {self._port} open; close that, then try again"
        return f"{self._what} cannot be opened ({said(error) if isinstance(error, OSError) else error})"
