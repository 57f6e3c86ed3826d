"""NatNet servers in the networks of this computer: each answers to a discovery message that is sent to all."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

from drivers.discovery import Found
from drivers.host_clock import LslClock
from drivers.links.udp_link import UdpLink, receive_first
from drivers.optitrack.natnet_codec import NatNetCodec, ServerInfo, hello
from drivers.optitrack.natnet_session import COMMAND_PORT
from drivers.optitrack.wire import Message
from lab.errors import DeviceError

_BROADCAST = "255.255.255.255"
_ASK_AGAIN_S = 0.5
_MOST_FOUND = 64


def find_servers(seconds: float, port: int = COMMAND_PORT, address: str = _BROADCAST) -> Sequence[Found]:
    """Return the servers that answer within ``seconds``, each once, by its address.

    They are asked through every network card of this computer, on ``port`` of ``address``. Raises DeviceError where no
    card can be used.
    """
    clock = LslClock()
    links: list[UdpLink] = []
    found: dict[str, Found] = {}
    failures: list[DeviceError] = []
    codec = NatNetCodec()
    try:
        for card in _cards():
            link = UdpLink(card, 0, "a NatNet server", clock, broadcast=True)
            try:
                link.open()
                link.send(hello(Message.DISCOVERY), (address, port))
            except DeviceError as error:  # a card without a network
                link.close()
                failures.append(error)
            else:
                links.append(link)
        if not links and failures:
            raise failures[0]
        _gather(links, clock, seconds, (address, port), codec, found)
    finally:
        for link in links:
            link.close()
    return [found[key] for key in sorted(found)]


def _gather(
    links: list[UdpLink],
    clock: LslClock,
    seconds: float,
    target: tuple[str, int],
    codec: NatNetCodec,
    found: dict[str, Found],
) -> None:
    end_s = clock.now_s() + seconds
    again_s = clock.now_s() + _ASK_AGAIN_S
    while (left_s := end_s - clock.now_s()) > 0 and len(found) < _MOST_FOUND:
        if clock.now_s() >= again_s:
            again_s += _ASK_AGAIN_S
            for link in links:
                with contextlib.suppress(DeviceError):  # its network has just gone
                    link.send(hello(Message.DISCOVERY), target)
        received = receive_first(links, min(left_s, _ASK_AGAIN_S))
        if received is None:
            continue
        link, datagram = received
        info = codec.feed(datagram.data)
        if isinstance(info, ServerInfo):
            found.setdefault(datagram.sender[0], _found(info, datagram.sender, link.local_address[0]))


def _found(info: ServerInfo, sender: tuple[str, int], card: str) -> Found:
    options: dict[str, object] = {"host": sender[0]}
    if sender[1] != COMMAND_PORT:
        options["command_port"] = sender[1]
    if info.multicast and card != "0.0.0.0":  # noqa: S104 - no address, but any
        options["interface"] = card
    how = {True: "by multicast", False: "by unicast", None: "not saying how"}[info.multicast]
    what = f"{info.application} {info.application_version} at {sender[0]}, NatNet {info.version}, sends {how}"
    return Found("optitrack.natnet", what, options)


def _cards() -> list[str]:
    """Return the addresses of this computer's network cards, its own among them; the system's choice where unknown."""
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    except OSError:
        addresses = set()
    return [*sorted(addresses - {"127.0.0.1"}), "0.0.0.0"]  # noqa: S104 - any
