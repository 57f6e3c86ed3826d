"""Network cameras: Motion JPEG over HTTP, and RTSP or whatever else FFmpeg opens. What is compressed stays as it is."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field, field_validator

from drivers.cameras.camera import Camera, Connected
from drivers.cameras.camera_config import CameraConfig
from drivers.cameras.ffmpeg_packets import FfmpegPackets
from drivers.cameras.http_pictures import HttpPictures
from drivers.cameras.http_request import address_of, without_password
from drivers.driver import DriverConfig, config_of, filled_in
from drivers.host_clock import HostClock
from lab.errors import DeviceError
from lab.streams import Frame

_RATE_HELP: Final = "set its rate, and an exposure that is short enough, on its own page"


class NetworkCameraConfig(CameraConfig):
    """A camera with an address of its own."""

    url: str = Field(
        max_length=2000,
        description="rtsp://… or http://…; $NAME stands for the environment variable NAME, as for a password.",
    )
    rate_hz: float | None = Field(
        None, gt=0, le=1000, description="Frames per second that it is set to; if none, what it gives is taken."
    )
    transport: Literal["tcp", "udp"] = Field(
        "tcp", description="How RTSP sends its pictures: tcp loses none on the way, udp delays none."
    )

    @field_validator("url")
    @classmethod
    def _with_scheme(cls, url: str) -> str:
        scheme, colon, _ = url.partition("://")
        if not colon or not scheme.replace("+", "").isalnum() or scheme.lower() == "file":
            raise ValueError(
                "url begins with rtsp:// or http://, or another address that FFmpeg opens; files are replayed"
            )
        return url


class NetworkCamera(Camera):
    """One view.

    No protocol numbers the frames: ``frame_id`` counts what has arrived, broken frames included, and what was lost on
    the way shows as a gap in time. Device time is the RTP time (RTSP, from 0 at the first frame), or the X-Timestamp of
    a picture over HTTP where the camera sends one.
    """

    Config: ClassVar[type[DriverConfig]] = NetworkCameraConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        super().__init__(config, clock)
        self._settings = config_of(config, NetworkCameraConfig)
        self._pictures: HttpPictures | None = None
        self._packets: FfmpegPackets | None = None
        self._count = 0
        self._lost_before = 0

    def _connect(self) -> Connected:
        url = filled_in(self._settings.url)
        self._what = f"the camera at {without_password(url)}"
        self._count = self._lost_before = 0
        rate_hz = self._settings.rate_hz or 0.0
        if url.lower().startswith("http://") and not url.lower().partition("?")[0].endswith((".m3u8", ".mpd", ".mp4")):
            self._pictures = HttpPictures(address_of(url), self._what, self._clock)
            self._pictures.open()
            return Connected(
                rate_hz=rate_hz,
                counter_origin="host",
                model=self._pictures.server,
                clock="X-Timestamp of each picture, where there is one",
                help=_RATE_HELP,
                details={"url": without_password(url), "transport": "HTTP multipart"},
            )
        packets = FfmpegPackets(url, self._ffmpeg_options(url), self._camera_settings.stall_s, self._what, self._clock)
        self._packets = packets
        packets.open()
        if packets.codec != "mjpeg":
            begins = f"{self._what} sends {packets.codec}: a take begins with its next keyframe"
            self.remarks = (f"{begins}; set it to one a second, or to Motion JPEG",)
        return Connected(
            codec=packets.codec,
            width=packets.width,
            height=packets.height,
            rate_hz=rate_hz,
            counter_origin="host",
            clock=f"presentation time of {packets.format}" if packets.has_clock else "",
            help=_RATE_HELP,
            details={"url": without_password(url), "transport": packets.format},
        )

    def _ffmpeg_options(self, url: str) -> dict[str, str]:
        options = {"fflags": "nobuffer", "max_delay": "500000"}
        if url.lower().startswith(("rtsp:", "rtsps:")):
            options["rtsp_transport"] = self._settings.transport
        return options

    def _next(self, wait_s: float) -> Frame | None:
        if self._pictures is not None:
            found = self._pictures.next(wait_s)
            if found is None:
                return None
            part, arrival_s = found
            number, self._count = self._count, self._count + 1
            image = self._whole(part.data)
            return None if image is None else Frame("", number, part.device_time_s, arrival_s, image)
        return self._next_packet(wait_s)

    def _next_packet(self, wait_s: float) -> Frame | None:
        packets = self._packets
        packet = None if packets is None else packets.next(wait_s)
        if packets is None or packet is None:
            return None
        if packet.reordered:
            raise DeviceError(f"{self._what} sends its frames in another order than it took them; switch B-frames off")
        self._count += packets.lost - self._lost_before  # they had a place
        self._lost_before = packets.lost
        number, self._count = self._count, self._count + 1
        data = self._whole(packet.data) if packets.codec == "mjpeg" else packet.data
        if data is None:
            return None
        if packet.broken and packets.codec != "mjpeg":
            self.broken += 1
            return None
        return Frame("", number, packet.device_time_s, packet.arrival_s, data, packet.keyframe)

    def _free(self) -> None:
        if self._pictures is not None:
            self._pictures.close()
        if self._packets is not None:
            self._packets.close()
        self._pictures = self._packets = None
