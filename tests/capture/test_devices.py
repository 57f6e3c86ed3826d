"""What is there is found, named as a rig names it, and a search that fails or hangs hides nothing."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import serial.tools.list_ports

from capture.device_search import SEARCHES
from capture.rig_file import load_rig
from drivers.discovery import Found
from drivers.registry import BUILT_IN, find_driver
from lab.errors import DeviceError
from storage.toml_file import read_toml

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for nothing but what a test asks for: this computer may have cameras."""
    for kind in list(SEARCHES):
        monkeypatch.delitem(SEARCHES, kind)


@pytest.fixture
def outlet() -> Iterator[None]:
    import pylsl

    info = pylsl.StreamInfo("EMG of lab 2", "EMG", 2, 1000, "float32", 'their "own" id')
    made = pylsl.StreamOutlet(info)
    yield
    del made


def searching(monkeypatch: pytest.MonkeyPatch, kind: str, look: Callable[[float], Any]) -> None:
    monkeypatch.setattr("drivers.serial_ports.look", look, raising=False)
    monkeypatch.setitem(SEARCHES, kind, "drivers.serial_ports:look")


def usb_port(**more: Any) -> SimpleNamespace:
    known = {"device": "/dev/ttyUSB0", "vid": 0x0403, "manufacturer": "FTDI", "product": "FT231X", "description": "n/a"}
    return SimpleNamespace(**known | {"serial_number": "DM01", "hwid": "USB"} | more)


def test_what_is_found_may_stand_in_a_rig_as_it_is(
    flex_capture: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outlet: None
) -> None:
    searching(
        monkeypatch,
        "cameras",
        lambda _: [
            Found("simulated.mocap", "a system\n[[device]]\x1b[2J", {"seed": 3}),
            Found("simulated.mocap", "another", {}, "it\r\nis new"),
        ],
    )
    done = flex_capture("devices", "--seconds", 1)
    assert done.code == 0
    path = tmp_path / "lab.toml"
    path.write_text('name = "pasted"\n' + done.out, encoding="utf-8")
    rig = load_rig(path).rig
    assert [(device.name, device.driver) for device in rig.device] == [
        ("mocap", "simulated.mocap"),
        ("mocap_2", "simulated.mocap"),
    ]
    assert [(stream.name, stream.source_id) for stream in rig.stream] == [("emg_of_lab_2", 'their "own" id')]
    plain = json.loads(flex_capture("devices", "--seconds", 1, "--json").out)
    assert plain[0]["found"][0]["device"] == {"name": "mocap", "driver": "simulated.mocap", "seed": 3}


def test_a_search_that_fails_or_hangs_hides_no_other(flex_capture: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    thread: list[threading.Thread] = []

    def hang(_: float) -> list[Found]:
        thread.append(threading.current_thread())
        let_go.wait(20)
        return [Found("never.seen", "late")]

    def fail(_: float) -> list[Found]:
        raise DeviceError("the bus is gone; plug it in")

    monkeypatch.setattr("drivers.serial_ports.hang", hang, raising=False)
    monkeypatch.setattr("drivers.serial_ports.fail", fail, raising=False)
    monkeypatch.setitem(SEARCHES, "slow things", "drivers.serial_ports:hang")
    monkeypatch.setitem(SEARCHES, "broken things", "drivers.serial_ports:fail")
    monkeypatch.setitem(SEARCHES, "unknown things", "drivers.nowhere:look")
    searching(monkeypatch, "good things", lambda _: [Found("simulated.vest", "a vest")])
    done = flex_capture("devices", "--seconds", 0.5)
    let_go.set()
    thread[0].join()
    assert done.code == 1
    assert "slow things: could not be looked for (did not end within 0.5 s)" in done.out
    assert "the bus is gone; plug it in" in done.out
    assert "ModuleNotFoundError" in done.out
    assert 'name = "vest"' in done.out
    assert "never.seen" not in done.out


def test_serial_ports_have_their_usb_names_unless_a_driver_knows_them(
    flex_capture: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [usb_port(), usb_port(device="/dev/ttyUSB1", serial_number=None), usb_port(device="/dev/ttyS0", vid=None)]
    monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: sorted(ports, key=lambda port: port.device))
    monkeypatch.setattr("drivers.serial_ports.sorted", list, raising=False)
    monkeypatch.setitem(SEARCHES, "serial ports", "drivers.serial_ports:find_serial_ports")
    searching(monkeypatch, "amplifiers", lambda _: [Found("our.amplifier", "an amplifier", {"port": "/dev/ttyUSB1"})])
    done = flex_capture("devices", "--seconds", 0.5)
    assert "# FTDI FT231X, serial number DM01, at /dev/ttyUSB0" in done.out
    assert done.out.count("/dev/ttyUSB1") == 1
    assert "ttyS0" not in done.out


def test_a_port_that_a_driver_knows_by_another_name_is_listed_once(
    flex_capture: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: [usb_port()])
    monkeypatch.setitem(SEARCHES, "serial ports", "drivers.serial_ports:find_serial_ports")
    known = Found("our.amplifier", "an amplifier", {"port": "usb:DM01"}, port="/dev/ttyUSB0")
    searching(monkeypatch, "amplifiers", lambda _: [known])
    done = flex_capture("devices", "--seconds", 0.5)
    assert 'port = "usb:DM01"' in done.out
    assert "/dev/ttyUSB0" not in done.out


def test_all_drivers_are_listed_with_all_their_keys(flex_capture: Run) -> None:
    done = flex_capture("devices", "--drivers")
    assert done.code == 0
    for name in BUILT_IN:
        (after,) = [part for part in done.out.split("\n\n") if part.startswith(f"{name}\n")]
        for key, field in find_driver(name).Config.model_fields.items():
            assert f"    {key} " in after
            assert field.description in after
    assert flex_capture("devices", "--drivers", "simulated.vest").out.count("simulated.") == 1
    assert flex_capture("devices", "--drivers", "nobody").code == 2
    assert flex_capture("devices", "simulated.vest").code == 2


def test_a_rig_is_written_by_answering(
    flex_capture: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outlet: None
) -> None:
    searching(monkeypatch, "cameras", lambda _: [Found("simulated.vest", "a vest"), Found("simulated.emg", "an emg")])
    answers = [
        'the "big" lab',
        "y", "straps",  # the vest
        "n",  # no sEMG
        "y", "emg",  # the LSL stream
        "?", "simulated.camera", "",  # view1 is suggested
        "no.such.driver", "replay.csv", "straps", "Wrong Name", "forces",
        "a.csv", "fast", '["a"]', "Force", "y",  # fast is no rate
        "a.csv", "100", '["a"]', "Force",
        "",
    ]  # fmt: skip
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))
    path = tmp_path / "lab.toml"
    done = flex_capture("rig", "new", path, "--seconds", 1)
    assert done.code == 0, done.err
    rig = load_rig(path).rig
    assert rig.name == 'the "big" lab'
    assert rig.reference_view == "view1"
    assert [(one.name, one.driver) for one in rig.device] == [
        ("straps", "simulated.vest"),
        ("view1", "simulated.camera"),
        ("forces", "replay.csv"),
    ]
    assert rig.device[2].options["rate_hz"] == 100
    assert [one.name for one in rig.stream] == ["emg"]
    text = path.read_text(encoding="utf-8")
    assert "# drift_ppm = 60.0  # How much the vest's clock runs fast, in ppm." in text
    again = flex_capture("rig", "new", path, "--yes")
    assert again.code == 2
    assert "exists already" in again.err
    assert path.read_text(encoding="utf-8") == text


def test_what_is_commented_out_may_be_uncommented(
    flex_capture: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching(monkeypatch, "cameras", lambda _: [Found("simulated.camera", "a camera"), Found("simulated.emg", "emg")])
    path = tmp_path / "lab.toml"
    assert flex_capture("rig", "new", path, "--yes", "--seconds", 0.5).code == 0
    lines = path.read_text(encoding="utf-8").splitlines()
    settings = [line[2:] for line in lines if line.startswith("# ") and " = " in line and " = …" not in line]
    assert len(settings) > 30
    for line in settings:
        (tmp_path / "one.toml").write_text(line, encoding="utf-8")
        assert len(read_toml(tmp_path / "one.toml")) == 1
    whole = [line[2:] if line.startswith("# ") and line[2:] in settings else line for line in lines]
    path.write_text("\n".join(whole), encoding="utf-8")
    load_rig(path)


def test_a_rig_of_nothing_is_not_written(flex_capture: Run, tmp_path: Path) -> None:
    done = flex_capture("rig", "new", tmp_path / "lab.toml", "--yes", "--seconds", 0.5)
    assert done.code == 2
    assert "nothing is written" in done.err
    assert list(tmp_path.iterdir()) == []
    assert flex_capture("rig", "new", tmp_path / "no" / "lab.toml", "--yes").code == 2


def test_a_rig_is_checked_without_starting_it(flex_capture: Run, project: Path, tmp_path: Path) -> None:
    good = flex_capture("rig", "check", project / "examples" / "rigs" / "simulated-small.toml")
    assert good.code == 0
    assert "simulated.camera" in good.out
    bad = tmp_path / "bad.toml"
    bad.write_text('name = "x"\n[[device]]\nname = "a"\ndriver = "simulated.vest"\nrate = 1\n[[device]]\nname = "a"\n')
    wrong = flex_capture("rig", "check", bad)
    assert wrong.code == 2
    assert "driver is missing" in wrong.err
