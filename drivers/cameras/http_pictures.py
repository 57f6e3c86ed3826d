"""A camera's pictures over HTTP, part by part."""

from __future__ import annotations

from collections import deque
from typing import Final

from drivers.cameras.http_request import HttpAddress, authorisation_for, request_for
from drivers.cameras.multipart_codec import MultipartCodec, Part, ResponseCodec, ResponseHead
from drivers.host_clock import HostClock
from drivers.links.tcp_link import TcpLink
from lab.errors import DeviceError

_ANSWER_S: Final = 5.0
#: The socket is read so many times in a row at most before the caller gets its turn.
_MOST_READS: Final = 64


class HttpPictures:
    """An open response with pictures. ``what`` is what sentences call the camera."""

    def __init__(self, address: HttpAddress, what: str, clock: HostClock) -> None:
        self._address = address
        self._what = what
        self._clock = clock
        self._link = TcpLink(address.host, address.port, "the camera", clock)
        self._response = ResponseCodec()
        self._parts: MultipartCodec | None = None
        self._ready: deque[tuple[Part, float]] = deque()
        self.server = ""

    def open(self) -> None:
        """Ask for the pictures, with the password where one is wanted. Raises DeviceError."""
        head, body = self._ask("")
        if head.status == 401:
            answer = authorisation_for(head.challenges, self._address)
            if not self._address.user or not answer:
                raise DeviceError(f"{self._what} wants a password; write http://USER:$PASSWORD@… with $PASSWORD set")
            head, body = self._ask(answer)
            if head.status == 401:
                raise DeviceError(f"{self._what} refuses the user or the password; correct them")
        if head.status != 200:
            raise DeviceError(
                f"{self._what} says {head.status} {head.reason}; check the path in its URL".replace("  ", " ")
            )
        if head.boundary is None:
            kind = head.headers.get("content-type", "nothing").partition(";")[0][:60]
            raise DeviceError(f"{self._what} sends {kind} and no stream of pictures; check the path in its URL")
        self.server = head.headers.get("server", "")[:80]
        self._parts = MultipartCodec(head.boundary)
        self._take_in(body, self._clock.now_s())

    def next(self, wait_s: float) -> tuple[Part, float] | None:
        """Return the next part and the arrival of its last byte, None after ``wait_s`` without one."""
        end_s = self._clock.now_s() + wait_s
        for _ in range(_MOST_READS):
            if self._ready:
                return self._ready.popleft()
            received = self._link.receive(max(0.0, end_s - self._clock.now_s()))
            if received is None:
                return None
            data, arrival_s = received
            self._take_in(self._response.feed(data), arrival_s)
            if self._response.fault:
                raise DeviceError(f"{self._what} sends no pictures any more ({self._response.fault}); start it again")
        return None

    def close(self) -> None:
        """Hang up; any number of times."""
        self._link.close()
        self._ready.clear()

    def _take_in(self, body: bytes, arrival_s: float) -> None:
        if self._parts is not None:
            self._ready.extend((part, arrival_s) for part in self._parts.feed(body))

    def _ask(self, authorisation: str) -> tuple[ResponseHead, bytes]:
        """Send a request; return the head of the response and what has come of its body."""
        self._response = ResponseCodec()
        self._link.open()
        self._link.send(request_for(self._address, authorisation))
        end_s = self._clock.now_s() + _ANSWER_S
        while (left_s := end_s - self._clock.now_s()) > 0:
            received = self._link.receive(left_s)
            body = b"" if received is None else self._response.feed(received[0])
            if self._response.fault:
                raise DeviceError(f"{self._what} is no camera ({self._response.fault}); check its URL")
            if self._response.head is not None:
                return self._response.head, body
        raise DeviceError(f"{self._what} does not answer; check that it is switched on, and its URL")
