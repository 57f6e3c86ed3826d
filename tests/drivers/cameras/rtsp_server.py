"""A camera that speaks RTSP over TCP and sends H.264, as far as a client needs it (RFC 2326, RFC 6184)."""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import simplejpeg
from pictures import HEIGHT, WIDTH, picture

RATE_HZ = 30
KEYFRAME_EVERY = 15


@dataclass(frozen=True)
class Film:
    """Units of each frame without start codes, and the two parameter sets."""

    frames: list[list[bytes]]
    keyframes: list[bool]
    sps: bytes
    pps: bytes


def film(count: int, b_frames: int = 0) -> Film:
    """Encode frames that carry their numbers as barcodes."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, RATE_HZ), Fraction(RATE_HZ)
    encoder.options = {"preset": "ultrafast", "bf": str(b_frames), "g": str(KEYFRAME_EVERY), "crf": "18"}
    encoder.options |= {"x264-params": f"scenecut=0:repeat-headers=1:bframes={b_frames}:keyint={KEYFRAME_EVERY}"}
    packets = []
    for number in range(count):
        image = simplejpeg.decode_jpeg(picture(number), colorspace="RGB")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [units(bytes(packet)) for packet in packets]
    sets = {unit[0] & 31: unit for unit in frames[0] if unit[0] & 31 in {7, 8}}
    bare = [[unit for unit in frame if unit[0] & 31 in {1, 5}] for frame in frames]  # sets go into the SDP alone
    return Film(bare, [bool(packet.is_keyframe) for packet in packets], sets[7], sets[8])


def units(data: bytes) -> list[bytes]:
    """Take a byte stream apart at its start codes."""
    return [unit.rstrip(b"\0") for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]


class RtspServer:
    """Serves one client after the other in a thread; plays the film from its beginning to each."""

    def __init__(self, played: Film, stall_after: int | None = None) -> None:
        self._film = played
        self._stall_after = stall_after
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/stream"
        self.sent_s: dict[int, float] = {}

    @contextlib.contextmanager
    def serving(self) -> Iterator[RtspServer]:
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
            self._server.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                line, _ = self._server.accept()
            except TimeoutError:
                continue
            with line, contextlib.suppress(OSError):
                line.settimeout(0.1)
                self._client(line)

    def _client(self, line: socket.socket) -> None:
        asked = b""
        playing_s = None
        number = 0
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                line.settimeout(0.005)
                more = line.recv(4096)
                if not more:
                    return
                asked += more
            while b"\r\n\r\n" in asked:
                head, _, asked = asked.partition(b"\r\n\r\n")
                method, *_ = head.split(b" ", 1)
                if method == b"TEARDOWN":
                    return
                line.settimeout(2.0)
                line.sendall(self._answer(method, head))
                if method == b"PLAY":
                    playing_s = time.monotonic()
            if playing_s is not None and time.monotonic() - playing_s >= number / RATE_HZ:
                if number >= len(self._film.frames):
                    return
                if self._stall_after is None or number < self._stall_after:
                    line.settimeout(2.0)
                    line.sendall(self._packets(number))
                    self.sent_s[number] = time.monotonic()
                number += 1

    def _answer(self, method: bytes, head: bytes) -> bytes:
        count = next(row.split(b":")[1].strip() for row in head.split(b"\r\n") if row.lower().startswith(b"cseq"))
        extra, body = b"", b""
        if method == b"OPTIONS":
            extra = b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == b"DESCRIBE":
            sets = b",".join(base64.b64encode(unit) for unit in (self._film.sps, self._film.pps))
            body = (
                b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                b"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets=%s\r\n"
                b"a=control:track1\r\n" % sets
            )
            extra = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n" % len(body)
        elif method == b"SETUP":
            extra = b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7\r\n"
        elif method == b"PLAY":
            extra = b"Session: 7\r\nRange: npt=0-\r\n"
        return b"RTSP/1.0 200 OK\r\nCSeq: %s\r\n%s\r\n%s" % (count, extra, body)

    def _packets(self, number: int) -> bytes:
        out = b""
        payloads = [payload for unit in self._film.frames[number] for payload in _fragments(unit)]
        for place, payload in enumerate(payloads):
            marker = 0x80 if place == len(payloads) - 1 else 0
            self._sequence = getattr(self, "_sequence", 65000) + 1
            rtp = struct.pack(">BBHII", 0x80, marker | 96, self._sequence % 65536, 5000 + number * 3000, 99) + payload
            out += b"$\0" + len(rtp).to_bytes(2, "big") + rtp
        return out


def _fragments(unit: bytes) -> list[bytes]:
    """Return a unit as FU-A fragments where it is long (RFC 6184, 5.8)."""
    if len(unit) <= 1200:
        return [unit]
    parts = [unit[at : at + 1200] for at in range(1, len(unit), 1200)]
    out = []
    for place, part in enumerate(parts):
        bits = (0x80 if place == 0 else 0) | (0x40 if place == len(parts) - 1 else 0)
        out.append(bytes([unit[0] & 0xE0 | 28, bits | unit[0] & 31]) + part)
    return out
