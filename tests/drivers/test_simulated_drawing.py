from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.athlete import Athlete
from drivers.simulated.barcode import draw_barcode, read_barcode
from drivers.simulated.drawing import View
from lab.cameras import PinholeCamera


@given(
    frame_id=st.integers(0, 2**26),
    size=st.sampled_from([(1280, 720), (720, 1280), (640, 480), (320, 240)]),
    quality=st.integers(20, 100),
    shade=st.integers(0, 255),
)
@settings(max_examples=60, deadline=None)
def test_barcode_survives_jpeg(frame_id: int, size: tuple[int, int], quality: int, shade: int) -> None:
    rng = np.random.default_rng(frame_id)
    image = np.full((size[1], size[0], 3), shade, dtype=np.uint8)
    image[8:60] = rng.integers(0, 256, image[8:60].shape, dtype=np.uint8)
    draw_barcode(image, frame_id)
    data = simplejpeg.encode_jpeg(image, quality=quality, colorspace="BGR", colorsubsampling="420")
    assert read_barcode(simplejpeg.decode_jpeg(data, colorspace="BGR")) == frame_id % 2**24


def test_a_damaged_or_missing_barcode_is_no_number() -> None:
    image = np.full((240, 320, 3), 128, dtype=np.uint8)
    with pytest.raises(ValueError, match="no barcode"):
        read_barcode(image)
    with pytest.raises(ValueError, match="too small"):
        read_barcode(image[:, :100])
    draw_barcode(image, 1234)
    for cell in range(2, 30):
        damaged = image.copy()
        damaged[:8, 8 * cell : 8 * cell + 8] = 255 - damaged[:8, 8 * cell : 8 * cell + 8]
        with pytest.raises(ValueError, match="damaged"):
            read_barcode(damaged)


@pytest.mark.parametrize("position", [(0.0, 0.4, 1.0), (0.05, -0.1, 1.1), (0.0, 30.0, 9.0), (1.0, 0.0, 0.02)])
def test_a_camera_may_stand_anywhere(position: tuple[float, float, float]) -> None:
    camera = PinholeCamera.looking_at(position, (0.0, 0.1, 0.9), 320, 240, 300.0)
    view = View(camera, "view1")
    image = view.draw(Athlete(1).joints_m([12.0])[0], 5)
    assert image.shape == (240, 320, 3)
    assert image.dtype == np.uint8
    assert read_barcode(image) == 5


def test_only_the_figure_and_the_number_change() -> None:
    camera = PinholeCamera.looking_at((0.9, 4.2, 1.4), (0.0, 0.0, 0.95), 640, 360, 550.0)
    view = View(camera, "view1")
    athlete = Athlete(1)
    standing = view.draw(athlete.joints_m([0.0])[0], 1).copy()
    low = view.draw(athlete.joints_m([athlete.repetitions[0].turn_s])[0], 1).copy()
    again = view.draw(athlete.joints_m([0.0])[0], 1)
    np.testing.assert_array_equal(standing, again)
    changed = np.any(standing != low, axis=2)
    assert 0.01 < changed.mean() < 0.2
    assert not changed[:, :60].any()
    assert not changed[:, -60:].any()
