from __future__ import annotations

import pytest

from drivers.cameras import camera


@pytest.fixture(autouse=True)
def _a_shorter_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the first frames for less time than at a real camera's."""
    monkeypatch.setattr(camera, "_SETTLE_S", 0.15)
    monkeypatch.setattr(camera, "_MEASURE_S", 0.7)
