"""The driver against an emulated base: values, places, rates, silence, faults."""

from __future__ import annotations

import socket
import time
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from trigno_bench import base, joined, opened, read_for, refused

from drivers.delsys.trigno import Trigno, TrignoConfig
from drivers.host_clock import LslClock
from lab.errors import DeviceError


def _microvolts(volts: Any) -> Any:
    return (np.asarray(volts, dtype=np.float64) * 1e6).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [{}, {"segment_bytes": [40, 400]}, {"mss": 400}, {"mss": 1460}])
def test_every_sample_is_what_was_sent_however_it_was_cut(cut: dict[str, Any]) -> None:
    with base(drift_ppm=50.0, **cut) as (served, options):
        with opened(options, labels={1: "left biceps", 9: "right biceps"}) as driver:
            specs = {spec.name: spec for spec in driver.streams()}
            pieces = read_for(driver, 1.5)
            assert driver.remarks == ()
        assert list(specs) == ["emg", "aux"]
        assert [channel.label for channel in specs["emg"].channels[::8]] == ["left biceps", "right biceps"]
        assert {(channel.unit, channel.type) for channel in specs["emg"].channels} == {("microvolts", "EMG")}
        assert [(c.label, c.unit, c.type) for c in specs["aux"].channels[:2]] == [
            ("left biceps_ACC_X", "g", "AccelerationX"),
            ("left biceps_ACC_Y", "g", "AccelerationY"),
        ]
        assert (specs["emg"].rate_hz, specs["aux"].rate_hz) == (2000.0, pytest.approx(148.148148, abs=1e-5))
        assert {spec.counter_origin for spec in specs.values()} == {"host"}
        assert specs["emg"].serial == "0222"
        assert "serial SID-1001" in specs["emg"].details["sensor_1"]
        values, counters = joined(pieces["emg"])
        assert len(values) > 1000
        assert (np.diff(counters) == 1).all()
        assert np.array_equal(values, _microvolts(served.sent("emg")[counters]))
        assert (np.abs(values).max(axis=0) > 3).all()
        values, counters = joined(pieces["aux"])
        assert (np.diff(counters) == 1).all()
        sent = served.sent("aux")[counters].reshape(-1, 16, 9)[:, :, :3].reshape(-1, 48)
        assert np.array_equal(values, sent)
        at_rest_g = np.linalg.norm(values.reshape(-1, 16, 3), axis=2)
        assert 0.5 < np.median(at_rest_g) < 1.5
        for chunks in pieces.values():
            arrivals = [piece.arrival_s for piece in chunks]
            assert arrivals == sorted(arrivals)
            assert all(np.isnan(piece.device_time_s) for piece in chunks)
        assert list(served.commands)[-2:] == ["STOP", "QUIT"]
        assert not any("CHANNEL 0" in command for command in served.commands)
        assert served.state.refused == []


@pytest.mark.slow
@pytest.mark.parametrize("index_base", [0, 1])
def test_sensors_are_where_the_guide_says(index_base: int) -> None:
    """The guide's 6.1.3: a Quattro in slot 1 has places 0 to 3, and pushes an Avanti in slot 7 to place 8."""
    config = {"paired": (1, 7), "quattro": (1,), "index_base": index_base, "aux_channels": 6}
    with base(**config) as (served, options), opened(options) as driver:
        emg, aux = driver.streams()
        pieces = read_for(driver, 0.5)
        labels = [f"sensor_1_{number}" for number in (1, 2, 3, 4)]
        assert [channel.label for channel in emg.channels] == [*labels, "sensor_7"]
        assert [channel.label for channel in aux.channels[6:]] == [
            *(f"sensor_7_ACC_{axis}" for axis in "XYZ"),
            *(f"sensor_7_GYRO_{axis}" for axis in "XYZ"),
        ]
        assert {channel.unit for channel in aux.channels} == {"g", "degrees/s"}
        values, counters = joined(pieces["emg"])
        assert np.array_equal(values, _microvolts(served.sent("emg")[counters][:, [0, 1, 2, 3, 8]]))
        values, counters = joined(pieces["aux"])
        assert np.array_equal(values, served.sent("aux")[counters][:, [*range(6), *range(72, 78)]])
        assert driver.remarks == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "asked", "rate_hz"),
    [
        ({"backwards_compatibility": True, "upsample": False}, {}, 15 / 0.0135),
        ({"backwards_compatibility": False, "emg_samples": 26}, {}, 26 / 0.0135),
        ({"backwards_compatibility": False, "emg_samples": 29, "aux_samples": 1}, {}, 29 / 0.0135),
        ({"backwards_compatibility": True}, {"backwards_compatibility": False}, 26 / 0.0135),
        ({"backwards_compatibility": False}, {"backwards_compatibility": True, "upsample": True}, 2000.0),
        ({"old": True}, {}, 2000.0),
        ({"old": True, "upsample": False}, {}, 26 / 0.0135),
    ],
)
def test_the_rate_is_found(settings: dict[str, Any], asked: dict[str, Any], rate_hz: float) -> None:
    with base(**settings) as (_, options), opened(options, **asked) as driver:
        emg, aux = driver.streams()
        assert emg.rate_hz == pytest.approx(rate_hz, rel=1e-9)
        assert aux.rate_hz == pytest.approx(settings.get("aux_samples", 2) / 0.0135, rel=1e-9)
        assert [remark for remark in driver.remarks if "old" not in remark] == []


def test_an_old_server_is_read_on_its_legacy_ports() -> None:
    with base(old=True) as (served, options), opened(options) as driver:
        emg, aux = driver.streams()
        pieces = read_for(driver, 0.5)
        (remark,) = driver.remarks
        assert remark.endswith(f"EMG port {options['emg_port']}; the legacy ports of an old server are read instead")
        assert len(emg.channels) == 16
        assert [(c.label, c.unit) for c in aux.channels[:3]] == [(f"sensor_1_ACC_{axis}", "g") for axis in "XYZ"]
        for name, factor in (("emg", 1e6), ("aux", 1.0)):
            values, counters = joined(pieces[name])
            sent = served.sent(f"legacy_{name}")[counters].astype(np.float64)
            assert np.array_equal(values, (sent * factor).astype(np.float32))


def test_hearts_and_forces_are_a_stream_of_their_own() -> None:
    types = {2: "F", 3: "21", 4: "6"}
    with base(paired=(1, 2, 3, 4), types=types) as (served, options), opened(options) as driver:
        emg, other, _ = driver.streams()
        pieces = read_for(driver, 0.5)
        assert [channel.label for channel in emg.channels] == ["sensor_1"]
        assert [(c.label, c.unit, c.type) for c in other.channels] == [
            ("sensor_2", "microvolts", "ECG"),
            ("sensor_3", "microvolts", "ECG"),
            ("sensor_4", "volts", "Misc"),
        ]
        values, counters = joined(pieces["other"])
        sent = served.sent("emg")[counters].astype(np.float64)
        assert np.array_equal(values, (sent[:, 1:4] * [1e6, 1e6, 1.0]).astype(np.float32))


def test_only_paired_and_active_sensors_are_channels() -> None:
    with base(paired=(3, 5, 16), inactive=(5,), aux_channels=0) as (_, options), opened(options) as driver:
        (emg,) = driver.streams()
        assert [channel.label for channel in emg.channels] == ["sensor_3", "sensor_16"]
        assert driver.remarks == ("sensor 5 of the Trigno base is paired but not active, and is not recorded",)


def test_without_aux_nothing_of_it_is_asked_for() -> None:
    with base() as (_, options), opened(options, aux=False, aux_port=1) as driver:
        assert [spec.name for spec in driver.streams()] == ["emg"]
        assert list(read_for(driver, 0.3)) == ["emg"]


def test_silent_sensors_are_named() -> None:
    with base(paired=(1, 2, 3), silent=(2,)) as (_, options), opened(options, labels={2: "left triceps"}) as driver:
        (remark,) = driver.remarks
        assert remark == "left triceps: all samples are zero; is the sensor on, charged and near the base?"


def test_a_wrong_port_is_told_by_its_zeros() -> None:
    """What axopy/pytrigno#5 met: sensors of more than four channels, read from a legacy port."""
    with base(aux_channels=6) as (_, options):
        wrong = {**options, "emg_port": options["legacy_emg_port"]}
        with opened(wrong) as driver:
            assert f"all channels of the Trigno's EMG port {wrong['emg_port']} are zero" in driver.remarks[0]


def test_another_sensor_than_said_is_noticed() -> None:
    """Places counted wrongly by one show as a channel at zero and another that nobody claims."""
    with base(paired=(2, 3)) as (served, options):
        real = served.state.places()
        served.state.places = lambda: {slot: (first + 1, count) for slot, (first, count) in real.items()}  # type: ignore[method-assign]
        served.state.reply = _shifted(served.state.reply)  # type: ignore[method-assign]
        with opened(options) as driver:
            assert "sensor_2: all samples are zero" in driver.remarks[0]
            assert "sends something at place 4 of a row" in driver.remarks[1]


def _shifted(reply: Any) -> Any:
    """Return replies whose STARTINDEX is one too low."""
    return lambda command: (
        str(int(reply(command)) - 1) if command.endswith("STARTINDEX?") and reply(command).isdigit() else reply(command)
    )


def test_a_base_that_sends_for_a_program_that_was_killed_is_taken_over() -> None:
    with base(streaming=True) as (served, options), opened(options) as driver:
        values, counters = joined(read_for(driver, 0.5)["emg"])
        assert "was still sending" in driver.remarks[0]
        assert np.array_equal(values, _microvolts(served.sent("emg")[counters]))


def test_a_killed_client_is_followed_by_the_next() -> None:
    with base() as (_, options):
        killed = Trigno(TrignoConfig.model_validate(options), LslClock())
        killed.open()
        for port in killed._ports:
            port.link.close()
        assert killed._command is not None
        killed._command.close()  # as the system closes what a killed process had
        with opened(options) as driver:
            assert "was still sending" in driver.remarks[0]
            assert joined(read_for(driver, 0.3)["emg"])[1][0] > 0
        killed.close()


def test_big_endian_rows_of_a_server_that_will_not_change() -> None:
    with base() as (served, options):
        reply = served.state.reply
        served.state.big_endian = True
        served.state.reply = lambda command: "INVALID COMMAND" if "ENDIAN LITTLE" in command else reply(command)  # type: ignore[method-assign]
        with opened(options) as driver:
            values, counters = joined(read_for(driver, 0.3)["emg"])
            assert np.array_equal(values, _microvolts(served.sent("emg")[counters]))


def test_a_wrong_byte_order_never_becomes_samples() -> None:
    with base() as (served, options):
        reply = served.state.reply
        served.state.reply = lambda command: "OK" if "ENDIAN LITTLE" in command else reply(command)  # type: ignore[method-assign]
        served.state.big_endian = True
        with pytest.raises(DeviceError, match="make no sense"), opened(options):
            pass


@pytest.mark.slow
def test_silence_is_an_error_and_opening_again_works() -> None:
    with base(stall_after_s=1.5) as (served, options), opened(options, stall_s=0.5) as driver:
        with pytest.raises(DeviceError, match=r"sent nothing on its (EMG|AUX) port for 0.5 s"):
            read_for(driver, 10.0)
        driver.open()
        _, counters = joined(read_for(driver, 0.3)["emg"])
        assert counters[0] < 4000
        assert (np.diff(counters) == 1).all()
        assert served.commands.count("START") == 2


@pytest.mark.slow
def test_a_base_that_goes_away_is_an_error_and_opening_again_works() -> None:
    with base(disconnect_after_s=1.5) as (_, options), opened(options) as driver:
        with pytest.raises(DeviceError, match=r"closed the connection|broke off"):
            read_for(driver, 10.0)
        driver.open()
        assert len(joined(read_for(driver, 0.3)["emg"])[0]) > 100


@pytest.mark.slow
@pytest.mark.parametrize("aux_samples", [1, 2, 14])
def test_what_came_with_the_end_of_the_connection_is_not_lost(aux_samples: int) -> None:
    """Whichever of the connections has the least waiting in it."""
    config = {"backwards_compatibility": False, "emg_samples": 60, "aux_samples": aux_samples}
    with base(disconnect_after_s=1.5, **config) as (served, options), opened(options) as driver:
        last = {}
        time.sleep(1.2)  # all that follows waits in the computer
        try:
            while True:
                piece = driver.read()
                if piece is not None:
                    last[piece.stream] = int(piece.counters[-1])
        except DeviceError:
            pass
        assert last == {name: len(served.sent(name)) - 1 for name in ("emg", "aux")}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"paired": ()}, "no sensor of the Trigno base is paired and active"),
        ({"paired": (2,), "inactive": (2,)}, "no sensor of the Trigno base is paired and active"),
        ({"armed": True}, "waits for its start trigger; disarm it"),
        ({"refuses_start": True}, r"does not start \(CANNOT COMPLETE\)"),
        ({"old": True, "quattro": (1, 2, 3, 4)}, None),
    ],
)
def test_what_is_set_up_wrongly_is_one_sentence(config: dict[str, Any], sentence: str | None) -> None:
    with base(**config) as (served, options):
        if sentence is None:
            with opened(options) as driver:
                assert len(driver.remarks) > 1
            return
        refused(sentence, options)
        assert served.commands[-1] == "QUIT"


def test_a_label_of_a_sensor_that_is_away_is_one_sentence() -> None:
    sentence = r"sensor 7 \('neck'\) is not paired and active"
    with base(paired=(1, 2)) as (_, options):
        refused(sentence, options, labels={1: "biceps", 7: "neck"})


def test_settings_that_the_base_refuses_are_one_sentence() -> None:
    sentence = r"refuses 'BACKWARDS COMPATIBILITY ON' \(INVALID COMMAND\)"
    with base(old=True) as (_, options):
        refused(sentence, options, backwards_compatibility=True)


def test_nobody_there_is_one_sentence() -> None:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
        refused(rf"the Trigno server at 127.0.0.1:{port} does not answer .connection refused", {"command_port": port})


def test_reading_what_is_closed_is_one_sentence() -> None:
    driver = Trigno(TrignoConfig(), LslClock())
    with pytest.raises(DeviceError, match="not connected; open it first"):
        driver.read()
    driver.close()
    driver.close()


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({0: "a"}, "there is no sensor 0"),
        ({17: "a"}, "there is no sensor 17"),
        ({1: ""}, "not 1 to 60 printable letters"),
        ({1: "a\nb"}, "not 1 to 60 printable letters"),
        ({1: "a", 2: "a"}, "two sensors are called 'a'"),
    ],
)
def test_labels_that_cannot_be(labels: dict[int, str], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        TrignoConfig(labels=labels)


def test_labels_as_toml_has_them() -> None:
    assert TrignoConfig.model_validate({"labels": {"1": "left_biceps"}}).labels == {1: "left_biceps"}
