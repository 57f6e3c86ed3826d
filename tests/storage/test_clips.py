"""Clips are frame-exact on presentation time: whatever the codec, by the pictures that another decoder shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import flex_takes
import numpy as np
import pytest

from storage.video_reader import cut_clip, packets, read_video_index

COUNT = 60
#: A frame is missing between 20 and 21, as lost frames leave it.
PTS_US = [number * 33_333 + (100_000 if number > 20 else 0) for number in range(COUNT)]

#: Container, encoder, its options, and whether every frame stands alone.
SOURCES = {
    "H.264 with B-frames, MP4": ("mp4", "libx264", {"bf": "3", "g": "12", "b_strategy": "0"}, False),
    "H.264 with B-frames, Matroska": ("mkv", "libx264", {"bf": "2", "g": "24"}, False),
    "H.264 with B-frames in open groups": (
        "mp4",
        "libx264",
        {"bf": "3", "g": "10", "x264-params": "open-gop=1:b-pyramid=normal"},
        False,
    ),
    "H.264 without B-frames": ("mov", "libx264", {"bf": "0", "g": "30"}, False),
    "H.264, every frame a keyframe": ("mov", "libx264", {"g": "1"}, True),
    "H.265 with B-frames": ("mp4", "libx265", {"x265-params": "bframes=4:keyint=15:log-level=none"}, False),
    "Motion JPEG": ("mov", "mjpeg", {"qmin": "2", "qmax": "3"}, True),
    "Motion JPEG, AVI-like Matroska": ("mkv", "mjpeg", {"qmin": "2", "qmax": "3"}, True),
}


def write_source(path: Path, encoder: str, options: dict[str, str]) -> None:
    """Write a video whose frame n shows n, at uneven times."""
    if encoder not in av.codecs_available:
        pytest.skip(f"FFmpeg has no {encoder} here")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=30, options=options)
        stream.width, stream.height = flex_takes.BITS * flex_takes.BLOCK, 48
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1_000_000 if path.suffix != ".mkv" else 1000)
        for number, pts_us in enumerate(PTS_US):
            bits = [(number >> bit) & 1 for bit in reversed(range(flex_takes.BITS))]
            row = np.repeat(np.array(bits, dtype=np.uint8) * 255, flex_takes.BLOCK)
            image = np.ascontiguousarray(np.broadcast_to(row[None, :, None], (48, len(row), 3)))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt)
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(pts_us / 1e6 / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def shown(path: Path) -> tuple[list[int], list[float]]:
    """Return the numbers that a video shows and when, in order of presentation, by PyAV alone."""
    with av.open(str(path)) as container:
        frames = [(frame.time or 0.0, frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    return [flex_takes.number_shown(image) for _, image in frames], [float(when) for when, _ in frames]


@pytest.mark.parametrize("name", SOURCES)
def test_a_clip_shows_its_frames_and_no_others(name: str, tmp_path: Path) -> None:
    ending, encoder, options, stands_alone = SOURCES[name]
    source = tmp_path / f"source.{ending}"
    write_source(source, encoder, options)
    numbers, times_s = shown(source)
    assert numbers == list(range(COUNT))
    index = read_video_index(source)
    assert index.all_intra == stands_alone
    if "B-frames" in name and "without" not in name:
        with av.open(str(source)) as container:
            stamps = [packet.pts for packet in container.demux(video=0) if packet.size]
        assert stamps != sorted(stamps)  # else nothing was tried
    clip = tmp_path / "clip.mov"
    every = [(first, min(first + 4, COUNT - 1)) for first in range(COUNT)]
    for first, last in ((0, COUNT - 1), (0, 0), (11, 40), (59, 59), *every[:: 1 if "H.265" in name else 4]):
        cut_clip(source, clip, first, last, index)
        numbers, clip_s = shown(clip)
        assert numbers == list(range(first, last + 1)), (first, last)
        wanted_s = np.array(times_s[first : last + 1]) - times_s[first]
        np.testing.assert_allclose(clip_s, wanted_s, atol=2e-5)
        copied = [data for _, data in packets(clip, 0, last - first)]
        if stands_alone:
            assert copied == [data for _, data in packets(source, first, last, index)]
