"""Pictures over HTTP: a response that never ends, ``multipart/x-mixed-replace``, one JPEG image a part.

Sources: RFC 9112 (responses, chunked bodies), RFC 2046 (parts); what cameras make of it by the public code of
mjpg-streamer, motion and FFmpeg's mpjpeg reader: boundaries that are announced with or without their dashes, parts
without a length, lengths that are wrong, lines that end with a bare line feed, parts that are no image. A part may say
when it was taken: ``X-Timestamp: SECONDS`` (mjpg-streamer). No camera numbers its parts.

A part with a length is there with its last byte; one without is there as soon as its image ends, not only when the
next one begins. Everything is bounded; nothing that is fed raises.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from drivers.cameras.jpeg_bytes import image_end, read_head

MOST_HEAD_BYTES: Final = 16384
MOST_PART_BYTES: Final = 32 << 20
#: Where an image's coded data begin at the latest: behind a few previews and colour profiles.
_MOST_IMAGE_HEAD_BYTES: Final = 1 << 20
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(;[^\r\n]*)?$")
_LENGTH: Final = re.compile(r"\d{1,9}")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?\r?\n")
_BOUNDARY: Final = re.compile(r"boundary\s*=\s*(\"[^\"]{1,200}\"|[^\s;\"]{1,200})", re.IGNORECASE)


class Part(NamedTuple):
    """One part: what its header says of the time, NaN where nothing, and its bytes."""

    device_time_s: float
    data: bytes


@dataclass(frozen=True)
class ResponseHead:
    """Status and headers (names in lower case) of a response."""

    status: int
    reason: str
    headers: dict[str, str]
    challenges: tuple[str, ...] = ()

    @property
    def boundary(self) -> str | None:
        """What divides the parts; None where the response has none. ``""`` where it does not say."""
        kind = self.headers.get("content-type", "")
        if not kind.lower().startswith("multipart/"):
            return None
        found = _BOUNDARY.search(kind)
        return found[1].strip('"').strip("-") if found else ""


class ResponseCodec:
    """A response from its first byte: ``head`` once it is there, then the bytes of the body."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        #: Why the bytes are no response; everything after that is thrown away.
        self.fault = ""
        self._buffer = bytearray()
        self._chunked = False
        self._chunk_left = 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return what they add to the body."""
        if self.fault:
            return b""
        if self.head is None:
            self._buffer += data
            found = _BLANK_LINE.search(self._buffer)
            if found is None or found.end() > MOST_HEAD_BYTES:
                if found is not None or len(self._buffer) > MOST_HEAD_BYTES:
                    self._give_up("its header does not end")
                return b""
            lines = bytes(self._buffer[: found.end()])
            status = _STATUS.match(lines)
            if status is None:
                self._give_up("it does not speak HTTP")
                return b""
            data = bytes(self._buffer[found.end() :])
            self._buffer.clear()
            pairs = _header_lines(lines[status.end() :])
            self.head = ResponseHead(
                int(status[1]),
                (status[2] or b"").decode("latin-1").strip()[:80],
                dict(pairs),
                tuple(value for name, value in pairs if name == "www-authenticate"),
            )
            self._chunked = "chunked" in self.head.headers.get("transfer-encoding", "").lower()
        return self._unchunk(data) if self._chunked else data

    def _give_up(self, fault: str) -> None:
        self.fault = fault
        self._buffer.clear()

    def _unchunk(self, data: bytes) -> bytes:
        """Take the bytes of a chunked body; only the line with a chunk's size is ever buffered."""
        body = bytearray()
        at = 0
        while at < len(data):
            if self._chunk_left > 0:
                taken = data[at : at + self._chunk_left]
                body += taken
                at += len(taken)
                self._chunk_left -= len(taken)
                continue
            end = data.find(b"\n", at)
            piece = data[at:] if end < 0 else data[at:end]
            at = len(data) if end < 0 else end + 1
            if len(self._buffer) + len(piece) > 1024:
                self._give_up("its chunks have no sizes")
                break
            self._buffer += piece
            if end < 0:
                break
            line = bytes(self._buffer).strip()
            self._buffer.clear()
            if not line:  # what ends the chunk before
                continue
            size = _CHUNK_SIZE.match(line)
            if size is None:
                self._give_up("its chunks have no sizes")
                break
            self._chunk_left = int(size[1], 16)
        return bytes(body)


class MultipartCodec:
    """The parts of a body that are divided by ``boundary``. ``skipped_bytes`` were neither header nor image."""

    def __init__(self, boundary: str) -> None:
        self._boundary = boundary.encode("latin-1", "replace") or b"--"
        self._buffer = bytearray()
        self._length: int | None = None
        self._time_s = math.nan
        self._image = False
        self._in_part = False
        self._data_from = self._scanned = 0
        self.skipped_bytes = 0
        self.skipped_parts = 0

    def feed(self, data: bytes) -> list[Part]:
        """Take bytes; return the parts that they complete."""
        self._buffer += data
        parts: list[Part] = []
        while self._step(parts):
            pass
        return parts

    def _step(self, parts: list[Part]) -> bool:
        return self._body(parts) if self._in_part else self._header()

    def _drop(self, count: int) -> None:
        del self._buffer[:count]

    def _skip(self, count: int) -> None:
        """Drop bytes that are neither header nor image, and count them, apart from what divides parts."""
        self.skipped_bytes += len(self._buffer[:count].translate(None, b"-\r\n"))
        self._drop(count)

    def _header(self) -> bool:
        """Find the next boundary and the header behind it; False while they are not there."""
        start = self._buffer.find(self._boundary)
        if start < 0:
            keep = len(self._boundary) - 1
            if len(self._buffer) > keep:
                self._skip(len(self._buffer) - keep)
            return False
        line_end = self._buffer.find(b"\n", start)
        blank = _BLANK_LINE.search(self._buffer, start)
        if blank is None or blank.end() - start > MOST_HEAD_BYTES:
            if len(self._buffer) - start > MOST_HEAD_BYTES:  # no header: it was part of something else
                self._skip(start + len(self._boundary))
                return True
            return False
        pairs = dict(_header_lines(bytes(self._buffer[line_end + 1 : blank.start()])))
        self._skip(start)
        self._drop(blank.end() - start)
        length = pairs.get("content-length", "")
        self._length = int(length) if _LENGTH.fullmatch(length) else None
        if self._length is not None and not 0 < self._length <= MOST_PART_BYTES:
            self._length = None
        kind = pairs.get("content-type", "image/jpeg").lower()
        self._image = kind.startswith(("image/jpeg", "image/jpg", "image/pjpeg", "application/octet-stream"))
        self._time_s = _time_s(pairs.get("x-timestamp", ""))
        self._in_part, self._data_from, self._scanned = True, 0, 0
        return True

    def _body(self, parts: list[Part]) -> bool:
        if self._length is not None:
            if len(self._buffer) < self._length:
                return False
            end = self._length
        elif not self._image:
            self._in_part = False  # the next boundary ends it
            self.skipped_parts += 1
            return True
        else:
            end = self._image_end()
            if end == 0:
                return False
            if end < 0:
                self.skipped_parts += 1
                self._in_part = False
                return True
        if self._image:
            parts.append(Part(self._time_s, bytes(self._buffer[:end])))
        else:
            self.skipped_parts += 1
        self._drop(end)
        self._in_part = False
        return True

    def _image_end(self) -> int:
        """Return where the image without a length ends, 0 while it is not there, -1 where it is none."""
        buffer = self._buffer
        if not self._data_from:
            head = read_head(buffer)
            if head is None:
                next_one = buffer.find(self._boundary)
                return -1 if next_one >= 0 or len(buffer) > _MOST_IMAGE_HEAD_BYTES else 0
            self._data_from = self._scanned = head.data_from
        end = image_end(buffer, max(self._data_from, self._scanned - 1))
        cut_off = buffer.find(self._boundary, max(self._data_from, self._scanned - len(self._boundary)))
        if cut_off >= 0 and (end < 0 or cut_off < end):
            return -1  # the next part begins before the image has ended
        self._scanned = len(buffer)
        if end > 0:
            return end
        return -1 if len(buffer) > MOST_PART_BYTES else 0


def _header_lines(lines: bytes) -> list[tuple[str, str]]:
    pairs = []
    for line in lines.decode("latin-1").splitlines()[:100]:
        name, colon, value = line.partition(":")
        if colon:
            pairs.append((name.strip().lower(), value.strip()))
    return pairs


def _time_s(text: str) -> float:
    """Return seconds; NaN for what is none, and for 0, which cameras without a clock send."""
    if not re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text):
        return math.nan
    return float(text) or math.nan
