"""A rate that is wrong is told; one that only seems to be, is not."""

from __future__ import annotations

from capture.console import StreamRow
from capture.rate_watch import RateWatch


def row(measured_hz: float, state: str = "ok", lost: int = 0, asked_hz: float = 100.0) -> StreamRow:
    return StreamRow("emg", "emg", state, asked_hz, measured_hz, 2000, lost, 0.1, 3.0)


def said(*rows: StreamRow) -> list[str]:
    """Look at these rows, two a second from 10 s on; return what is said at last."""
    watch = RateWatch()
    return [watch.wrong([shown], 10 + number / 2) for number, shown in enumerate(rows)][-1]


def test_a_rate_that_stays_wrong_is_told() -> None:
    sentence = "stream 'emg' does not come at the 100 Hz it promises; check its settings"
    assert said(*[row(111.0)] * 7) == [sentence]
    assert said(*[row(89.0)] * 7) == [sentence]
    assert said(*[row(109.0)] * 7) == []
    assert said(*[row(89.0)] * 6) == []
    assert said(*[row(50.0, asked_hz=0.0)] * 7) == []
    assert said(*[row(float("nan"))] * 7) == []


def test_what_catches_up_was_not_wrong() -> None:
    assert said(*[row(60.0)] * 5, row(100.0), *[row(60.0)] * 5) == []


def test_a_stream_that_was_away_or_lost_samples_is_not_judged() -> None:
    assert said(row(100.0, "SILENT"), *[row(60.0)] * 9) == []
    assert said(row(100.0, "FAILED"), *[row(60.0)] * 9) == []
    assert said(*[row(60.0, lost=3)] * 9) == []
