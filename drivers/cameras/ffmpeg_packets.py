"""Packets of a camera's stream as FFmpeg takes it apart, RTSP above all. Nothing is decoded.

H.264 and H.265 come out as a byte stream whose keyframes carry their parameter sets, whatever they arrived in: each
then begins a video that can be played. FFmpeg sees the end of such a frame in the beginning of the next one: arrivals
are late by one frame, always; Motion JPEG's are not.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any, Final

from drivers.cameras.http_request import without_password
from drivers.cameras.waiting_frames import WaitingFrames
from drivers.host_clock import HostClock
from lab.errors import DeviceError

_OPEN_S: Final = 5.0
CODECS: Final = ("mjpeg", "h264", "hevc")
#: Readers that make times up from a rate that nobody told them.
_CLOCKLESS: Final = frozenset(("mpjpeg", "mjpeg", "jpeg_pipe", "image2", "image2pipe", "h264", "hevc"))
#: Longest pause between packets of one frame in a closing thread.
_JOIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Packet:
    """One frame, compressed. ``device_time_s`` is its presentation time, NaN where the stream has no clock."""

    device_time_s: float
    arrival_s: float
    data: bytes
    keyframe: bool
    reordered: bool = False
    broken: bool = False


class FfmpegPackets:
    """The first video stream of ``url``, read in a thread; what is not fetched in time is lost and counted."""

    def __init__(self, url: str, options: dict[str, str], silence_s: float, what: str, clock: HostClock) -> None:
        self._url = url
        self._options = options
        self._silence_s = silence_s
        self._what = what
        self._clock = clock
        self._container: Any = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._waiting = WaitingFrames[Packet]()
        self.codec = ""
        self.format = ""
        self.width = self.height = 0
        self.rate_hz = 0.0
        self.has_clock = False

    def open(self) -> None:
        """Open the stream and begin to read. Raises DeviceError within about ten seconds."""
        import av

        self.close()
        av.logging.set_level(av.logging.PANIC)
        try:
            self._container = av.open(self._url, options=self._options, timeout=(_OPEN_S, self._silence_s))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise DeviceError(
                f"{self._what} cannot be opened ({_said(error)}); check that it is switched on, and its URL"
            ) from None
        video = self._container.streams.video
        if not video:
            raise DeviceError(f"{self._what} sends no video; check the path in its URL")
        stream = video[0]
        self.codec = stream.codec_context.name
        self.format = self._container.format.name
        self.width, self.height = stream.codec_context.width, stream.codec_context.height
        rate = stream.average_rate or stream.guessed_rate
        self.has_clock = not _CLOCKLESS.intersection(self.format.split(","))
        self.rate_hz = float(rate) if rate and self.has_clock else 0.0
        if self.codec not in CODECS:
            raise DeviceError(
                f"{self._what} sends {self.codec or 'an unknown codec'}; set the camera to Motion JPEG, H.264 or H.265"
            )
        self._stop.clear()
        self._thread = threading.Thread(target=self._read, args=(stream,), name="ffmpeg-packets", daemon=True)
        self._thread.start()

    def next(self, wait_s: float) -> Packet | None:
        """Return the next packet, None after ``wait_s`` without one. Raises DeviceError where the stream broke off."""
        return self._waiting.take(wait_s)

    @property
    def lost(self) -> int:
        """How many packets were not fetched in time."""
        return self._waiting.lost

    def close(self) -> None:
        """Hang up; any number of times. A stream that stands still is let go when FFmpeg's own wait is over."""
        self._stop.set()
        thread, self._thread = self._thread, None
        container, self._container = self._container, None
        if thread is not None:
            thread.join(self._silence_s + _JOIN_S)
            if thread.is_alive():
                return  # it holds the container, which nobody else may close meanwhile
        if container is not None:
            container.close()
        self._waiting = WaitingFrames()

    def _read(self, stream: Any) -> None:
        import av

        waiting, container = self._waiting, self._container
        try:
            whole = _self_contained(stream, self.codec)
            base = float(stream.time_base)
            for packet in container.demux(stream):
                arrival_s = self._clock.now_s()
                if self._stop.is_set():
                    return
                for part in whole(packet):
                    if part.size:
                        waiting.put(self._packet(part, base, arrival_s), part.size)
            waiting.fail(f"{self._what} ended its stream; check that it still runs")
        except (av.FFmpegError, OSError, ValueError) as error:
            if not self._stop.is_set():
                waiting.fail(f"{self._what} broke off ({_said(error)}); check its cable and power")

    def _packet(self, part: Any, base: float, arrival_s: float) -> Packet:
        time_s = math.nan if part.pts is None or not self.has_clock else part.pts * base
        reordered = part.pts is not None and part.dts is not None and part.pts != part.dts
        broken = bool(part.is_corrupt)
        return Packet(time_s, arrival_s, bytes(part), bool(part.is_keyframe), reordered, broken)


def _self_contained(stream: Any, codec: str) -> Any:
    """Return what turns a packet into those that are recorded: a byte stream with parameter sets at keyframes."""
    from av.bitstream import BitStreamFilterContext

    if codec == "mjpeg":
        return lambda packet: [packet] if packet.size else []
    extra = bytes(stream.codec_context.extradata or b"")
    packed = extra[:1] == b"\x01"  # lengths instead of start codes, as in MP4
    filters = [
        BitStreamFilterContext(f"{codec}_mp4toannexb" if packed else "dump_extra=freq=keyframe", in_stream=stream)
    ]

    def filtered(packet: Any) -> list[Any]:
        return list(filters[0].filter(packet if packet.size else None))

    return filtered


def _said(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return without_password(str(text)).lower()[:120]
