"""brainflow, which others read a Cyton with, on the emulated board: that it and our driver do not merely agree.

Its 5.23 looks for its library with ``importlib.resources`` in a way that Python 3.12 allows first, and else with
``pkg_resources``, which setuptools has no more: it is told where it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cyton import Bench, bench, read_until

pytestmark = pytest.mark.skipif("pty" not in __import__("emulated_cyton").LINES, reason="brainflow needs a serial port")

TAKEN_S = 2.0


@pytest.fixture
def brainflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    shim = pytest.importorskip("brainflow.board_shim", reason="brainflow is not installed")
    monkeypatch.setattr(shim, "files", lambda _name: Path(shim.__file__).parent)
    shim.BoardShim.disable_board_logger()
    yield shim
    shim.BoardShim.release_all_sessions()


def read_by_brainflow(brainflow: Any, made: Bench, daisy: bool = False) -> tuple[Any, Any, Any]:
    """Return what it has read in 2 s: unwrapped numbers (n,), microvolts (n, channels), acceleration (n, 3)."""
    ids = brainflow.BoardIds
    asked = brainflow.BrainFlowInputParams()
    asked.serial_port = made.options["port"]
    board = brainflow.BoardShim(ids.CYTON_DAISY_BOARD if daisy else ids.CYTON_BOARD, asked)
    board.prepare_session()
    try:
        board.start_stream()
        time.sleep(TAKEN_S)
        board.stop_stream()
        data = board.get_board_data()
    finally:
        board.release_session()
    number = data[board.get_package_num_channel(board.board_id)].astype(np.int64)
    number = number[0] + np.concatenate(([0], np.cumsum((np.diff(number) - 1) % 256 + 1)))
    return number, data[board.get_eeg_channels(board.board_id)].T, data[board.get_accel_channels(board.board_id)].T


@pytest.mark.slow
def test_brainflow_reads_of_the_emulated_board_what_it_sent(brainflow: Any) -> None:
    with bench("pty") as made:
        number, values, accel = read_by_brainflow(brainflow, made)
        sent = made.sent()
    assert len(number) > 0.9 * TAKEN_S * 250
    assert np.diff(number).tolist() == [1] * (len(number) - 1)
    assert values == pytest.approx(np.array([sent[n][1] for n in number.tolist()]), abs=1e-3)
    assert np.linalg.norm(accel[-1]) == pytest.approx(1.0, abs=0.02)


@pytest.mark.slow
def test_brainflow_and_we_agree_on_a_daisy(brainflow: Any) -> None:
    with bench("pty", channels=16) as made:
        number, values, _ = read_by_brainflow(brainflow, made, daisy=True)
        sent = made.sent()
        theirs = {n // 2: row for n, row in zip(number.tolist(), values, strict=True)}
        driver = made.driver()
        driver.open()
        emg = read_until(driver, lambda have: have["emg"] > 50)["emg"]
        driver.close()
        ours_sent = made.sent()
    assert len(theirs) > 0.9 * TAKEN_S * 125
    for count, row in theirs.items():
        assert row == pytest.approx(np.concatenate((sent[2 * count + 1][1], sent[2 * count][1])), abs=1e-3)
    for count, row in zip(emg.counters.tolist(), emg.values, strict=True):
        true = np.concatenate((ours_sent[2 * count + 1][1], ours_sent[2 * count][1]))
        assert row == pytest.approx(true, abs=1e-3)


@pytest.mark.slow
def test_a_cut_packet_costs_us_one_and_brainflow_two(brainflow: Any) -> None:
    with bench("pty", cut_every=50) as made:
        number, _, _ = read_by_brainflow(brainflow, made)
        sent = made.sent()
        within = [sent[n][2] for n in range(int(number[0]), int(number[-1]) + 1)]
        theirs, cut = len(within) - len(number), within.count("cut")
        driver = made.driver()
        driver.open()
        emg = read_until(driver, lambda have: have["emg"] > TAKEN_S * 250)["emg"]
        driver.close()
        sent = made.sent()
    assert cut > 5
    assert theirs >= 2 * cut - 1  # the last may be at the end; now and then one costs it more
    within = [sent[n][2] for n in range(int(emg.counters[0]), int(emg.counters[-1]) + 1)]
    assert len(within) - len(emg.counters) == within.count("cut") > 5
