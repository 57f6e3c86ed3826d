"""The picture of how times were found: whole SVG whatever is in it, and nothing that it shows is lost or made up."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from evidence import made_evidence
from hypothesis import given
from hypothesis import strategies as st

from capture.page.sync_panel import sync_panel
from capture.page.sync_picture import sync_picture
from capture.page.time_axis import TimeAxis
from lab.clock_map import ClockMap, ClockPiece

SVG = "{http://www.w3.org/2000/svg}"
AXIS = TimeAxis(3000.0, 3060.0, 3000.0, 158.0, 942.0)


def texts(picture: bytes) -> str:
    return "\n".join(text for text in ET.fromstring(picture).itertext() if text.strip())


def panel(**options: object) -> ET.Element:
    body = sync_panel(AXIS, *made_evidence(**options)).body  # type: ignore[arg-type]
    return ET.fromstring(f"<svg>{body}</svg>")


def paths(root: ET.Element, style: str) -> str:
    return "".join(path.get("d", "") for path in root.iter("path") if path.get("class") == style)


def test_a_whole_picture_says_of_each_stream_how_it_is(tmp_path) -> None:
    streams = [made_evidence("mocap"), made_evidence("emg", in_sync=False, gaps=((10, 12),)), made_evidence("vest")]
    picture = sync_picture("S12_x_A16-01", streams)
    assert picture == sync_picture("S12_x_A16-01", streams)
    said = texts(picture)
    assert said.count("in sync") == 2
    assert said.count("OUT OF SYNC") == 1
    for word in ("S12_x_A16-01", "mocap", "emg", "lost 100 in 1 gaps", "error p50 0.05 ms", "30 probes"):
        assert word in said
    root = ET.fromstring(picture)
    assert root.tag == SVG + "svg"
    assert not list(root.iter(SVG + "script"))
    width, height = (float(part) for part in root.get("viewBox", "").split()[2:])
    assert (f"{width:g}", f"{height:g}") == (root.get("width"), root.get("height"))


def test_a_long_take_makes_no_larger_a_picture() -> None:
    sizes = [len(sync_picture("t", [made_evidence(arrivals=count, probes=2)])) for count in (20_000, 1_000_000)]
    assert max(sizes) < 80_000


def test_few_arrivals_are_a_dot_each_and_many_lose_no_extreme() -> None:
    assert len(re.findall("M", paths(panel(arrivals=60), "dots"))) == 60
    evidence, report = made_evidence(arrivals=30_000)
    delay_s = np.full(evidence.arrival_s.size, 0.001)
    delay_s[15_000] = 0.00105  # within the scale, and of one column alone
    delay_s[20_000] = 0.5
    body = sync_panel(AXIS, replace(evidence, delay_s=delay_s), report).body
    root = ET.fromstring(f"<svg>{body}</svg>")
    tops = [float(number) for number in re.findall(r"V([\d.]+)", paths(root, "all"))]
    assert len(set(tops)) == 3
    assert len(re.findall("M", paths(root, "beyond"))) == 1
    assert "latest 500 ms" in "".join(root.itertext())


def test_every_gap_is_seen_however_short() -> None:
    root = panel(gaps=((10, 12.5), (30, 30.0001), (50, 50.3)))
    bands = [rect for rect in root.iter("rect") if rect.get("class") == "gap"]
    assert [float(band.get("x", "")) for band in bands] == pytest.approx(
        [158 + 942 * second / 60 for second in (10, 30, 50)], abs=1.1
    )
    assert all(float(band.get("width", "")) >= 2.0 for band in bands)
    assert len([rect for rect in panel(in_sync=False).iter("rect") if rect.get("class") in ("out", "wash")]) == 2


def test_probes_that_were_not_believed_are_told_apart() -> None:
    root = panel(probes=40, outliers=6)
    believed = len(re.findall("M", paths(root, "probe used")))
    beyond = len(re.findall("M", paths(root, "beyond"))) - len(re.findall("M", paths(panel(probes=40), "beyond")))
    other = len(re.findall("M", paths(root, "probe unused"))) + beyond
    assert believed >= 32
    assert other >= 6
    assert "6 not believed" in "".join(root.itertext())


def test_what_is_not_there_is_said() -> None:
    assert "no clock probes" in "".join(panel(probes=0).itertext())
    assert "no arrivals to fit" in "".join(panel(arrivals=0).itertext())
    assert texts(sync_picture("empty", [])) != ""
    more = [made_evidence(f"s{number}", arrivals=3, probes=2) for number in range(100)]
    assert "20 more streams are not drawn" in texts(sync_picture("many", more))


def test_a_stream_of_another_time_does_not_squeeze_the_others() -> None:
    near, far = made_evidence("near"), made_evidence("far", start_s=2e9, in_sync=False)
    said = texts(sync_picture("t", [near, far]))
    assert "its times lie elsewhere:" in said
    assert "its times lie elsewhere:" not in texts(sync_picture("t", [near, made_evidence("b", start_s=3010.0)]))
    # of streams that are all out of sync, those that lie together share an axis
    both = [(evidence, replace(report, in_sync=False)) for evidence, report in (near, made_evidence("b"))]
    assert "its times lie elsewhere:" not in texts(sync_picture("t", both))


def test_the_band_is_the_standard_error_of_the_piece_that_was_running() -> None:
    evidence, report = made_evidence(probes=30)
    flat = [np.array([1e-5, 1e-5]), np.array([4e-5, 4e-5])]
    clock = ClockMap(
        tuple(
            ClockPiece(np.array(knots), np.array([offset] * 2), error)
            for knots, offset, error in (([2900.0, 2929.0], 100.0, flat[0]), ([31.0, 60.0], 3000.0, flat[1]))
        )
    )
    body = sync_panel(AXIS, replace(evidence, clock=clock), report).body
    (band,) = [p.get("d", "") for p in ET.fromstring(f"<svg>{body}</svg>").iter("path") if p.get("class") == "band"]
    points = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", band)]
    upper, lower = points[: len(points) // 2], points[len(points) // 2 :][::-1]
    height = np.array([below[1] - above[1] for above, below in zip(upper, lower, strict=True)])
    first = np.array([x < 158 + 942 / 2 for x, _ in upper])
    assert np.ptp(height[first]) < 0.3
    assert height[~first].mean() == pytest.approx(4 * height[first].mean(), rel=0.1)


odd = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e300, -1e300, 1e-12, 3010.0])


@given(
    name=st.text(max_size=80),
    times=st.lists(odd, max_size=6),
    delays=st.lists(odd, min_size=6, max_size=6),
    trips=st.lists(odd, min_size=6, max_size=6),
)
def test_whatever_comes_it_is_a_whole_picture(name, times, delays, trips):
    evidence, report = made_evidence(arrivals=0, probes=0)
    time_s, count = np.array(times, dtype=np.float64), len(times)
    evidence = replace(
        evidence,
        arrival_s=time_s,
        delay_s=np.array(delays[:count], dtype=np.float64),
        probe_s=time_s,
        probe_error_s=np.array(delays[:count], dtype=np.float64),
        round_trip_s=np.array(trips[:count], dtype=np.float64),
        probe_used=np.arange(count) % 2 == 0,
        gaps_s=np.array([[time_s[0], time_s[-1]]]) if count else np.zeros((0, 2)),
    )
    picture = sync_picture(name, [(evidence, replace(report, stream=name)), made_evidence("good")])
    root = ET.fromstring(picture)
    for part in root.iter():
        for key in ("x", "y", "x1", "x2", "y1", "y2", "width", "height"):
            assert part.get(key) == "100%" or np.isfinite(float(part.get(key, "0"))), (part.tag, part.attrib)
        assert not re.search("nan|inf", part.get("d", ""))
