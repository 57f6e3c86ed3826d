"""Whatever something is called elsewhere, it gets a name that a rig takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.device_names import DEVICE_NAME, VIEW_NAME, device_name


@given(st.lists(st.one_of(st.text(max_size=60), st.sampled_from(["view1", "EMG", "emg", "e" * 40])), max_size=30))
def test_names_are_plain_unlike_those_of_cameras_and_apart(texts: list[str]) -> None:
    taken: set[str] = set()
    for text in texts:
        name = device_name(text, taken)
        assert DEVICE_NAME.fullmatch(name)
        assert not VIEW_NAME.fullmatch(name)
        assert name not in taken
        taken.add(name)


def test_a_name_that_fits_stays() -> None:
    assert device_name("emg") == "emg"
    assert device_name("EMG 2", {"emg_2"}) == "emg_2_2"
    assert device_name("4D") == "s_4d"
