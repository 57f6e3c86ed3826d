"""Where an image ends, and whether it is whole."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from pictures import HEIGHT, WIDTH, picture, without_tables

from drivers.cameras.jpeg_bytes import read_head, whole_jpeg

IMAGE = picture(12)


@pytest.mark.parametrize("padding", [b"", b"\0", bytes(4096), b"\xff" * 7, b"\r\n", picture(11)[100:]])
def test_padding_is_cut_off(padding: bytes) -> None:
    assert whole_jpeg(IMAGE + padding) == (IMAGE, WIDTH, HEIGHT)


def test_an_image_cut_anywhere_is_not_whole() -> None:
    for end in range(len(IMAGE)):
        assert whole_jpeg(IMAGE[:end]) is None
        assert whole_jpeg(IMAGE[:end] + bytes(50)) is None


def test_what_is_spliced_with_the_next_image_is_not_whole() -> None:
    assert whole_jpeg(IMAGE[: len(IMAGE) // 2] + picture(13)) is None


def test_images_without_tables_are_whole() -> None:
    bare = without_tables(IMAGE)
    assert len(bare) < len(IMAGE)
    assert whole_jpeg(bare + b"\0\0") == (bare, WIDTH, HEIGHT)
    assert simplejpeg.decode_jpeg(bare).shape == (HEIGHT, WIDTH, 3)


def test_a_preview_inside_does_not_end_the_image() -> None:
    preview = picture(3, 64, 48)
    segment = b"\xff\xe1" + (len(preview) + 8).to_bytes(2, "big") + b"Exif\0\0" + preview
    image = IMAGE[:2] + segment + IMAGE[2:]
    assert whole_jpeg(image + b"\0") == (image, WIDTH, HEIGHT)


def test_fill_bytes_restart_markers_and_other_kinds_of_frames() -> None:
    """By hand from T.81: SOI, fill, SOF2 of 5 lines and 3 columns, SOS, data with a stuffed 0xFF and RST0, EOI."""
    sof = bytes.fromhex("ffc2 000b 08 0005 0003 01 01 11 00")
    sos = bytes.fromhex("ffda 0008 01 01 00 00 3f 00")
    image = b"\xff\xd8\xff" + sof + sos + bytes.fromhex("12ff0034ffd056") + b"\xff\xd9"
    assert whole_jpeg(image + b"\xff\xd9") == (image, 3, 5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8" + b"\xff" * 5000,
        b"\xff\xd8" + b"\xff\xd0" * 5000,
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 100_000,
        b"\xff\xd8\xff\xe0\x00\x01",
        b"\xff\xd8\xff\xda\x00\x02\xff\xd9",
        b"GIF89a",
    ],
)
def test_what_is_no_image_is_none(data: bytes) -> None:
    assert whole_jpeg(data) is None


@given(st.binary(max_size=400), st.integers(0, 2**31), st.binary(max_size=4))
def test_garbage_never_raises(garbage: bytes, place: int, patch: bytes) -> None:
    whole_jpeg(garbage)
    whole_jpeg(b"\xff\xd8" + garbage)
    read_head(garbage)
    at = place % len(IMAGE)
    found = whole_jpeg(IMAGE[:at] + patch + IMAGE[at + len(patch) :])
    assert found is None or found[0][:2] == b"\xff\xd8"
    assert found is None or found[0][-2:] == b"\xff\xd9"


def test_sizes_are_those_of_the_decoder() -> None:
    for width, height in ((64, 48), (333, 17), (1280, 720)):
        data = simplejpeg.encode_jpeg(np.zeros((height, width, 3), np.uint8))
        found = whole_jpeg(data)
        assert found is not None
        assert found[1:] == (width, height)
