"""A camera as a pinhole: the geometry that calibration finds and the simulation starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PinholeCamera:
    """Intrinsics in pixels and the world-to-camera pose.

    ``rotation`` is 3x3 (rows are the camera's x right, y down, z forward axes in world coordinates) and
    ``position_m`` the optical centre in world metres, z up.
    """

    width: int
    height: int
    focal_px: float
    rotation: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    position_m: tuple[float, float, float]

    @classmethod
    def looking_at(
        cls,
        position_m: tuple[float, float, float],
        target_m: tuple[float, float, float],
        width: int,
        height: int,
        focal_px: float,
    ) -> PinholeCamera:
        """Return a level camera at ``position_m`` whose optical axis passes through ``target_m``."""
        forward = np.subtract(target_m, position_m)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right = right / np.linalg.norm(right)
        down = np.cross(forward, right)
        rows = tuple((float(row[0]), float(row[1]), float(row[2])) for row in (right, down, forward))
        return cls(width, height, focal_px, (rows[0], rows[1], rows[2]), position_m)

    def project(self, points_m: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Project world points (…, 3) to pixels (…, 2) and depths in metres (…,).

        x = f X/Z + width/2, y = f Y/Z + height/2 (Hartley & Zisserman, Multiple View Geometry, 6.1).
        Points at or behind the optical centre get NaN pixels.
        """
        camera = (np.asarray(points_m, dtype=np.float64) - np.asarray(self.position_m)) @ np.asarray(self.rotation).T
        depth = camera[..., 2]
        safe = np.where(depth > 1e-6, depth, np.nan)
        pixels = np.stack(
            (
                self.focal_px * camera[..., 0] / safe + self.width / 2,
                self.focal_px * camera[..., 1] / safe + self.height / 2,
            ),
            axis=-1,
        )
        return pixels, depth
