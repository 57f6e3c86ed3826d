"""What the drivers of described records cost: 16 channels of sEMG as CSV and as binary records.

python benchmarks/records.py [--seconds 15]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from drivers.emulators.emulator import find_emulator, serving
from drivers.emulators.records import RecordsEmulator
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.records.binary_records import BinaryRecords
from drivers.records.csv_lines import CsvLines
from drivers.records.reading import RecordReader
from drivers.registry import find_driver

LABELS: Final = [f"emg_{number}" for number in range(1, 17)]
EMG: Final = {"label": LABELS, "unit": "microvolts", "scale": 0.25}
COLUMNS: Final = [{"role": "counter", "modulus": 65536}, EMG]
FIELDS: Final = [{"role": "counter", "type": "u16"}, {**EMG, "type": "i16"}]
LOADS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("records.serial", {"port": 0, "format": "csv", "rate_hz": 1000, "column": COLUMNS}),
    ("records.tcp", {"format": "binary", "rate_hz": 2000, "field": FIELDS, "checksum": "crc16_ccitt"}),
    ("records.udp", {"format": "binary", "rate_hz": 2000, "field": FIELDS, "checksum": "crc16_ccitt"}),
]


def device(name: str, config: dict[str, Any], pipe: Connection) -> None:
    """Serve a device until told to stop; in a process of its own, so that its work is not counted."""
    kind = find_emulator(name)
    with serving(kind(kind.Config.model_validate(config), Stage(StageConfig(), LslClock().now_s()))) as reached:
        pipe.send(reached)
        pipe.recv()


def live(name: str, config: dict[str, Any], seconds: float) -> None:
    """Read a device at its own pace and print what that takes."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=device, args=(name, config, theirs))
    process.start()
    kind = find_driver(name)
    driver = kind(kind.Config.model_validate(ours.recv()), LslClock())
    driver.open()
    samples, lost, last = 0, 0, None
    began_s, cpu_s = time.monotonic(), time.process_time()
    while time.monotonic() - began_s < seconds:
        chunk = driver.read()
        if chunk is not None:
            samples += len(chunk.counters)
            lost += 0 if last is None else int(chunk.counters[-1]) - last - len(chunk.counters)
            last = int(chunk.counters[-1])
    cpu_s = time.process_time() - cpu_s
    print(
        f"{name}, {config['format']}: {samples / seconds:.0f} records/s of 16 channels, {lost} lost, "
        f"{100 * cpu_s / seconds:.1f} % of a core"
    )
    driver.close()
    ours.send(None)
    process.join()


def reading(name: str, config: dict[str, Any]) -> None:
    """Read records from memory as fast as it goes, 4 KiB at a time."""
    kind = find_emulator(name)
    emulator = kind(kind.Config.model_validate(config), Stage(StageConfig(), 0.0))
    assert isinstance(emulator, RecordsEmulator)
    emulator._start_s = 0.0  # noqa: SLF001 - made without a clock
    values = emulator._values(np.arange(5000))  # noqa: SLF001
    data = b"".join(piece for number in range(5000) for piece in emulator._with_faults(number, values[number]))  # noqa: SLF001
    form = emulator.config
    reader: RecordReader = CsvLines(form) if form.format == "csv" else BinaryRecords(form)
    began_s = time.perf_counter()
    came = [reader.feed(data[start : start + 4096]) for start in range(0, len(data), 4096)]
    took_s = time.perf_counter() - began_s
    count = sum(len(some.values) for some in came if some is not None)
    print(f"{form.format} from memory: {count / took_s:.0f} records/s of 16 channels")


def main() -> None:
    """Print all."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=15.0)
    seconds = arguments.parse_args().seconds
    for name, config in LOADS:
        live(name, config, seconds)
    for name, config in LOADS[:2]:
        reading(name, config)


if __name__ == "__main__":
    main()
