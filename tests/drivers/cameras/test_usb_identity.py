"""A camera is the one with the serial number, or in the port, that the rig names; /dev/videoN is nobody's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_v4l2 import plug_in

from drivers.cameras.usb_identity import find_camera, list_cameras
from lab.errors import DeviceError


def test_a_camera_is_listed_once_with_what_it_says_of_itself(tmp_path: Path) -> None:
    node = plug_in(tmp_path, 0, "1-2.3", "AB12")
    (camera,) = list_cameras(tmp_path)
    assert (camera.path, camera.serial, camera.port, camera.manufacturer) == (str(node), "AB12", "1-2.3", "Maker")
    assert camera.name == "Fake camera"


@pytest.mark.parametrize("wanted", ["serial:AB12", "port:1-2.3", "port:pci-0000:00:14.0-usb-0:1-2.3:1.0"])
def test_it_is_found_by_serial_and_port_whatever_its_number(tmp_path: Path, wanted: str) -> None:
    yesterday, today = tmp_path / "yesterday", tmp_path / "today"
    plug_in(yesterday, 0, "1-2.3", "AB12")
    plug_in(yesterday, 2, "1-4", "CD34")
    plug_in(today, 0, "1-4", "CD34")
    plug_in(today, 2, "1-2.3", "AB12")
    assert find_camera(wanted, yesterday).path.endswith("video0")
    assert find_camera(wanted, today).path.endswith("video2")


def test_it_is_found_by_a_path_and_by_a_link(tmp_path: Path) -> None:
    node = plug_in(tmp_path, 0, "1-2", "AB12")
    link = next((tmp_path / "dev/v4l/by-id").glob("*index0"))
    assert find_camera(str(node), tmp_path).serial == "AB12"
    assert find_camera(str(link), tmp_path).serial == "AB12"


def test_none_and_two_are_one_sentence_with_what_is_there(tmp_path: Path) -> None:
    plug_in(tmp_path, 0, "1-2", "SAME")
    plug_in(tmp_path, 2, "1-4", "SAME")
    with pytest.raises(DeviceError, match=r"2 cameras are 'serial:SAME'.*port:1-2.*port:1-4") as two:
        find_camera("serial:SAME", tmp_path)
    with pytest.raises(DeviceError, match=r"no camera 'serial:OTHER'; there is .*serial:SAME") as none:
        find_camera("serial:OTHER", tmp_path)
    assert len(two.value.problems) == len(none.value.problems) == 1
    for wanted in ("serial:", "port:", "port:1-9", "/dev/video77", "", "serial"):
        with pytest.raises(DeviceError, match="there is no camera"):
            find_camera(wanted, tmp_path)


def test_without_any_camera_it_says_so(tmp_path: Path) -> None:
    assert list_cameras(tmp_path) == []
    with pytest.raises(DeviceError, match="there is no camera 'serial:AB12', and no other; plug"):
        find_camera("serial:AB12", tmp_path)


def test_a_node_without_usb_goes_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "sys/class/video4linux/video7").mkdir(parents=True)
    (tmp_path / "sys/class/video4linux/video7/name").write_text("platform camera\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/video7").touch()
    assert find_camera(str(tmp_path / "dev/video7"), tmp_path).name == "platform camera"
