"""The example of the how-to is a driver: it can be recorded, as an installed package of a lab's own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.host_clock import LslClock
from drivers.registry import driver_names, find_driver
from lab.errors import DeviceError


@pytest.fixture
def installed(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the example importable, with the entry point that its pyproject.toml declares."""
    folder = project / "examples" / "driver"
    declared = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points."flex_capture.drivers"]\nforce_plate = "force_plate:ForcePlate"' in declared
    information = tmp_path / "our_force_plate-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: our-force-plate\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[flex_capture.drivers]\nforce_plate = force_plate:ForcePlate\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def plate() -> Iterator[tuple[int, threading.Event]]:
    """A force plate on a socket: 300 samples, cut anywhere, the count wrapping and ten samples missing; its port."""
    done = threading.Event()
    numbers = [number for number in range(65_400, 65_710) if not 65_600 <= number < 65_610]
    data = b"".join(b"%d,%.1f\n" % (number % 65_536, number / 10) for number in numbers)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                for start in range(0, len(data), 7):
                    connection.sendall(data[start : start + 7])
                done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], done
        done.set()
        thread.join()


def test_what_the_plate_sends_is_read_whatever_the_cuts(installed: None, plate: tuple[int, threading.Event]) -> None:
    assert "force_plate" in driver_names()
    kind, (port, done) = find_driver("force_plate"), plate
    config = kind.Config.model_validate({"host": "127.0.0.1", "port": port})
    driver = kind(config, LslClock())
    driver.open()
    chunks = []
    deadline_s = time.monotonic() + 10
    while sum(len(chunk.counters) for chunk in chunks) < 300 and time.monotonic() < deadline_s:
        chunk = driver.read()
        if chunk is not None:
            chunks.append(chunk)
    done.set()
    with pytest.raises(DeviceError, match="closed the connection"):
        all(driver.read() is None for _ in range(100))
    driver.close()
    driver.close()
    counters = np.concatenate([chunk.counters for chunk in chunks])
    values = np.concatenate([chunk.values for chunk in chunks])
    assert counters.tolist() == [*range(65_400, 65_600), *range(65_610, 65_710)]
    np.testing.assert_allclose(values[:, 0], counters / 10, rtol=1e-6)
    (spec,) = driver.streams()
    assert spec.channels[0].unit == "newtons"


def test_a_plate_that_is_not_there_is_a_sentence(installed: None) -> None:
    kind = find_driver("force_plate")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    driver = kind(kind.Config.model_validate({"host": "127.0.0.1", "port": port}), LslClock())
    with pytest.raises(DeviceError, match="does not answer"):
        driver.open()
