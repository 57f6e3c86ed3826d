"""What a rig may say of records, and one clear sentence for each mistake."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.records.description import count_modulus
from drivers.records.links import SerialRecordsConfig, TcpRecordsConfig, UdpRecordsConfig

VALUE = {"label": "emg", "unit": "microvolts"}
COMMON = {"rate_hz": 100, "content_type": "EMG"}


def csv(*columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**COMMON, "format": "csv", "port": "COM4", "column": columns or (VALUE,), **more}


def binary(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = fields or ({**VALUE, "type": "i16"},)
    return {**COMMON, "format": "binary", "port": "COM4", "sync": [0xA5], "field": made, **more}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (csv(column=()), "no column is a value; describe what the device sends with a '[[device.column]]' for each"),
        (csv({"role": "skip"}), "no column is a value"),
        (csv({"unit": "g"}), "column[0] has no 'label'; name its channel, or give it another 'role'"),
        (csv({"label": "a"}), "column[0] has no 'unit'; say what its values are measured in"),
        (csv({**VALUE, "scale": 0}), "column[0] has a 'scale' of 0; every value would be 0"),
        (csv({**VALUE, "modulus": 9}), "column[0] has a 'modulus', but only a counter or a time wraps; remove it"),
        (csv({**VALUE, "times": 2}), "column[0] has 'times', but only what is skipped may be many"),
        (csv(VALUE, {"role": "counter", "label": "n"}), "column[1] has a 'label', but only values become channels"),
        (csv(VALUE, {"role": "device_time", "unit": "s"}), "column[1] is a time in 's'; its 'unit' is one of seconds,"),
        (csv(VALUE, {"role": "counter"}, {"role": "counter"}), "two of the columns are the counter; only one can be"),
        (csv(VALUE, VALUE), "the label 'emg' is given twice; give each channel its own"),
        (csv({**VALUE, "label": ["a", "b", "a"]}), "the label 'a' is given twice"),
        (csv({**VALUE, "label": "sample_counter"}), "no channel may be called 'sample_counter'"),
        (csv(rate_hz=0.1), "stall_s is 5, but two records take longer at 0.1 a second; lengthen it"),
        (csv(decimal=","), "the separator ',' may stand in a number or end a line; choose another"),
        (csv(separator="-"), "the separator '-' may stand in a number"),
        (csv(comment="-"), "a comment cannot begin with '-': numbers do"),
        (csv(sync=[1]), "'sync' does not go with format 'csv'; remove it"),
        (csv(field=[{**VALUE, "type": "u8"}]), "'field' does not go with format 'csv'; remove it"),
        (binary(separator=";"), "'separator' does not go with format 'binary'; remove it"),
        (binary(column=[VALUE]), "'column' does not go with format 'binary'; remove it"),
        (binary({**VALUE, "type": "i16"}, {"type": "f32", "role": "counter"}), "field[1] is a counter of type f32"),
        (binary({**VALUE, "type": "i16"}, {"type": "u8", "role": "counter", "modulus": 257}), "which u8 cannot reach"),
        (binary({**VALUE, "type": "i16"}, {"type": "u64", "role": "skip", "times": 1024}), "a record is 8195 bytes"),
        (binary(sync=[]), "on a serial line nobody can tell where a record begins; give it 'sync' or a 'checksum'"),
    ],
)
def test_each_mistake_is_a_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SerialRecordsConfig.model_validate(options)
    (error,) = caught.value.errors()
    assert said in error["msg"]


def test_several_mistakes_are_said_together() -> None:
    with pytest.raises(ValidationError) as caught:
        SerialRecordsConfig.model_validate(csv({"label": "a"}, {"unit": "g"}, separator="."))
    (error,) = caught.value.errors()
    assert error["msg"].count(";") >= 3
    assert "column[0]" in error["msg"]
    assert "column[1]" in error["msg"]
    assert "separator" in error["msg"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"group": "192.168.1.1"}, "but multicast groups are 224.0.0.0 to 239.255.255.255"),
        ({"interface": "lab-pc"}, "'interface' is 'lab-pc', which is no IPv4 address"),
        ({"start_command": "GO"}, "a command needs to know where to go; give 'device_host' and 'device_port'"),
    ],
)
def test_mistakes_of_addresses_are_sentences(more: dict[str, Any], said: str) -> None:
    options = {**COMMON, "format": "csv", "port": 5005, "column": [VALUE], **more}
    with pytest.raises(ValidationError, match=said):
        UdpRecordsConfig.model_validate(options)


def test_a_connection_needs_no_sync_bytes() -> None:
    options = {**binary(sync=[]), "port": 4000, "host": "10.0.0.2"}
    assert TcpRecordsConfig.model_validate(options).record_bytes == 2


def test_what_a_count_wraps_at() -> None:
    fields = [
        {**VALUE, "type": "u8"},
        {"type": "u8", "role": "counter"},
        {"type": "u64", "role": "device_time", "unit": "nanoseconds"},
    ]
    config = SerialRecordsConfig.model_validate(binary(*fields))
    assert [count_modulus(field) for field in config.field[1:]] == [256, 0]
    text = SerialRecordsConfig.model_validate(csv(VALUE, {"role": "counter"}))
    assert count_modulus(text.column[1]) == 0


def test_a_config_survives_the_way_to_the_worker() -> None:
    config = SerialRecordsConfig.model_validate(binary(start_command=[2, 0x16, 0xFF], checksum="crc8"))
    assert SerialRecordsConfig.model_validate(config.model_dump(mode="json")) == config
