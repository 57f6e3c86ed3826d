"""Tests look at the first samples for less time than an operator's driver does."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _look_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.delsys.trigno._SETTLED_S", 0.1)
    monkeypatch.setattr("drivers.delsys.trigno._LOOK_S", 0.3)
