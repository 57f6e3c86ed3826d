"""Write a camera's compressed frames, untouched, into a MOV file that survives a kill.

``hybrid_fragmented`` puts every frame on disk as a fragment of its own and turns the file into an ordinary indexed one
at the close; ``delay_moov`` with a microsecond movie time scale keeps the first frame's time, which would otherwise
become 0.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from lab.errors import TakeError
from storage.append_file import AppendFile
from storage.os_errors import reason

if TYPE_CHECKING:
    from pathlib import Path

    from lab.streams import VideoFormat

TIME_BASE: Final = Fraction(1, 1_000_000)

#: Codecs of which every frame stands alone.
INTRA_CODECS: Final = frozenset(("mjpeg", "ffv1", "prores", "png", "rawvideo"))


class VideoWriter:
    """A video file in the making: ``write`` from one thread, ``sync`` from any.

    A kill loses the last frame written, which the muxer holds back to learn its duration, and no other.
    """

    def __init__(self, path: Path, video: VideoFormat, rate_hz: float) -> None:
        """Create the file; ``rate_hz`` is only a hint to players.

        Raises TakeError where it exists, cannot be created, or the codec cannot be put into MOV.
        """
        import av

        self.path = path
        self.frames = 0
        self._last_pts_us: int | None = None
        self._errors: tuple[type[BaseException], ...] = (av.FFmpegError, OSError, ValueError)
        self._container: Any = None
        self._file = AppendFile(path)  # reserves the name; later the way to sync
        try:
            self._open(video, rate_hz)
        except self._errors as error:
            self._file.close()
            raise TakeError(f"{path}: {video.codec} cannot be written into MOV ({reason(error)}).") from None

    def _open(self, video: VideoFormat, rate_hz: float) -> None:
        import av

        container = av.open(str(self.path), "w", format="mov", options=mov_options(video.codec))
        try:
            self._stream = add_copied_stream(container, video, rate_hz)
            container.start_encoding()
        except BaseException:
            container.close()
            raise
        self._container = container

    def write(self, data: bytes, pts_us: int, keyframe: bool = True) -> None:
        """Append one compressed frame.

        ``pts_us`` is the presentation time in microseconds, strictly increasing and not negative; ValueError otherwise.
        Raises TakeError where the system or the muxer refuses; the frames before are kept.
        """
        if self._container is None:
            raise ValueError(f"{self.path} is closed")
        if pts_us < 0 or (self._last_pts_us is not None and pts_us <= self._last_pts_us):
            raise ValueError(f"pts {pts_us} us does not come after {self._last_pts_us} us")
        if not data:
            raise ValueError("a frame without bytes cannot be kept")
        packet = copied_packet(self._stream, data, pts_us, keyframe)
        self._last_pts_us = pts_us
        try:
            self._container.mux_one(packet)
        except self._errors as error:
            raise TakeError(f"{self.path} cannot be written ({reason(error)}); free space or check the disk.") from None
        self.frames += 1

    def sync(self) -> None:
        """Wait until all frames that left the muxer are on the disk. Does nothing after ``close``. Raises TakeError."""
        self._file.sync()

    def close(self) -> None:
        """Write the index, sync and close; any number of times.

        Raises TakeError where the index cannot be written; the frames can be read without it.
        """
        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except self._errors as error:
            raise TakeError(
                f"{self.path}: its index cannot be written ({reason(error)}); the frames are kept."
            ) from None
        finally:
            self._file.close()


def mov_options(codec: str) -> dict[str, str]:
    """Return the muxer's options for a MOV that survives a kill and keeps the times of its frames."""
    flags = "hybrid_fragmented+delay_moov"
    if codec not in INTRA_CODECS:
        flags += "+frag_every_frame"
    return {
        "movflags": flags,
        "video_track_timescale": str(TIME_BASE.denominator),
        "movie_timescale": str(TIME_BASE.denominator),
        "flush_packets": "1",
    }


def add_copied_stream(container: Any, video: VideoFormat, rate_hz: float) -> Any:
    """Add a stream to an output container whose packets are copied, not encoded; times are in microseconds."""
    rate = Fraction(rate_hz).limit_denominator(1000) if 0.01 < rate_hz < 100_000 else Fraction(30)
    if hasattr(container, "add_mux_stream"):
        stream = container.add_mux_stream(video.codec, rate=rate, width=video.width, height=video.height)
    else:  # older PyAV: an encoder is opened, but never used
        stream = container.add_stream(video.codec, rate=rate)
        stream.width, stream.height = video.width, video.height
        stream.pix_fmt = "yuvj420p" if video.codec == "mjpeg" else "yuv420p"
    stream.time_base = TIME_BASE
    return stream


def copied_packet(stream: Any, data: bytes, pts_us: int, keyframe: bool) -> Any:
    """Return one compressed frame as a packet of a stream whose packets are copied."""
    import av

    packet = av.Packet(data)
    packet.stream = stream
    packet.pts = packet.dts = pts_us
    packet.time_base = TIME_BASE
    packet.is_keyframe = keyframe
    return packet
