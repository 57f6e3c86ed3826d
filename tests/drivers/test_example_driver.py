"""The example of the how-to is a driver: it can be recorded, as an installed package of a lab's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.host_clock import LslClock
from drivers.registry import driver_names, find_driver
from lab.errors import DeviceError


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example as a lab would, into a folder of its own, and return that."""
    project = Path(__file__).resolve().parents[2]
    source = shutil.copytree(project / "examples" / "driver-plugin", tmp_path_factory.mktemp("plugin") / "source")
    folder = source.parent / "site"
    # what it depends on and setuptools are here already; nothing is fetched
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *how, "--target", str(folder), str(source)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process and those that it starts find the package."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)


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


@pytest.fixture
def live_plate() -> Iterator[int]:
    """A force plate that sends a hundred samples a second to one after the other who connects; its port."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)

        def serve() -> None:
            began_s, number = time.monotonic(), 0
            while not done.is_set():
                with contextlib.suppress(OSError):  # nobody has come, or has gone again
                    connection, _ = server.accept()
                    with connection:
                        while not done.wait(0.02):
                            due = int((time.monotonic() - began_s) * 100)
                            lines = [b"%d,%.1f\n" % (count % 65_536, count / 10) for count in range(number, due)]
                            number = due
                            connection.sendall(b"".join(lines))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
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


@pytest.mark.slow
def test_the_installed_package_is_listed_and_recorded(
    installed: None, live_plate: int, tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    listed = flex_capture("devices", "--drivers", "force_plate")
    assert listed.code == 0
    assert "The rate it was set to, in hertz." in listed.out
    assert "force_plate" in flex_capture("doctor").out
    mocap = '[[device]]\nname = "mocap"\ndriver = "simulated.mocap"\nlatency_s = 0.008\n'
    plate = f'[[device]]\nname = "plate"\ndriver = "force_plate"\nhost = "127.0.0.1"\nport = {live_plate}\n'
    (tmp_path / "rig.toml").write_text(f'name = "a plate"\nmax_uncertainty_ms = 1000\n{mocap}{plate}')
    out = tmp_path / "out"
    rig = tmp_path / "rig.toml"
    asked = ("--subject", "P1", "--rig", rig, "--out", out, "--reps", 1, "--yes", "--duration", 18)
    done = flex_capture("record", *asked)
    assert done.code == 0, done.out + done.err
    streams = pd.read_parquet(out / "dataset" / "streams.parquet").set_index("stream")
    assert streams.loc["plate", "lost"] == 0
    assert streams.loc["plate", "samples"] > 300
    assert abs(streams.loc["plate", "rate_measured_hz"] - 100) < 1
