"""The tree that FLEX's public training code loads: pictures, skeletons, sEMG and lists, by action and sample.

    A16/001/View-1/img_00001.JPG … img_00103.JPG     Skeleton/A16/001/skeleton_points.csv
    EMG/A16/001/EMG.csv                               Split_4/split_4_train_list.mat, split_4_test_list.mat

Source: FLEX's public training code (``HaoYin116/FLEX_AQA_Dataset``), read, not copied.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.joints import JOINTS
from storage.display_matrix import display_matrix
from storage.video_reader import VideoIndex, bgr_image, frames_between, packets, read_video_index

#: Every repetition is resampled to so many frames.
RELEASE_FRAMES: Final = 103

_JPEG_QUALITY: Final = 95
_START, _END, _HUFFMAN, _SCAN = b"\xff\xd8", b"\xff\xd9", b"\xff\xc4", b"\xff\xda"
#: The text of a MAT-file's header, without the time of writing that scipy puts there.
_MAT_TEXT: Final = b"MATLAB 5.0 MAT-file, written by flex-capture".ljust(116)


def sample_name(sample: int) -> str:
    """Return the name of a sample: ``001``."""
    return f"{sample:03d}"


def pictures_folder(action: str, sample: int, view: str) -> str:
    """Return the folder of one view's pictures, relative to the tree: ``A16/001/View-1``."""
    return f"{action}/{sample_name(sample)}/View-{view.removeprefix('view')}"


def skeleton_file(action: str, sample: int) -> str:
    """Return the file of a sample's skeleton, relative to the tree."""
    return f"Skeleton/{action}/{sample_name(sample)}/skeleton_points.csv"


def emg_file(action: str, sample: int) -> str:
    """Return the file of a sample's sEMG, relative to the tree."""
    return f"EMG/{action}/{sample_name(sample)}/EMG.csv"


def list_file(part: str) -> str:
    """Return the file of the list of samples of a ``part``, train or test, relative to the tree."""
    return f"Split_4/split_4_{part}_list.mat"


def rows_at_release_frames(time_s: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the rows (103,) nearest to evenly spaced times from the first row's to the last's; there must be a row.

    ``time_s`` (rows,) ascends. Where there are fewer rows than frames some come several times.
    """
    at_s = np.linspace(time_s[0], time_s[-1], RELEASE_FRAMES)
    right = np.clip(np.searchsorted(time_s, at_s), 0, len(time_s) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(at_s - time_s[left] <= time_s[right] - at_s, left, right)


def skeleton_csv(positions_m: npt.NDArray[np.float64]) -> bytes:
    """Encode joint positions (103, 21, 3): a header, then 63 numbers a row, x, y, z of each joint; NaN where absent."""
    header = ",".join(f"{joint}_{axis}" for joint in JOINTS for axis in "xyz")
    return _csv(positions_m.reshape(len(positions_m), -1), header)


def emg_csv(values_uv: npt.NDArray[np.float32]) -> bytes:
    """Encode sEMG (samples, columns) in microvolt: no header, a row a sample."""
    return _csv(values_uv, "")


def _csv(values: npt.NDArray[Any], header: str) -> bytes:
    line = ",".join(["%.7g"] * values.shape[1])
    rows = [line % tuple(row) for row in values.tolist()]
    return ("\n".join(([header] if header else []) + rows) + "\n").replace("nan", "NaN").encode()


def list_mat(part: str, rows: Sequence[tuple[int, int, float]]) -> bytes:
    """Encode the list of a part, train or test: ``consolidated_<part>_list`` with rows (class 1 to 20, sample, score).

    The same rows give the same bytes.
    """
    from scipy.io import savemat

    sink = io.BytesIO()
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    savemat(sink, {f"consolidated_{part}_list": table})
    return _MAT_TEXT + sink.getvalue()[len(_MAT_TEXT) :]


def write_pictures(clip: Path, folder: Path, numbers: Sequence[int]) -> None:
    """Write the frames ``numbers`` of a clip as ``img_00001.JPG``, ``img_00002.JPG`` … into a folder, which is made.

    Frames that are whole JPEGs already, as in Motion JPEG, are copied bit for bit, others, and those that are to be
    turned, encoded upright (quality 95).
    Numbers beyond the clip's last frame mean the last. Raises FileFormatError where the clip cannot be read, OSError
    where the folder cannot be written.
    """
    index = read_video_index(clip)
    last = len(index.pts_us) - 1
    wanted: dict[int, list[int]] = {}
    for place, number in enumerate(numbers, start=1):
        wanted.setdefault(min(max(int(number), 0), last), []).append(place)
    folder.mkdir(parents=True)
    for number, jpeg in _jpegs(clip, index, set(wanted)):
        for place in wanted.pop(number, ()):
            (folder / f"img_{place:05d}.JPG").write_bytes(jpeg)
    if wanted or last < 0:
        from lab.errors import FileFormatError

        raise FileFormatError(f"{clip}: frame {min(wanted, default=0)} cannot be decoded; validate the dataset.")


def _jpegs(clip: Path, index: VideoIndex, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
    """Yield (number, JPEG) of the wanted frames."""
    import simplejpeg

    if not len(index.pts_us):
        return
    number_at = {int(pts_us): number for number, pts_us in enumerate(index.pts_us)}
    left = set(wanted)
    if index.codec == "mjpeg" and display_matrix(clip) is None:
        for pts_us, data in packets(clip, min(wanted), max(wanted), index):
            number = number_at.get(pts_us, -1)
            if number in left and _stands_alone(data):
                left.discard(number)
                yield number, data
    if not left:
        return
    for pts_us, frame in frames_between(clip, int(index.pts_us[min(left)]), int(index.pts_us[max(left)])):
        number = number_at.get(pts_us, -1)
        if number in left:
            image = np.ascontiguousarray(bgr_image(frame))
            yield number, simplejpeg.encode_jpeg(image, quality=_JPEG_QUALITY, colorspace="BGR")


def _stands_alone(data: bytes) -> bool:
    """Tell whether a frame of Motion JPEG is a JPEG file as it is: some cameras leave the Huffman tables out."""
    return data.startswith(_START) and data.rstrip(b"\0").endswith(_END) and _HUFFMAN in data[: data.find(_SCAN)]
