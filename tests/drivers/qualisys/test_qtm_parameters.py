"""QTM's parameters: the forms that Qualisys shows, and what is none of them."""

from __future__ import annotations

import contextlib

import pytest

from drivers.qualisys.qtm_channels import MarkerLayout, SkeletonLayout, analog_stream, axis_remark, force_stream
from drivers.qualisys.rt_parameters import AnalogDevice, BadParametersError, ForcePlate, Parameters, parse_parameters
from drivers.qualisys.rt_parameters import Skeleton as SkeletonParameters
from lab.errors import DeviceError

GENERAL = """
<QTM_Parameters_Ver_1.25>
    <General>
        <Frequency>240</Frequency>
        <External_Time_Base><Enabled>True</Enabled><Frequency_Multiplier>1</Frequency_Multiplier></External_Time_Base>
        <Camera><ID>1</ID><Model>Oqus 300</Model><Serial>7658787</Serial></Camera>
        <Camera><ID>2</ID><Model>Miqus M3</Model></Camera>
    </General>
    <The_3D>
        <AxisUpwards>+z</AxisUpwards>
        <CalibrationTime>2011.09.23 11:23:11</CalibrationTime>
        <Labels>2</Labels>
        <Label><Name>th12</Name><RGBColor>ff00ff</RGBColor></Label>
        <Label><Name> rygg höger &amp; </Name><RGBColor>00ffff</RGBColor></Label>
        <Bones><Bone From="th12" To="r_asis" Color="ffff00" /></Bones>
    </The_3D>
    <Analog>
        <Device>
            <Device_ID>1</Device_ID><Device_Name>Board 1</Device_Name><Channels>2</Channels><Frequency>2400</Frequency>
            <Range><Min>-10.0</Min><Max>10.0</Max></Range>
            <Channel><Label>Channel 1</Label><Unit>volts</Unit></Channel>
            <Channel><Label>trigger</Label><Unit/></Channel>
        </Device>
    </Analog>
    <Force>
        <Unit_Length>mm</Unit_Length><Unit_Force>N</Unit_Force>
        <Plate><Plate_ID>1</Plate_ID><Analog_Device_ID>1</Analog_Device_ID><Frequency>1000</Frequency><Name>left</Name>
            <Channels><Channel><Channel_No>1</Channel_No></Channel></Channels></Plate>
    </Force>
</QTM_Parameters_Ver_1.25>
"""
FLAT = """<Q><Skeletons><Skeleton Name="VF"><Segment Name="Hips" ID="752"><Position X="1"/></Segment>
<Segment Name="Waist" ID="753" Parent_ID="752"/></Skeleton></Skeletons></Q>"""
NESTED = """<Q><Skeletons><Skeleton Name="VF"><Scale>1.1</Scale><Segments><Segment Name="Hips" ID="752">
<DegreesOfFreedom><RotationX><Couplings><Coupling Segment="Hips" DegreeOfFreedom="RotationX"/></Couplings></RotationX>
</DegreesOfFreedom><Segment Name="Waist" ID="753"/></Segment></Segments></Skeleton></Skeletons></Q>"""


def test_all_that_is_used_is_read() -> None:
    assert parse_parameters(GENERAL) == Parameters(
        rate_hz=240.0,
        labels=("th12", "rygg höger &"),
        axis_up="+Z",
        calibrated="2011.09.23 11:23:11",
        cameras=("Oqus 300", "Miqus M3"),
        analog=(AnalogDevice(1, "Board 1", 2400.0, ("Channel 1", "trigger"), ("volts", "")),),
        plates=(ForcePlate(1, "left", 1000.0, 1),),
        force_units=("N", "mm"),
    )


@pytest.mark.parametrize("text", [FLAT, NESTED])
def test_segments_are_listed_flat_or_nested(text: str) -> None:
    assert parse_parameters(text).skeletons == (SkeletonParameters("VF", ((752, "Hips"), (753, "Waist"))),)


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Q>&b;</Q>'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "document type"),
        ('<?xml version="1.0"?><!DOCTYPE Q SYSTEM "file:///etc/passwd"><Q/>', "document type"),
        ("<Q>&unknown;</Q>", "no XML"),
        ("<Q><The_3D>", "no XML"),
        ("", "no XML"),
        ("<Q><General/></Q>", "no frequency"),
        ("<Q><General><Frequency>0</Frequency></General></Q>", "no frequency"),
        ("<Q><General><Frequency>nan</Frequency></General></Q>", "no frequency"),
        ("<Q><General><Frequency>1e300</Frequency></General></Q>", "no frequency"),
        ("<Q><The_3D><Label/></The_3D></Q>", "has no Name"),
        (f"<Q><The_3D><Label><Name>{'x' * 300}</Name></Label></The_3D></Q>", "300 letters"),
        (f"<Q><The_3D>{'<Label><Name>a</Name></Label>' * 2001}</The_3D></Q>", "more than 2000"),
        ('<Q><Skeletons><Skeleton><Segment ID="-1"/></Skeleton></Skeletons></Q>', "as its ID"),
        ("<Q><Analog><Device><Device_ID>x</Device_ID></Device></Analog></Q>", "no Device_ID"),
    ],
)
def test_what_cannot_be_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadParametersError, match=why):
        parse_parameters(text)


def test_deep_nesting_ends_well() -> None:
    depth = 100_000
    with_end = f"<Q>{'<a>' * depth}{'</a>' * depth}</Q>"
    with contextlib.suppress(BadParametersError):
        assert parse_parameters(with_end) == Parameters()


def test_what_cannot_be_told_apart_is_one_sentence() -> None:
    with pytest.raises(DeviceError, match="two markers called 'a'"):
        MarkerLayout(("a", "b", "a"), "QTM")
    with pytest.raises(DeviceError, match="one name"):
        SkeletonLayout(Parameters(skeletons=(SkeletonParameters("S", ((1, "x"), (2, "x"))),)), "QTM")
    with pytest.raises(DeviceError, match="one name"):
        SkeletonLayout(Parameters(skeletons=(SkeletonParameters("S", ((1, "x"), (1, "y"))),)), "QTM")


def test_two_skeletons_carry_their_names() -> None:
    both = Parameters(skeletons=tuple(SkeletonParameters(name, ((1, "Hips"),)) for name in ("A", "B")))
    assert SkeletonLayout(both, "QTM").names == ("A:Hips", "B:Hips")


def test_units_and_kinds_of_analogue_channels() -> None:
    found = parse_parameters(GENERAL)
    (device,) = found.analog
    spec = analog_stream(device, found, {}, None)
    assert spec.content_type == "Analog"  # a force plate is read by it, and a unit is missing
    assert [(channel.label, channel.unit) for channel in spec.channels] == [
        ("Channel 1", "volts"),
        ("trigger", "unknown"),
    ]
    voltages = AnalogDevice(2, "EMG", 2000.0, ("a", "a", "b"), ("V", "mV", "uV"))
    spec = analog_stream(voltages, Parameters(analog=(device, voltages)), {}, None)
    assert (spec.name, spec.content_type) == ("analog_2", "EMG")
    assert [(channel.label, channel.unit) for channel in spec.channels] == [
        ("a_1", "volts"),
        ("a_2", "millivolts"),
        ("b", "microvolts"),
    ]
    plate = force_stream(found.plates[0], found, {})
    assert [channel.unit for channel in plate.channels[::3]] == ["newtons", "newtons*mm", "mm"]


@pytest.mark.parametrize(
    ("axis", "said"),
    [("+Z", None), ("Z", None), ("+Y", 'up_axis = "y"'), ("-X", "no marker map"), ("", "no marker map")],
)
def test_what_points_up_is_said_unless_it_is_z(axis: str, said: str | None) -> None:
    remark = axis_remark(axis)
    assert (remark is None) == (said is None)
    assert said is None or said in str(remark)
