"""The words of the design: what their types refuse and keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.actions import ACTIONS
from lab.cameras import PinholeCamera
from lab.clock_map import ClockMap, ClockPiece
from lab.errors import DeviceError, FlexCaptureError, LayoutError, RequestError, RigError, TakeError
from lab.joints import BONES, JOINTS
from lab.marker_map import MarkerMap
from lab.rig import Rig
from lab.streams import StreamSpec
from lab.take import SESSION, SUBJECT, Event

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


def test_exit_codes_are_those_of_the_design() -> None:
    assert {kind: kind.exit_code for kind in (RequestError, RigError)} == {RequestError: 2, RigError: 2}
    assert {DeviceError.exit_code, TakeError.exit_code, LayoutError.exit_code, FlexCaptureError.exit_code} == {3}
    assert str(RigError("one", "two")) == "one\ntwo"


def test_actions_and_joints_are_flexs() -> None:
    assert list(ACTIONS) == [f"A{number:02d}" for number in range(1, 21)]
    assert sum(action.implement == "barbell" for action in ACTIONS.values()) == 10
    assert [action.id for action in ACTIONS.values() if action.name_confirmed] == ["A01", "A16"]
    assert len(JOINTS) == len(set(JOINTS)) == 21
    assert {joint for bone in BONES for joint in bone} == set(JOINTS)


@pytest.mark.parametrize("name", ["S12", "a", "0" * 32])
def test_subjects_that_are_possible(name: str) -> None:
    assert SUBJECT.fullmatch(name)


@pytest.mark.parametrize("name", ["", "S/12", "S 12", "..", "S12\n", "é", "0" * 33, "CON", "lpt1", "nul"])
def test_subjects_that_are_not(name: str) -> None:
    assert not SUBJECT.fullmatch(name)


@pytest.mark.parametrize("name", ["..", "-x", "a/b", "a\\b", "aux", "x" * 65])
def test_sessions_that_are_not_possible(name: str) -> None:
    assert not SESSION.fullmatch(name)


@given(offset_s=FINITE, drift=st.floats(-1e-3, 1e-3), knot_s=FINITE, reset=st.integers(1, 9))
def test_a_clock_map_follows_its_pieces(offset_s: float, drift: float, knot_s: float, reset: int) -> None:
    def piece(ahead_s: float, error_s: float, first: int) -> ClockPiece:
        knot, offset, error = (np.array([value]) for value in (knot_s, offset_s + ahead_s, error_s))
        return ClockPiece(knot, offset, error, drift, drift, 1e-7, 1e-16, first_sample=first)

    clock = ClockMap((piece(0.0, 1e-4, 0), piece(5.0, 2e-4, reset)))
    times, sample = knot_s + np.arange(-5.0, 5.0), np.arange(10)
    later = sample >= reset
    np.testing.assert_allclose(
        clock.apply(times, sample), times + offset_s + 5 * later + drift * (times - knot_s), rtol=1e-12, atol=1e-6
    )
    assert (clock.standard_error(times, sample) >= np.where(later, 2e-4, 1e-4)).all()


def test_between_knots_an_offset_is_linear_and_beyond_them_it_drifts_on_with_a_growing_error() -> None:
    piece = ClockPiece(np.array([10.0, 20.0]), np.array([1.0, 3.0]), np.array([0.1, 0.2]), 0.5, -0.5, 0.01, 3e-4)
    np.testing.assert_allclose(piece.offset([8.0, 10.0, 15.0, 20.0, 22.0]), [0.0, 1.0, 2.0, 3.0, 2.0])
    np.testing.assert_allclose(piece.standard_error([15.0, 20.0]), [0.15, 0.2])
    np.testing.assert_allclose(piece.standard_error(30.0), np.sqrt(0.04 + 0.01 + 0.1))
    assert [piece.drift(at_s) for at_s in (0.0, 15.0, 30.0)] == pytest.approx([0.5, 0.2, -0.5])


@given(st.floats(-1e9, 1e9))
def test_the_identity_changes_nothing(time_s: float) -> None:
    assert ClockMap.identity().apply(time_s) == time_s


def test_a_camera_looks_at_its_target_with_the_world_the_right_way_up() -> None:
    camera = PinholeCamera.looking_at((0.0, 4.0, 1.5), (0.0, 0.0, 1.0), 1280, 720, 900.0)
    pixels, depth = camera.project([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0], [1.0, 0.0, 1.0], [0.0, 9.0, 1.0]])
    np.testing.assert_allclose(pixels[0], (640, 360), atol=1e-9)
    assert pixels[1, 1] < 360  # higher up in the world is higher up in the image
    assert pixels[2, 0] < 640  # the athlete's right is the image's left, seen from the front
    assert depth[3] < 0
    assert np.isnan(pixels[3]).all()


def test_marker_maps_refuse_what_is_no_joint() -> None:
    with pytest.raises(ValidationError, match="tail"):
        MarkerMap(name="x", joints={"tail": {"A": 1.0}})
    with pytest.raises(ValidationError, match="head"):
        MarkerMap(name="x", joints={"head": {"A": 0.0}})
    assert set(MarkerMap.identity().joints) == set(JOINTS)


def test_a_rig_without_devices_is_none() -> None:
    with pytest.raises(ValidationError, match="1 to 64"):
        Rig.model_validate({"name": "x", "device": []})


def test_a_stream_is_named_after_its_device() -> None:
    assert StreamSpec("EMG", (), 1.0).published_name("emg") == "emg"
    assert StreamSpec("EMG", (), 1.0, name="analog").published_name("c3d") == "c3d.analog"


@given(st.sampled_from(("note", "gap", "stop")), st.text(max_size=50), st.floats(0, 1e9))
def test_an_event_survives_as_a_marker(kind: str, text: str, session_s: float) -> None:
    event = Event(session_s=session_s, kind=kind, text=text)
    assert Event.of_marker(session_s, event.marker) == event
