"""A loader of FLEX's release tree, written from the description of the tree alone; it knows nothing of the exporter.

What the description says: pictures in ``A01..A20/001../View-1/img_00001.JPG … img_00103.JPG``; a skeleton of 103 rows
and 63 numeric columns under a header row; sEMG without a header; lists of rows (class, sample, score) in ``Split_4``.
sEMG columns: classes 1 2 4 5 14 16 use columns 0 (left) and 2 (right); 3 6 15 20 use 1 and 3; 7 17 18 19 use 0 and 1;
8 to 13 average 0, 1 and 2, 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.io import loadmat

FRAMES = 103


@dataclass(frozen=True)
class Loaded:
    """One sample: pictures by view (103, height, width, 3), skeleton (103, 21, 3), left and right sEMG (samples,)."""

    category: int
    sample: int
    score: float
    pictures: dict[int, np.ndarray]
    skeleton: np.ndarray
    left: np.ndarray
    right: np.ndarray


class ReleaseLoader:
    def __init__(self, root: Path, part: str, views: tuple[int, ...] = (1, 2)) -> None:
        content = loadmat(str(root / "Split_4" / f"split_4_{part}_list.mat"))
        self.root, self.views = root, views
        self.rows = content[f"consolidated_{part}_list"]
        assert self.rows.ndim == 2
        assert self.rows.shape[1] == 3

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Loaded:
        category, sample, score = int(self.rows[place][0]), int(self.rows[place][1]), float(self.rows[place][2])
        action, name = f"A{category:02d}", f"{sample:03d}"
        pictures = {view: self._pictures(self.root / action / name / f"View-{view}") for view in self.views}
        table = pd.read_csv(self.root / "Skeleton" / action / name / "skeleton_points.csv")
        assert table.shape == (FRAMES, 63)
        emg = pd.read_csv(self.root / "EMG" / action / name / "EMG.csv", header=None).to_numpy(dtype=np.float64)
        left, right = self._sides(category, emg)
        skeleton = table.to_numpy(dtype=np.float64).reshape(FRAMES, 21, 3)
        return Loaded(category, sample, score, pictures, skeleton, left, right)

    def _pictures(self, folder: Path) -> np.ndarray:
        names = sorted(path.name for path in folder.iterdir())
        assert names == [f"img_{number:05d}.JPG" for number in range(1, FRAMES + 1)]
        return np.stack([cv2.imread(str(folder / name)) for name in names])

    @staticmethod
    def _sides(category: int, emg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if category in (1, 2, 4, 5, 14, 16):
            return emg[:, 0], emg[:, 2]
        if category in (3, 6, 15, 20):
            return emg[:, 1], emg[:, 3]
        if category in (7, 17, 18, 19):
            return emg[:, 0], emg[:, 1]
        return emg[:, 0:2].mean(axis=1), emg[:, 2:4].mean(axis=1)
