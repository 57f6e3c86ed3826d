"""Markers, or a vendor's own joints, into FLEX's 21 joints, in metres and z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from calibration.units import length_factor_m
from lab.errors import FileFormatError, RigError
from lab.joints import JOINT_INDEX, JOINTS
from lab.marker_map import MarkerMap

_PACKAGED: Final = Path(__file__).with_name("marker_maps")


@dataclass(frozen=True)
class MarkerMatch:
    """Where a map's markers stand in a source.

    ``columns`` maps each marker that the map names to its index in the source. ``unused`` are the
    source's labels that no joint needs, ``absent`` the joints that the map leaves out.
    """

    columns: dict[str, int]
    unused: tuple[str, ...]
    absent: tuple[str, ...]


def load_marker_map(path: Path) -> MarkerMap:
    """Read a map file. Raises RigError with every mistake in it."""
    from pydantic import ValidationError

    from storage.toml_file import read_toml, validation_sentences

    try:
        return MarkerMap.model_validate(read_toml(path))
    except FileFormatError as error:
        raise RigError(*error.problems) from error
    except ValidationError as error:
        raise RigError(*validation_sentences(path, error)) from error


def packaged_map_names() -> tuple[str, ...]:
    """Return the names of the maps that come with the program."""
    return tuple(sorted(path.stem for path in _PACKAGED.glob("*.toml")))


def packaged_map(name: str) -> MarkerMap:
    """Return a map that comes with the program. Raises RigError where there is none called ``name``."""
    names = packaged_map_names()
    if name not in names:
        raise RigError(
            f"there is no marker map '{name}' in the program ({', '.join(names)});"
            " for a file of your own give its path, ending in .toml"
        )
    return load_marker_map(_PACKAGED / f"{name}.toml")


def find_marker_map(reference: str, rig_folder: Path) -> MarkerMap:
    """Return what a rig's ``marker_map`` means: a packaged map by its bare name, else a file.

    A relative path is relative to ``rig_folder``. Raises RigError where there is no such map or it is wrong.
    """
    if "/" in reference or "\\" in reference or reference.endswith(".toml"):
        return load_marker_map(rig_folder / reference)
    return packaged_map(reference)


def match_markers(labels: Sequence[str], marker_map: MarkerMap) -> MarkerMatch:
    """Find the map's markers among a source's labels.

    A label may carry its subject, as in ``S12:LASI``, in the source, in the map, in both or in neither: the
    same spelling comes first, then the same name after the colon. Raises RigError with a sentence for each
    marker that the source lacks or has more than once.
    """
    wanted = dict.fromkeys(marker for weights in marker_map.joints.values() for marker in weights)
    columns: dict[str, int] = {}
    problems: list[str] = []
    for marker in wanted:
        found = [index for index, label in enumerate(labels) if label == marker] or [
            index for index, label in enumerate(labels) if _bare(label) == _bare(marker) and _may_match(label, marker)
        ]
        if len(found) == 1:
            columns[marker] = found[0]
        elif found:
            several = ", ".join(labels[index] for index in found[:4])
            problems.append(
                f"marker map '{marker_map.name}': marker '{marker}' could be any of {several};"
                " write it with its subject, or rename the markers"
            )
        else:
            problems.append(
                f"marker map '{marker_map.name}': the source has no marker '{marker}'{_nearest(marker, labels)}"
            )
    if problems:
        raise RigError(*problems)
    used = set(columns.values())
    return MarkerMatch(
        columns=columns,
        unused=tuple(label for index, label in enumerate(labels) if index not in used),
        absent=tuple(joint for joint in JOINTS if joint not in marker_map.joints),
    )


def joints_from_markers(
    labels: Sequence[str], positions: npt.NDArray[np.floating], unit: str, marker_map: MarkerMap
) -> npt.NDArray[np.float64]:
    """Return the joints, float64 (frames, 21, 3) in metres, z up.

    ``positions`` is (frames, markers, 3) in ``unit``, its markers called ``labels``. A joint is the weighted
    mean of its markers, NaN in a frame in which any of them is missing (not finite), and NaN throughout where
    the map leaves it out. A source with y up is turned by a quarter about x: (x, y, z) -> (x, -z, y), which
    keeps left and right.

    Raises RigError for an unknown unit and for markers that the source lacks.
    """
    source = np.asarray(positions)
    if source.ndim != 3 or source.shape[1:] != (len(labels), 3):
        raise ValueError(f"positions of shape {source.shape} do not fit {len(labels)} markers")
    factor_m = length_factor_m(unit)
    columns = match_markers(labels, marker_map).columns
    joints_m = np.full((len(source), len(JOINTS), 3), np.nan)
    for joint, weights in marker_map.joints.items():
        markers = source[:, [columns[marker] for marker in weights]].astype(np.float64)
        markers[~np.isfinite(markers).all(axis=2)] = np.nan
        share = np.array(list(weights.values()))
        # Not einsum or matmul: their order of summation may differ between machines.
        mean = sum(markers[:, index] * part for index, part in enumerate(share / share.sum()))
        joints_m[:, JOINT_INDEX[joint]] = mean * factor_m
    if marker_map.up_axis == "y":
        joints_m = np.stack((joints_m[..., 0], -joints_m[..., 2], joints_m[..., 1]), axis=-1)
    return joints_m


def _bare(label: str) -> str:
    return label.rpartition(":")[2]


def _may_match(label: str, marker: str) -> bool:
    """Tell whether at most one of two equal bare names carries a subject: two subjects are two people."""
    return ":" not in label or ":" not in marker


def _nearest(marker: str, labels: Sequence[str]) -> str:
    bare = {_bare(label).lower(): label for label in labels}
    near = [bare[name] for name in get_close_matches(_bare(marker).lower(), list(bare), n=3, cutoff=0.5)]
    if near:
        return f"; nearest are {', '.join(near)}"
    return f"; it has {', '.join(labels[:8])}{' …' if len(labels) > 8 else ''}" if labels else "; it has no markers"
