"""Videos that are to be turned: clips keep it, pictures are upright."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import FileFormatError
from storage.display_matrix import display_matrix, matrix_of_frame, upright, write_display_matrix
from storage.release_tree import write_pictures
from storage.video_reader import cut_clip, decode_frames, packets, transcode_to_jpeg

WIDTH, HEIGHT, COUNT = 64, 48, 6
ONE, W = 1 << 16, 1 << 30
#: By quarters counterclockwise and whether mirrored after that, the matrix; from ISO/IEC 14496-12, worked out by hand.
MATRICES = {
    (0, True): (-ONE, 0, 0, 0, ONE, 0, 0, 0, W),
    (1, False): (0, -ONE, 0, ONE, 0, 0, 0, 0, W),
    (1, True): (0, -ONE, 0, -ONE, 0, 0, 0, 0, W),
    (2, False): (-ONE, 0, 0, 0, -ONE, 0, 0, 0, W),
    (2, True): (ONE, 0, 0, 0, -ONE, 0, 0, 0, W),
    (3, False): (0, ONE, 0, -ONE, 0, 0, 0, 0, W),
    (3, True): (0, ONE, 0, ONE, 0, 0, 0, 0, W),
}
PLAIN = (ONE, 0, 0, 0, ONE, 0, 0, 0, W)


def stored_image() -> np.ndarray:
    """Return a picture that looks different from every side: each quarter has its own brightness."""
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[: HEIGHT // 2, : WIDTH // 2], image[: HEIGHT // 2, WIDTH // 2 :] = 240, 160
    image[HEIGHT // 2 :, : WIDTH // 2] = 80
    return image


def shown_image(quarters: int, *, mirrored: bool = False) -> np.ndarray:
    turned = np.rot90(stored_image(), quarters)
    return turned[:, ::-1] if mirrored else turned


def film(path: Path, codec: str = "mjpeg") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(COUNT):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored_image(), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def near(image: np.ndarray, other: np.ndarray) -> bool:
    return image.shape == other.shape and float(np.abs(image.astype(int) - other).mean()) < 6


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
@pytest.mark.parametrize("turn", list(MATRICES))
def test_clips_are_turned_as_their_video_and_pictures_stand_upright(
    tmp_path: Path, codec: str, turn: tuple[int, bool]
) -> None:
    video = film(tmp_path / "phone.mov", codec)
    write_display_matrix(video, MATRICES[turn])
    clip = tmp_path / "clip.mov"
    cut_clip(video, clip, 1, 4)
    if codec == "mjpeg":
        assert [data for _, data in packets(clip, 0, 3)] == [data for _, data in packets(video, 1, 4)]
    write_pictures(clip, tmp_path / "pictures", [0, 3])
    pictures = [path.read_bytes() for path in sorted((tmp_path / "pictures").iterdir())]
    for matrix in (display_matrix(video), display_matrix(clip)):
        assert matrix == MATRICES[turn]
    if not turn[1]:
        with av.open(str(clip)) as container:
            assert (next(container.decode(video=0)).rotation - 90 * turn[0]) % 360 == 0
    expected = shown_image(turn[0], mirrored=turn[1])
    images = [simplejpeg.decode_jpeg(data, colorspace="BGR") for data in [*pictures, transcode_to_jpeg(clip, 99)[0][0]]]
    for image in (*images, *decode_frames(clip, [0, 2]), *decode_frames(video, [5])):
        assert near(image, expected)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_others_turn_it_the_same_way(tmp_path: Path, quarters: int) -> None:
    import cv2

    video = film(tmp_path / "phone.mov")
    write_display_matrix(video, MATRICES[quarters, False])
    cut_clip(video, tmp_path / "clip.mov", 0, 3)
    capture = cv2.VideoCapture(str(tmp_path / "clip.mov"))  # turns by itself
    image = capture.read()[1]
    capture.release()
    assert near(image, shown_image(quarters))
    with av.open(str(video)) as container:  # and reads the same matrix
        assert matrix_of_frame(next(container.decode(video=0))) == display_matrix(video)


def test_a_video_that_is_not_to_be_turned_stays_as_it_is(tmp_path: Path) -> None:
    video = film(tmp_path / "lab.mov")
    assert display_matrix(video) is None
    cut_clip(video, tmp_path / "clip.mov", 0, 3)
    before = (tmp_path / "clip.mov").read_bytes()
    for matrix in (PLAIN, (0,) * 9):
        write_display_matrix(video, matrix)
        assert display_matrix(video) is None
        cut_clip(video, tmp_path / "clip.mov", 0, 3)
        assert (tmp_path / "clip.mov").read_bytes() == before
    write_pictures(tmp_path / "clip.mov", tmp_path / "pictures", [2])
    (_, data), *_ = packets(video, 2, 2)
    assert (tmp_path / "pictures" / "img_00001.JPG").read_bytes() == data
    assert upright(stored_image(), None).tobytes() == stored_image().tobytes()


def test_files_that_are_no_mov_are_asked_by_their_first_frame(tmp_path: Path) -> None:
    assert display_matrix(film(tmp_path / "lab.avi")) is None
    (tmp_path / "none.mov").write_bytes(b"nothing of the kind")
    with pytest.raises(FileFormatError, match=r"none\.mov"):
        display_matrix(tmp_path / "none.mov")


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_damaged_files_never_do_worse_than_be_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    whole = bytearray(film(folder / "lab.mov").read_bytes())
    moov = whole.index(b"moov")
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(moov - 4, min(moov + 400, len(whole) - 1)))] = data.draw(st.integers(0, 255))
    path = folder / "torn.mov"
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole)))])
    try:
        matrix = display_matrix(path)
    except FileFormatError:
        return
    assert matrix is None or len(matrix) == 9
