"""What an emulated Motive tracks of the virtual athlete, and how it describes it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drivers.emulators.stage import Float64, Stage
from drivers.optitrack.frame_codec import BODY, MARKER, MarkerFlag, MocapFrame, Skeleton
from drivers.optitrack.model_codec import BodyModel, Models, SkeletonModel
from drivers.optitrack.wire import SIZED, Version
from lab.joints import JOINT_INDEX, JOINTS

_ATHLETE: Final = "Athlete"
_ATHLETE_ID: Final = 1
_BAR: Final = "Barbell"
_BAR_ID: Final = 7
_WALL: Final = "Wall"
_WALL_ID: Final = 9
_PROPS: Final = "Props"
#: Where the bar's markers are along it, in metres from its middle.
_BAR_MARKERS_M: Final = np.array([-0.4, -0.3, 0.25, 0.4])
_PROPS_M: Final = np.array([[1.5, 0.5, 0.1], [1.5, -0.5, 0.1]])
_SEGMENTS: Final = (("Hip", -1), ("Chest", 1), ("Head", 2))
_STRAY_ID: Final = 50_007
#: The pose is computed for this many frames at once: a call costs about as much for one as for a hundred.
_BLOCK: Final = 64


class Scene:
    """The athlete's joints as an asset (from 4.1) or skeleton, a rigid body, a wall of markers, and a bare marker set.

    ``wall`` is how many markers the wall has; 0 is no wall.
    """

    def __init__(self, stage: Stage, version: Version, wall: int, *, y_up: bool, units_per_m: float) -> None:
        self._stage = stage
        self._version = version
        self._y_up = y_up
        self._scale = units_per_m
        self.joint_names = list(JOINTS)
        self._wall_m = np.column_stack([np.full(wall, -2.0), np.arange(wall) * 0.1, np.full(wall, 1.0)])
        self._first, self._poses = 0, np.empty((0, len(JOINTS), 3))

    def models(self) -> Models:
        """Return the description of all this."""
        version = self._version
        bar = tuple(f"End{number}" for number in range(1, len(_BAR_MARKERS_M) + 1))
        wall = tuple(f"W{number}" for number in range(1, len(self._wall_m) + 1))
        joints = tuple(self.joint_names)
        segments = tuple(BodyModel(name, number, parent, ()) for number, (name, parent) in enumerate(_SEGMENTS, 1))
        sets = [(_ATHLETE, joints), (_BAR, bar), (_PROPS, ("P1", "P2"))]
        bodies = [BodyModel(_BAR, _BAR_ID, -1, bar)]
        if wall:
            sets.insert(2, (_WALL, wall))
            bodies.append(BodyModel(_WALL, _WALL_ID, -1, wall))
        sets.append(("all", tuple(f"{owner}_{name}" for owner, names in sets for name in names)))
        figure = SkeletonModel(_ATHLETE, _ATHLETE_ID, segments, tuple(enumerate(joints, 1)))
        sized = version >= SIZED
        return Models(
            marker_sets=tuple(sets),
            bodies=tuple(bodies),
            skeletons=() if sized else (figure,),
            assets=(figure,) if sized else (),
            cameras=("Prime 13 #1", "Prime 13 #2") if version >= Version(3, 0) else (),
        )

    def frame(self, number: int, index: int, exposures_s: Any, occluded: npt.NDArray[np.bool_]) -> MocapFrame:
        """Return frame ``number`` without its times.

        ``exposures_s`` gives the host times of frames by their index, ``occluded`` (joints,) says which are hidden:
        Motive then makes their positions up from the others, here a hand's breadth off.
        """
        joints_m = self._joints_m(index, exposures_s)
        hidden_m = joints_m + np.where(occluded, 0.1, 0.0)[:, None]
        left, right = joints_m[JOINT_INDEX["left_hand"]], joints_m[JOINT_INDEX["right_hand"]]
        middle = (left + right) / 2
        yaw = float(np.arctan2(right[1] - left[1], right[0] - left[0]))
        along = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        bar_m = middle + _BAR_MARKERS_M[:, None] * along
        stray = self._turned(np.array([[0.0, 2.0, 1.0 + 0.01 * (number % 7)]]))
        athlete, bar, wall, props = (self._turned(each) for each in (hidden_m, bar_m, self._wall_m, _PROPS_M))
        sets = [(_ATHLETE, athlete), (_BAR, bar), (_PROPS, props)]
        bodies = [_body(_BAR_ID, self._turned(middle[None])[0], self._quaternion(yaw))]
        if len(wall):
            sets.insert(2, (_WALL, wall))
            bodies.append(_body(_WALL_ID, wall.mean(axis=0), (0, 0, 0, 1)))
        sets.append(("all", np.concatenate([each for _, each in sets])))
        segments_m = self._turned(
            np.stack(
                [
                    (joints_m[JOINT_INDEX["left_hip"]] + joints_m[JOINT_INDEX["right_hip"]]) / 2,
                    joints_m[JOINT_INDEX["upper_spine"]],
                    joints_m[JOINT_INDEX["head"]],
                ]
            )
        )
        segments = np.concatenate(
            [_body(_ATHLETE_ID << 16 | place, where, (0, 0, 0, 1)) for place, where in enumerate(segments_m, 1)]
        )
        labelled = [_markers(_ATHLETE_ID, athlete, occluded), _markers(_BAR_ID, bar), _markers(_WALL_ID, wall)]
        lost = _markers(0, stray)
        lost["id"], lost["flags"] = _STRAY_ID, MarkerFlag.UNLABELLED | MarkerFlag.POINT_CLOUD_SOLVED
        figure = Skeleton(_ATHLETE_ID, segments, labelled[0])
        sized = self._version >= SIZED
        return MocapFrame(
            number=number,
            marker_sets=tuple(sets),
            unlabelled=stray,
            bodies=np.concatenate(bodies),
            skeletons=() if sized else (Skeleton(_ATHLETE_ID, segments),),
            assets=(figure,) if sized else (),
            markers=np.concatenate([*labelled, lost]),
            time_code=(0, 0),
            time_s=0.0,
            mid_exposure_ticks=0,
            received_ticks=0,
            sent_ticks=0,
            flags=0,
        )

    def _joints_m(self, index: int, exposures_s: Any) -> Float64:
        if not self._first <= index < self._first + len(self._poses):
            self._first = index
            self._poses = self._stage.joints_m(exposures_s(index + np.arange(_BLOCK)))
        pose: Float64 = self._poses[index - self._first]
        return pose

    def _turned(self, positions_m: Float64) -> Float64:
        if self._y_up:
            positions_m = np.stack((positions_m[:, 0], positions_m[:, 2], -positions_m[:, 1]), axis=-1)
        scaled: Float64 = positions_m * self._scale
        return scaled

    def _quaternion(self, yaw: float) -> tuple[float, float, float, float]:
        """Return the turn about what points up, as x, y, z, w."""
        half = float(np.sin(yaw / 2))
        return (0.0, half, 0.0, float(np.cos(yaw / 2))) if self._y_up else (0.0, 0.0, half, float(np.cos(yaw / 2)))


def _body(number: int, position: Float64, turn: tuple[float, ...]) -> npt.NDArray[Any]:
    body = np.zeros(1, BODY)
    body["id"], body["position"], body["turn"], body["error"], body["flags"] = number, position, turn, 0.0003, 1
    return body


def _markers(model: int, positions: Float64, occluded: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[Any]:
    markers = np.zeros(len(positions), MARKER)
    markers["id"] = (model << 16) + np.arange(1, len(positions) + 1)
    markers["position"], markers["size"], markers["residual"] = positions, 0.014, 0.0002
    markers["flags"] = MarkerFlag.HAS_MODEL | MarkerFlag.POINT_CLOUD_SOLVED
    if occluded is not None:
        markers["flags"] |= np.where(occluded, MarkerFlag.OCCLUDED, 0).astype(np.uint16)
    return markers
