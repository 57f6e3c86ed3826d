"""FLEX's 21 joints, their order and the bones between them.

Source: the order is the one that the public FLEX training code remaps to (derived; the dataset's
page shows the count of 21). The two points a foot are named toe and heel here; FLEX does not name them.
"""

from __future__ import annotations

from typing import Final

JOINTS: Final[tuple[str, ...]] = (
    "head",
    "neck",
    "upper_spine",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "left_hand",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_heel",
    "right_toe",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_heel",
    "left_toe",
)

JOINT_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(JOINTS)}

#: Pairs of joint names to draw as a skeleton.
BONES: Final[tuple[tuple[str, str], ...]] = (
    ("head", "neck"),
    ("neck", "upper_spine"),
    ("upper_spine", "right_shoulder"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("right_wrist", "right_hand"),
    ("upper_spine", "left_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("left_wrist", "left_hand"),
    ("upper_spine", "right_hip"),
    ("upper_spine", "left_hip"),
    ("right_hip", "left_hip"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
    ("right_ankle", "right_heel"),
    ("right_ankle", "right_toe"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("left_ankle", "left_heel"),
    ("left_ankle", "left_toe"),
)
