"""Frames that overtake each other, come twice, late or never; ids that lead to names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import wire_bytes as wire
from hypothesis import given
from hypothesis import strategies as st

from drivers.optitrack.frame_codec import MARKER, MocapFrame, Skeleton
from drivers.optitrack.frame_order import Arrived, FrameOrder
from drivers.optitrack.layout import RowFiller, differences, layout_of
from drivers.optitrack.model_codec import BodyModel, Models, SkeletonModel
from drivers.optitrack.natnet_codec import NatNetCodec
from drivers.optitrack.wire import Version
from lab.errors import DeviceError


def a_frame() -> MocapFrame:
    frame = NatNetCodec(Version(3, 1)).feed(wire.frame_31())
    assert isinstance(frame, MocapFrame)
    return frame


FRAME = a_frame()


def put(order: FrameOrder, numbers: list[int], step_s: float = 0.004) -> list[Arrived]:
    return [
        arrived
        for index, number in enumerate(numbers)
        for arrived in order.add(replace(FRAME, number=number), index * step_s)
    ]


def numbers_of(arrived: list[Arrived]) -> list[int]:
    return [each.number for each in arrived]


def test_a_frame_that_was_overtaken_takes_its_place() -> None:
    order = FrameOrder()
    came = put(order, [10, 12, 11, 13])
    assert numbers_of(came) == [10, 11, 12, 13]
    assert [each.arrival_s for each in came] == pytest.approx([0, 0.008, 0.008, 0.012])  # in order only then
    assert (order.late, order.repeated) == (0, 0)


def test_a_frame_that_never_comes_holds_up_few_and_not_for_long() -> None:
    order = FrameOrder()
    assert numbers_of(put(order, [10, 12, 13, 14, 15])) == [10]
    assert numbers_of(order.add(replace(FRAME, number=16), 0.03)) == [12, 13, 14, 15, 16]
    slow = FrameOrder()
    assert numbers_of(put(slow, [10, 12])) == [10]
    assert slow.due(0.04) == []
    (late,) = slow.due(0.06)
    assert (late.number, late.arrival_s) == (12, 0.004)
    assert numbers_of(put(slow, [11])) == []
    assert slow.late == 1


def test_giving_one_gap_up_is_not_giving_up_the_next() -> None:
    order = FrameOrder()
    assert numbers_of(put(order, [10, 12, 13, 14, 15, 17])) == [10, 12, 13, 14, 15]
    assert numbers_of(order.add(replace(FRAME, number=16), 0.024)) == [16, 17]
    assert order.late == 0


def test_the_frame_number_goes_on_beyond_its_32_bits() -> None:
    came = put(FrameOrder(), [2**32 - 2, 0, 2**32 - 1, 1])
    assert numbers_of(came) == [2**32 - 2, 2**32 - 1, 2**32, 2**32 + 1]


def test_counting_anew_is_noticed_but_not_one_stray_frame() -> None:
    order = FrameOrder()
    put(order, [5000, 5001, 3])
    assert not order.restarted
    put(order, [5002, 3, 4, 5])
    assert order.restarted


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.floats(0.001, 0.03))
def test_whatever_comes_goes_out_once_and_in_order(numbers: list[int], step_s: float) -> None:
    order = FrameOrder()
    came = put(order, numbers, step_s)
    came += order.due(1e9)
    out = numbers_of(came)
    assert out == sorted(set(out))
    assert set(out) <= set(numbers)
    assert len(out) + order.late + order.repeated == len(numbers)
    arrivals = [each.arrival_s for each in came]
    assert arrivals == sorted(arrivals)


MODELS = Models(
    marker_sets=(("Suit", ("Nose", "Chin")), ("Bar", ("L", "R")), ("Loose", ("a", "b")), ("all", ("x",) * 6)),
    bodies=(BodyModel("Bar", 5, -1, ("Left", "")), BodyModel("Box", 6, -1, ("",))),
    skeletons=(SkeletonModel("Suit", 3, (BodyModel("Hip", 1, 0, ()),)),),
)


def test_names_come_from_descriptions_then_from_marker_sets_then_from_numbers() -> None:
    layout = layout_of(MODELS)
    assert layout.markers == ("Bar:Left", "Bar:R", "Box:Marker1", "Suit:Nose", "Suit:Chin", "Loose:a", "Loose:b")
    assert layout.marker_ids == (
        (5 << 16 | 1, 0),
        (5 << 16 | 2, 1),
        (6 << 16 | 1, 2),
        (3 << 16 | 1, 3),
        (3 << 16 | 2, 4),
    )
    assert layout.sets == (("Loose", 5, 2),)
    assert layout.segments == ("Suit:Hip",)
    labels = [channel.label for channel in layout.marker_channels()]
    assert labels[:3] == ["Bar:Left_X", "Bar:Left_Y", "Bar:Left_Z"]
    assert labels[21:23] == ["Bar:Left_residual", "Bar:R_residual"]
    pose = [(channel.label, channel.type) for channel in layout.body_channels()[:8]]
    assert pose[3] == ("Bar_A", "OrientationA")
    assert pose[7] == ("Bar_error", "MeanError")


def test_rows_by_id_in_metres_with_holes() -> None:
    filler = RowFiller(layout_of(MODELS), 0.001)
    loose = np.array([[1, 2, 3], [0, 0, 0]], "<f4")
    frame = replace(FRAME, marker_sets=(("Loose", loose),))
    row = filler.markers(frame)
    positions, residuals = row[:21].reshape(7, 3), row[21:]
    np.testing.assert_allclose(positions[1], [0.0015, 0.0025, 0.0035], rtol=1e-6)
    np.testing.assert_allclose(residuals[1], 0.5e-6, rtol=1e-5)
    np.testing.assert_allclose(positions[5], [0.001, 0.002, 0.003], rtol=1e-6)
    assert np.isnan(positions[[0, 2, 3, 4, 6]]).all()
    body = filler.bodies(frame).reshape(2, 8)
    np.testing.assert_allclose(body[0], [0.0005, 0.00025, 0.002, 0.9, 0.1, 0.2, 0.3, 0.000125], rtol=1e-6)
    assert np.isnan(body[1]).all()  # not tracked
    np.testing.assert_allclose(filler.segments(frame), [0.001, 0.001, 0.001, 1, 0, 0, 0, 0.0005])


def test_markers_of_an_asset_come_from_it_where_they_are_not_among_the_labelled() -> None:
    suit = SkeletonModel("Suit", 4, (), ((1, "Nose"), (2, "Chin"), (3, "Ear")))
    filler = RowFiller(layout_of(Models(assets=(suit,))), 1.0)
    own = np.zeros(3, MARKER)
    own["id"], own["position"] = [1, 2, 3], [[1, 1, 1], [2, 2, 2], [3, 3, 3]]
    own["flags"] = [0, 0, 1]
    labelled = np.zeros(1, MARKER)
    labelled["id"], labelled["position"], labelled["flags"] = 4 << 16 | 1, [9, 9, 9], 8 | 1
    frame = replace(FRAME, markers=labelled, assets=(Skeleton(4, FRAME.bodies[:0], own),))
    positions = filler.markers(frame)[:9].reshape(3, 3)
    assert np.isnan(positions[[0, 2]]).all()  # hidden among the labelled ones, and in the asset itself
    np.testing.assert_array_equal(positions[1], [2, 2, 2])


def test_what_no_model_explains_does_not_fit() -> None:
    filler = RowFiller(layout_of(MODELS), 1.0)
    assert filler.fits(FRAME)
    stranger = np.zeros(1, MARKER)
    stranger["id"], stranger["flags"] = 8 << 16 | 1, 8
    assert not filler.fits(replace(FRAME, markers=stranger))
    stranger["flags"] = 8 | 16  # one without a label
    assert filler.fits(replace(FRAME, markers=stranger))
    bodies = FRAME.bodies.copy()
    bodies["id"][0] = 99
    assert not filler.fits(replace(FRAME, bodies=bodies))
    assert not filler.fits(replace(FRAME, marker_sets=(("Loose", np.zeros((3, 3), "<f4")),)))


def test_differences_are_named_and_additions_do_no_harm() -> None:
    layout = layout_of(MODELS)
    more = replace(MODELS, bodies=(*MODELS.bodies, BodyModel("New", 7, -1, ("",))))
    assert differences(layout, layout_of(more)) == ""
    assert differences(layout_of(more), layout) == "marker 'New:Marker1' is gone"
    swapped = replace(MODELS, marker_sets=(("Suit", ("Chin", "Nose")), *MODELS.marker_sets[1:]))
    assert differences(layout, layout_of(swapped)) == "marker 'Suit:Nose' is 'Suit:Chin' now"
    loose = replace(MODELS, marker_sets=(*MODELS.marker_sets[:2], ("Loose", ("b", "a"))))
    assert differences(layout, layout_of(loose)) == "marker set 'Loose:a, Loose:b' is 'Loose:b, Loose:a' now"


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (Models(bodies=(BodyModel("A", 1, -1, ("x", "x")),)), "two markers called 'A:x'"),
        (Models(bodies=(BodyModel("A", 1, -1, ("x",)), BodyModel("B", 1, -1, ("y",)))), "two markers with the same id"),
        (Models(marker_sets=(("S", tuple(map(str, range(5000)))),)), "more than 4096"),
    ],
)
def test_names_that_tell_nothing_apart_are_one_sentence(models: Models, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        layout_of(models)
