from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.errors import FileFormatError
from lab.rig import DeviceEntry, Rig
from storage.toml_file import read_toml, validation_sentences


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "r\xc3\xa4ck"\r\n[[device]]\r\nrate_hz = 5\r\n')
    assert read_toml(path) == {"name": "räck", "device": [{"rate_hz": 5}]}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a = 1\nb = \n", "line 2, column 5"),
        (b"a = 1\nb = [1,\n", "line 3"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"a = 1\n\nb = '\xff'\n", "line 3"),
        (b"a = " + b"[" * 100_000, "nests"),
        (b"# " + b"x" * 1000, "larger than 500 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, content: bytes, place: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read_toml(path, limit_bytes=500 if content.startswith(b"#") else 1_000_000)
    (sentence,) = caught.value.problems
    assert sentence.startswith(str(path))
    assert place in sentence
    assert sentence.endswith(".")


def test_missing_files_and_folders_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(FileFormatError, match="is a folder"):
        read_toml(tmp_path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_toml(Path("a\0b.toml"))


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_any_bytes_are_toml_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("toml") / "a.toml"
    path.write_bytes(content)
    try:
        read_toml(path)
    except FileFormatError as error:
        assert len(error.problems) == 1  # noqa: PT017


NAMES = "a device name is a lower-case letter, then letters, digits or _ (32 at most)"


def sentences(data: object, prefix: str = "") -> tuple[str, ...]:
    with pytest.raises(ValidationError) as caught:
        Rig.model_validate(data)
    return validation_sentences(Path("rig.toml"), caught.value, prefix)


def test_every_mistake_is_one_sentence_with_its_key() -> None:
    found = sentences(
        {
            "name": 5,
            "colour": "red",
            "max_uncertainty_ms": "much",
            "device": [{"name": "emg", "driver": "d"}, {"name": "Bad", "driver": "d", "latency_s": 99}, {"name": "x"}],
        }
    )
    assert found == (
        "rig.toml: name is 5, but should be text in quotes.",
        "rig.toml: max_uncertainty_ms is 'much', but should be a number.",
        f"rig.toml: device[1].name is 'Bad', but {NAMES}.",
        "rig.toml: device[1].latency_s is 99, but it should be less than or equal to 10.",
        "rig.toml: device[2].driver is missing; add it.",
        "rig.toml: colour is not a known key; correct its spelling or remove it.",
    )


def test_a_mistake_of_the_whole_is_said_without_showing_all_of_it() -> None:
    device = {"name": "emg", "driver": "d"}
    assert sentences({"name": "r", "device": [device, device]}) == (
        "rig.toml: device 'emg' is listed twice; give each device its own name.",
    )


def test_a_part_of_a_file_has_its_place_in_front() -> None:
    with pytest.raises(ValidationError) as caught:
        DeviceEntry.model_validate({"name": "a" * 500, "driver": "d"})
    (sentence,) = validation_sentences(Path("rig.toml"), caught.value, "device[3]")
    assert sentence.startswith("rig.toml: device[3].name is 'aaa")
    assert len(sentence) < 250
