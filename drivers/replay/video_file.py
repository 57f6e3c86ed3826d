"""Replay of a video file as a camera, frame by frame at the file's own times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from drivers.channels import FRAME_CHANNELS
from drivers.driver import JOIN_AFTER_S, DriverConfig, EndOfStream, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.replay.source_file import ReplayConfig, file_details, find_file
from lab.errors import DeviceError, FlexCaptureError
from lab.streams import Frame, StreamSpec, VideoFormat

#: All frames are held in memory, compressed; decoding takes time at opening.
MAX_FRAMES: Final = 200_000
MAX_DECODED: Final = 20_000
MAX_BYTES: Final = 2 * 1024**3


class ReplayVideoConfig(ReplayConfig):
    """A video file. MJPEG is sent as it is; anything else is decoded at opening and sent as JPEG images."""

    loop: bool = Field(default=True, description="Begin again at the end instead of ending.")
    max_side: int = Field(
        640, ge=64, le=8192, description="Longest side in pixels of a video that is not MJPEG; larger ones are shrunk."
    )
    chunk_samples: int = Field(1, ge=1, le=1, description="A camera sends each frame by itself.")


@dataclass(frozen=True)
class _Film:
    """All frames as JPEG, their times ``pts_us`` int64 (frames,) from the first one played, and one loop's length.

    ``first_id`` is the number in the file of the first frame played.
    """

    spec: StreamSpec
    images: list[bytes]
    pts_us: npt.NDArray[np.int64]
    first_id: int
    first_s: float
    lap_s: float


class ReplayVideo:
    """One view. Frames are spaced by the file's own presentation times.

    In a loop the frames go on at the mean frame period, and ``frame_id`` and device time count on. Device
    time is the file's presentation time in seconds.
    """

    Config: ClassVar[type[DriverConfig]] = ReplayVideoConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, ReplayVideoConfig)
        self._clock = clock
        self._film: _Film | None = None
        self._t0_s: float | None = None
        self._next = 0

    def open(self) -> None:
        """Read and, where needed, transcode the whole file. Raises DeviceError."""
        self.close()
        try:
            self._film = _load(find_file(self._settings.file), self._settings)
        except DeviceError:
            raise
        except FlexCaptureError as error:
            raise DeviceError(*error.problems) from error

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the one stream of frames; valid once open."""
        return () if self._film is None else (self._film.spec,)

    def start(self, take: TakeStart) -> None:
        """Play from the beginning, the first frame at ``take.t0_s``.

        Started more than two seconds after ``t0_s``, the replay joins in at the present. Raises DeviceError
        where it is not open.
        """
        film = self._film
        if film is None:
            raise DeviceError(f"device '{take.device}' was started before it was opened; open it first")
        self._t0_s, self._next = take.t0_s, 0
        late_s = self._clock.now_s() - take.t0_s
        if late_s > JOIN_AFTER_S:
            lap = int(late_s // film.lap_s) if self._settings.loop else 0
            within = int(np.searchsorted(film.pts_us, (late_s - lap * film.lap_s) * 1e6))
            self._next = lap * len(film.images) + within

    def read(self) -> Frame | None:
        """Return the next frame once it is due, or None if that is more than about 0.2 s away.

        Raises EndOfStream after the last one, unless it loops.
        """
        film = self._film
        if film is None or self._t0_s is None:
            self._clock.sleep_until(self._clock.now_s() + 0.2)
            return None
        lap, index = divmod(self._next, len(film.images))
        if lap and not self._settings.loop:
            raise EndOfStream
        played_s = float(film.pts_us[index]) * 1e-6 + lap * film.lap_s
        if not self._clock.sleep_until(self._t0_s + played_s):
            return None
        frame = Frame("", film.first_id + self._next, film.first_s + played_s, self._clock.now_s(), film.images[index])
        self._next += 1
        return frame

    def close(self) -> None:
        """Forget the film. May be called at any time and more than once."""
        self._film, self._t0_s = None, None


def _load(path: Path, settings: ReplayVideoConfig) -> _Film:
    from storage.display_matrix import display_matrix
    from storage.video_reader import packets, read_video_index, transcode_to_jpeg

    index = read_video_index(path)
    count = len(index.pts_us)
    if count < 2:
        raise DeviceError(f"{path} holds {count} frames and cannot be replayed; choose a longer video")
    if count > MAX_FRAMES:
        raise DeviceError(f"{path} holds more than {MAX_FRAMES} frames, too many to keep in memory; cut it")
    codec_said = f"{index.codec} {index.width}x{index.height}"
    if index.codec == "mjpeg" and display_matrix(path) is None:
        if int(index.sizes.sum()) > MAX_BYTES:
            raise DeviceError(f"{path} holds more than {MAX_BYTES // 1024**3} GiB of frames; cut it")
        found = list(packets(path, 0, count - 1, index))
        images, pts_us = [data for _, data in found], np.array([pts for pts, _ in found], dtype=np.int64)
        width, height = index.width, index.height
    else:
        if count > MAX_DECODED:
            raise DeviceError(
                f"{path} holds more than {MAX_DECODED} frames to decode; cut it or convert it to Motion JPEG"
            )
        images, pts_us, width, height = transcode_to_jpeg(path, settings.max_side, limit=count)
        if len(images) != count:
            raise DeviceError(f"{path}: {len(images)} of {count} frames can be decoded; convert it to a clean file")
    if len(images) < 2 or (np.diff(pts_us) <= 0).any():
        raise DeviceError(f"{path}: the times of its frames do not increase; convert it to a clean file")
    period_us = float(pts_us[-1] - pts_us[0]) / (len(pts_us) - 1)
    skip = int(np.searchsorted(pts_us, pts_us[0] + settings.start_s * 1e6 - 0.5))
    if skip >= len(images):
        raise DeviceError(f"{path.name} ends before {settings.start_s:g} s; correct 'start_s' in the rig")
    played_us = pts_us[skip:] - pts_us[skip]
    details = {**file_details(path), "source": codec_said}
    spec = StreamSpec(
        content_type="VideoCompressed",
        channels=FRAME_CHANNELS,
        rate_hz=round(1e6 / period_us, 6),
        format="double64",
        counter_origin="host",
        video=VideoFormat("mjpeg", width, height),
        details={**details, "loops": "yes"} if settings.loop else details,
    )
    return _Film(
        spec=spec,
        images=images[skip:],
        pts_us=played_us,
        first_id=skip,
        first_s=float(pts_us[skip]) * 1e-6,
        lap_s=(float(played_us[-1]) + period_us) * 1e-6,
    )
