"""What a server tracks as channels, and its frames as rows of them. Ids lead to names; order in a frame means nothing.

A labelled marker's id is its model's, shifted by 16, and its number in the model, from 1 on. The names are those of
the model's description or, where a version has none there, of the marker set that is called like the model. Marker sets
of no model come by their order in the description, as the protocol gives them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drivers.channels import position_channels
from drivers.optitrack.frame_codec import MarkerFlag, MocapFrame
from drivers.optitrack.model_codec import BodyModel, Models
from lab.errors import DeviceError
from lab.streams import Channel

Float32 = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

#: Marker set of all markers of all others.
_ALL: Final = "all"
_MODEL_SHIFT: Final = 16
_IN_MODEL: Final = 0xFFFF
_TRACKED: Final = 1
_NOT_SEEN: Final = int(MarkerFlag.OCCLUDED | MarkerFlag.UNLABELLED)
_OF_A_MODEL: Final = int(MarkerFlag.HAS_MODEL | MarkerFlag.UNLABELLED)
_BODY_COLUMNS: Final = 8
#: What a stream may have, so that a server that means harm costs bounded memory.
_MOST_LABELS: Final = 4096
#: Frames nearly always list the same ids in the same order.
_MOST_ORDERS: Final = 64


@dataclass(frozen=True)
class Layout:
    """Names by their place in each stream. Two layouts are equal where all streams are the same.

    ``marker_ids`` and ``sets`` (name, first row, markers) lead to rows of ``markers``; ``body_ids`` to those of
    ``bodies``, ``segment_ids`` (skeleton's id, segment's id) to those of ``segments``.
    """

    markers: tuple[str, ...]
    marker_ids: tuple[tuple[int, int], ...]
    sets: tuple[tuple[str, int, int], ...]
    bodies: tuple[str, ...]
    body_ids: tuple[int, ...]
    segments: tuple[str, ...]
    segment_ids: tuple[tuple[int, int], ...]

    def marker_channels(self) -> tuple[Channel, ...]:
        """Return X, Y and Z of each marker, then the residual of each, all in metres."""
        residuals = tuple(Channel(f"{label}_residual", "meters", "Residual", label) for label in self.markers)
        return position_channels(self.markers, "meters") + residuals

    def body_channels(self) -> tuple[Channel, ...]:
        """Return position, orientation (w first) and mean marker error of each rigid body."""
        return tuple(channel for label in self.bodies for channel in _pose_channels(label))

    def segment_channels(self) -> tuple[Channel, ...]:
        """Return position, orientation (w first) and mean marker error of each segment."""
        return tuple(channel for label in self.segments for channel in _pose_channels(label))


def _pose_channels(label: str) -> tuple[Channel, ...]:
    turn = tuple(Channel(f"{label}_{part}", "normalized", f"Orientation{part}", label) for part in "ABCD")
    return (*position_channels((label,), "meters"), *turn, Channel(f"{label}_error", "meters", "MeanError", label))


def layout_of(models: Models, *, labelled: bool = True) -> Layout:
    """Return the streams that come of what a server tracks.

    Without ``labelled`` markers, before 2.3, all markers come by their sets. Raises DeviceError where names do not tell
    things apart.
    """
    sets = dict(models.marker_sets)
    labels: list[str] = []
    ids: list[tuple[int, int]] = []
    owners: set[str] = set()

    def add(owner: str, model: int, markers: Sequence[tuple[int, str]]) -> None:
        owners.add(owner)
        for member, name in markers:
            ids.append(((model & _IN_MODEL) << _MODEL_SHIFT | member & _IN_MODEL, len(labels)))
            labels.append(f"{owner}:{name or f'Marker{member & _IN_MODEL}'}")

    for body in models.bodies if labelled else ():
        add(body.name, body.id, _numbered(_marker_names(body, sets)))
    for skeleton in models.skeletons if labelled else ():
        add(skeleton.name, skeleton.id, _numbered(sets.get(skeleton.name, ())))
    for asset in models.assets:
        if asset.name not in owners:
            add(asset.name, asset.id, asset.markers or _numbered(sets.get(asset.name, ())))
    places: list[tuple[str, int, int]] = []
    for name, markers in models.marker_sets:
        if name not in owners and name != _ALL:
            places.append((name, len(labels), len(markers)))
            labels += [f"{name}:{marker or f'Marker{number}'}" for number, marker in enumerate(markers, 1)]
    segments = [
        (f"{skeleton.name}:{segment.name}", (skeleton.id, segment.id & _IN_MODEL))
        for skeleton in (*models.skeletons, *models.assets)
        for segment in skeleton.bodies
    ]
    layout = Layout(
        markers=tuple(labels),
        marker_ids=tuple(ids),
        sets=tuple(places),
        bodies=tuple(body.name for body in models.bodies),
        body_ids=tuple(body.id for body in models.bodies),
        segments=tuple(name for name, _ in segments),
        segment_ids=tuple(number for _, number in segments),
    )
    _check_names(layout)
    return layout


def _marker_names(body: BodyModel, sets: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return names from the body's own description, each from the marker set of its name where that has none."""
    beside = sets.get(body.name, ())
    if not body.markers:
        return beside
    return tuple(
        own or (beside[index] if len(beside) == len(body.markers) else "") for index, own in enumerate(body.markers)
    )


def _numbered(names: Sequence[str]) -> list[tuple[int, str]]:
    return list(enumerate(names, 1))


def _check_names(layout: Layout) -> None:
    for what, names, ids in (
        ("markers", layout.markers, [number for number, _ in layout.marker_ids]),
        ("rigid bodies", layout.bodies, list(layout.body_ids)),
        ("segments", layout.segments, list(layout.segment_ids)),
    ):
        if len(names) > _MOST_LABELS:
            raise DeviceError(f"Motive has {len(names)} {what}, more than {_MOST_LABELS}; stream fewer")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DeviceError(f"Motive has two {what} called '{twice[0]}'; rename one of them")
        if len(set(ids)) < len(ids):
            raise DeviceError(f"Motive streams two {what} with the same id; give each asset a streaming id of its own")


class RowFiller:
    """Puts frames into rows of a layout."""

    def __init__(self, layout: Layout, metres: float) -> None:
        """``metres`` is the length of the server's unit."""
        self.layout = layout
        self._metres = np.float32(metres)
        self._marker_rows = dict(layout.marker_ids)
        self._set_rows = {name: (first, count) for name, first, count in layout.sets}
        self._body_rows = {number: row for row, number in enumerate(layout.body_ids)}
        self._segment_rows = {number: row for row, number in enumerate(layout.segment_ids)}
        self._orders: dict[tuple[int | None, bytes], tuple[Rows, Rows, Rows]] = {}

    def markers(self, frame: MocapFrame) -> Float32:
        """Return the positions of all markers, then their residuals, (markers * 4,) in metres.

        A marker that was not seen is NaN: a position that Motive made up for an occluded one is none.
        """
        count = len(self.layout.markers)
        row = np.full(4 * count, np.nan, np.float32)
        positions, residuals = row[: 3 * count].reshape(count, 3), row[3 * count :]
        listed = np.zeros(count, np.bool_)
        self._put_markers(positions, residuals, listed, frame.markers, None)
        for asset in frame.assets:  # whose markers are those among the labelled ones, as far as they are there
            self._put_markers(positions, residuals, listed, asset.markers, asset.id)
        for name, said in frame.marker_sets if self._set_rows else ():
            first, size = self._set_rows.get(name, (0, 0))
            if size == len(said) > 0:
                there = np.flatnonzero((said != 0).any(axis=1))  # one that is not seen stands at the origin
                positions[first + there] = said[there] * self._metres
        return row

    def bodies(self, frame: MocapFrame) -> Float32:
        """Return the poses of rigid bodies (bodies * 8,), NaN where one is not tracked."""
        row = np.full((len(self.layout.bodies), _BODY_COLUMNS), np.nan, np.float32)
        for body in frame.bodies:
            self._put_pose(row, self._body_rows.get(int(body["id"])), body)
        return row.reshape(-1)

    def segments(self, frame: MocapFrame) -> Float32:
        """Return the poses of skeletons' segments (segments * 8,), NaN where one is not tracked."""
        row = np.full((len(self.layout.segments), _BODY_COLUMNS), np.nan, np.float32)
        for skeleton in (*frame.skeletons, *frame.assets):
            for body in skeleton.bodies:
                self._put_pose(row, self._segment_rows.get((skeleton.id, int(body["id"]) & _IN_MODEL)), body)
        return row.reshape(-1)

    def fits(self, frame: MocapFrame) -> bool:
        """Whether all that the frame tracks is what the models said."""
        if any(int(number) not in self._body_rows for number in frame.bodies["id"]):
            return False
        for skeleton in (*frame.skeletons, *frame.assets):
            for number in skeleton.bodies["id"]:
                if (skeleton.id, int(number) & _IN_MODEL) not in self._segment_rows:
                    return False
        if any(name in self._set_rows and self._set_rows[name][1] != len(said) for name, said in frame.marker_sets):
            return False
        if not len(frame.markers):
            return True
        flags = frame.markers["flags"][self._places(frame.markers)[2]]
        return not (flags & _OF_A_MODEL == MarkerFlag.HAS_MODEL).any()

    def _put_markers(
        self, positions: Float32, residuals: Float32, listed: npt.NDArray[np.bool_], found: Any, model: int | None
    ) -> None:
        """Put in what is seen of the markers whose rows are not ``listed``; ``model`` is that of all of them, if so."""
        if not len(found):
            return
        taken, rows, _ = self._places(found, model)
        fresh = ~listed[rows]
        listed[rows] = True
        fresh &= (found["flags"][taken] & _NOT_SEEN) == 0
        taken, rows = taken[fresh], rows[fresh]
        positions[rows] = found["position"][taken] * self._metres
        residuals[rows] = found["residual"][taken] * self._metres

    def _put_pose(self, row: Float32, place: int | None, body: Any) -> None:
        if place is None or not body["flags"] & _TRACKED:
            return
        turn = body["turn"]
        row[place, :3] = body["position"] * self._metres
        row[place, 3:7] = turn[3], turn[0], turn[1], turn[2]
        row[place, 7] = body["error"] * self._metres

    def _places(self, found: npt.NDArray[Any], model: int | None = None) -> tuple[Rows, Rows, Rows]:
        """Return which of the frame's markers are known, their rows, and which are not known."""
        key = (model, found["id"].tobytes())
        places = self._orders.get(key)
        if places is None:
            ids = found["id"].tolist()
            if model is not None:
                ids = [(model & _IN_MODEL) << _MODEL_SHIFT | number & _IN_MODEL for number in ids]
            taken = [index for index, number in enumerate(ids) if number in self._marker_rows]
            rows = [self._marker_rows[ids[index]] for index in taken]
            unknown = [index for index, number in enumerate(ids) if number not in self._marker_rows]
            places = np.array(taken, np.intp), np.array(rows, np.intp), np.array(unknown, np.intp)
            if len(self._orders) >= _MOST_ORDERS:
                self._orders.clear()
            self._orders[key] = places
        return places


def differences(old: Layout, new: Layout) -> str:
    """Return what of ``old`` is gone or has another name in ``new``, in a few words; empty where nothing is.

    What has been added does no harm: ids of before still mean the same.
    """
    after = _names_by_id(new)
    for key, name in _names_by_id(old).items():
        if key not in after:
            return f"{key[0]} '{name}' is gone"
        if after[key] != name:
            return f"{key[0]} '{name}' is '{after[key]}' now"
    return ""


def _names_by_id(layout: Layout) -> dict[tuple[str, object], str]:
    """Return all names by what they name and its id."""
    names: dict[tuple[str, object], str] = {}
    names |= {("marker", number): layout.markers[row] for number, row in layout.marker_ids}
    for name, first, count in layout.sets:
        names["marker set", name] = ", ".join(layout.markers[first : first + count])
    names |= {("rigid body", number): name for number, name in zip(layout.body_ids, layout.bodies, strict=True)}
    names |= {("segment", number): name for number, name in zip(layout.segment_ids, layout.segments, strict=True)}
    return names
