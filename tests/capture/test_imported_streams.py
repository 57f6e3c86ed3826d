"""What the streams of a file of others are called: by the rig, by themselves, and each by a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.imported_streams import check_named_streams, name_streams
from capture.rig_file import BoundRig, load_rig
from capture.stream_query import matches_query
from drivers.publish import clock_source_id
from lab.errors import RigError
from lab.streams import CLOCK_LABELS, COUNTER_LABEL, MARKERS_SOURCE, PROBES_LABELS, PROBES_NAME, Channel
from storage.xdf_header import build_header, parse_header
from storage.xdf_reader import XdfStream, read_xdf
from storage.xdf_writer import XdfWriter

ONE = (Channel("one"),)
RIG = """
name = "theirs"

[[device]]
name = "mocap"
driver = "simulated.mocap"

[[stream]]
name = "amp"
source_id = "amp-1"

[[stream]]
name = "cue"
query = "type='Markers' and desc/channels/channel/label='text'"
"""


@pytest.fixture
def rig(tmp_path: Path) -> BoundRig:
    (tmp_path / "rig.toml").write_text(RIG)
    return load_rig(tmp_path / "rig.toml")


@pytest.fixture
def streams_of(tmp_path: Path) -> Callable[..., tuple[XdfStream, ...]]:
    """Write streams of one sample each, None where there is none, and read them back."""

    def write(*headers: str, empty: Sequence[int] = ()) -> tuple[XdfStream, ...]:
        path = tmp_path / "theirs.xdf"
        path.unlink(missing_ok=True)
        writer = XdfWriter(path)
        for number, xml in enumerate(headers, start=1):
            writer.stream_header(number, xml)
            header = parse_header(xml)
            row = [["text"]] if header.format == "string" else np.zeros((1, header.channel_count), dtype="<f8")
            if number not in empty:
                writer.samples(number, [5.0], row)
        writer.close()
        return read_xdf(path).streams

    return write


def theirs(name: str, kind: str = "EEG", source: str = "", channels: tuple[Channel, ...] = ONE) -> str:
    return build_header(name, kind, channels, 0.0, "double64", source_id=source)


def ours(device: str, source: str, *, clock: bool = False) -> str:
    channels = tuple(Channel(label) for label in CLOCK_LABELS) if clock else (*ONE, Channel(COUNTER_LABEL))
    name, source_id = (f"{device}.clock", clock_source_id(source)) if clock else (device, source)
    said = {"version": "1", "device": device}
    return build_header(name, "Misc", channels, 0.0, "double64", source_id=source_id, flex_capture=said)


def test_streams_are_called_by_the_rig_and_their_clocks_with_them(
    rig: BoundRig, streams_of: Callable[..., tuple[XdfStream, ...]]
) -> None:
    text = build_header("Cues", "Markers", (Channel("text"),), 0.0, "string")
    named = name_streams(
        streams_of(
            ours("emg", "flex-capture/a/emg/emg/1"), ours("emg", "flex-capture/a/emg/emg/1", clock=True),
            ours("mocap", "flex-capture/a/mocap/mocap/1"), theirs("Amp", source="amp-1"), text,
        ),
        rig,
    )  # fmt: skip
    assert [(one.name, one.device) for one in named.streams] == [
        ("emg", "emg"), ("emg.clock", "emg"), ("mocap", "mocap"), ("amp", "amp"), ("cue", "cue")
    ]  # fmt: skip
    assert named.missing == ()
    assert [one.is_clock for one in named.streams] == [False, True, False, False, False]


def test_no_two_streams_have_one_name_and_none_that_of_something_else(
    rig: BoundRig, streams_of: Callable[..., tuple[XdfStream, ...]]
) -> None:
    probes = build_header(PROBES_NAME, "Clock", tuple(map(Channel, PROBES_LABELS)), 0.0, "double64")
    marks = build_header("FlexMarkers", "Markers", ONE, 0.0, "string", source_id=MARKERS_SOURCE)
    named = name_streams(
        streams_of(
            theirs("Muse", "EEG"), theirs("Muse", "ACC"), theirs("Muse", "ACC"), theirs("amp"), theirs("mocap"),
            theirs("view1"), theirs("größe/../x"), theirs(""), theirs("Muse-3"), probes, marks,
        ),
        rig,
    )  # fmt: skip
    names = [one.name for one in named.streams]
    assert names == [
        "Muse.EEG", "Muse-2", "Muse-3", "amp.EEG", "mocap.EEG", "view1.EEG", "gr_e_.._x", "stream8", "Muse-3_"
    ]  # fmt: skip
    assert all(one.device == one.name for one in named.streams)  # no latency of a device of ours
    assert named.missing == ("amp", "cue")


def test_of_two_that_fit_the_one_with_samples_is_meant(
    rig: BoundRig, streams_of: Callable[..., tuple[XdfStream, ...]]
) -> None:
    headers = (theirs("A", source="amp-1"), theirs("A", source="amp-1"))
    (named,) = [one for one in name_streams(streams_of(*headers, empty=(1,)), rig).streams if one.name == "amp"]
    assert named.stream.stream_id == 2
    with pytest.raises(RigError, match=r"2 streams of the file match: 'A' \(EEG, source_id 'amp-1', id 1\)"):
        name_streams(streams_of(*headers), rig)


def test_what_cannot_become_a_dataset_is_said(streams_of: Callable[..., tuple[XdfStream, ...]]) -> None:
    emg = build_header("E", "EMG", (Channel("a", "apples", "EMG"),), 1000.0, "double64")
    slow = build_header("S", "EMG", (Channel("a", "volts", "EMG"),), 10.0, "double64")
    markers = tuple(Channel(f"LASI_{axis}", "meters", f"Position{axis}", "LASI") for axis in "XYZ")
    mocap = build_header("M", "MoCap", markers, 100.0, "double64")
    named = name_streams(streams_of(emg, slow, mocap, theirs("fine")), None).streams
    with pytest.raises(RigError) as refused:
        check_named_streams(named, None)
    said = refused.value.problems
    assert len(said) == 3
    for sentence, words in zip(said, ("stream 'E'", "stream 'S' sends sEMG at 10 Hz", "no FLEX joints"), strict=True):
        assert words in sentence
    assert "--rig" in said[-1]


@given(
    name=st.text(max_size=20),
    kind=st.text(max_size=20),
    source=st.text(max_size=20),
    host=st.text(max_size=20),
    label=st.text(max_size=20),
)
def test_whatever_a_stream_says_of_itself_a_query_can_be_answered(
    name: str, kind: str, source: str, host: str, label: str
) -> None:
    xml = build_header(name, kind, (Channel(label),), 100.0, "float32", source_id=source, hostname=host)
    header = parse_header(xml)
    assert matches_query("channel_count=1 and nominal_srate=100", header)
    assert not matches_query("channel_count=2", header)
    assert matches_query("count(desc/channels/channel)=1", header)
    with pytest.raises(RigError, match="is no LSL query"):
        matches_query("channel_count=", header)
