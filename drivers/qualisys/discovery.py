"""QTM on the local network: it answers a broadcast to UDP port 22226.

Source: as rt_components. The question is ``<II`` (10, 7) and the port that the answer goes to, big-endian; the answer a
command packet with "host, QTM version, n cameras", NUL, and the base port, big-endian.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from typing import Final

from drivers.discovery import Found
from drivers.links.tcp_link import said
from lab.errors import DeviceError

PORT: Final = 22226
_MOST_FOUND: Final = 64
_LONGEST_ANSWER: Final = 2048


def find_qtm(seconds: float, addresses: tuple[str, ...] = ("255.255.255.255", "127.0.0.1")) -> tuple[Found, ...]:
    """Ask for QTM on the local network and on this computer, and listen for ``seconds``. Raises DeviceError."""
    found: dict[tuple[str, int], Found] = {}  # the same QTM may answer from two addresses of one computer
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            line.bind(("", 0))
        except OSError as error:
            raise DeviceError(f"QTM cannot be looked for on the network ({said(error)})") from None
        question = struct.pack("<II", 10, 7) + struct.pack(">H", line.getsockname()[1])
        for address in addresses:
            with contextlib.suppress(OSError):  # no network, or no broadcast on it: the other address may do
                line.sendto(question, (address, PORT))
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0 and len(found) < _MOST_FOUND:
            line.settimeout(left_s)
            try:
                data, sender = line.recvfrom(_LONGEST_ANSWER)
            except TimeoutError:
                break
            except OSError:  # on Windows: a port that nobody listens at
                continue
            answer = parse_answer(data)
            if answer is not None:
                what, base_port = answer
                options: dict[str, object] = {"host": str(sender[0])}
                if base_port != 22222:
                    options["base_port"] = base_port
                found.setdefault(answer, Found("qualisys.qtm", what, options))
    return tuple(found.values())


def parse_answer(data: bytes) -> tuple[str, int] | None:
    """Return what QTM says of itself and its base port, None for what is no answer of QTM."""
    if len(data) < 12 or len(data) > _LONGEST_ANSWER:
        return None
    size, kind = struct.unpack_from("<II", data)
    # Qualisys' document has 10 as the size of every answer, its own clients take the true one
    if kind != 1 or size not in {10, len(data)} or data[-3]:
        return None
    text = data[8:-3].decode("utf-8", "replace")
    if not re.search(r"\bQTM\b", text) or not text.isprintable():
        return None
    (base_port,) = struct.unpack(">H", data[-2:])
    return (text[:200], base_port) if 2 <= base_port <= 65000 else None
