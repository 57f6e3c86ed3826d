"""Memory stays flat over a million packets of every protocol, whole and spoilt, and over played devices' long takes."""

from __future__ import annotations

import gc
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest

from drivers.cameras.multipart_codec import MultipartCodec
from drivers.delsys.trigno_codec import RowReader
from drivers.driver import EndOfStream, TakeStart
from drivers.host_clock import VirtualClock
from drivers.openbci.cyton_codec import PacketSplitter
from drivers.optitrack.frame_order import FrameOrder
from drivers.qualisys.rt_codec import RtCodec
from drivers.records.binary_records import BinaryRecords
from drivers.records.csv_lines import CsvLines
from drivers.records.links import TcpRecordsConfig
from drivers.registry import find_driver
from drivers.zephyr.bioharness_codec import PacketReader, encode

PACKETS = 1_000_000
#: In this many feeds; half of them are to fill whatever is filled once.
FEEDS = 20_000
ALLOWED_BYTES = 2 * 2**20

NOISE = np.random.default_rng(3).bytes(4096)
CSV = TcpRecordsConfig.model_validate(
    {"host": "h", "port": 1, "rate_hz": 100, "content_type": "EMG", "format": "csv"}
    | {"column": [{"role": "counter"}, {"label": "force", "unit": "newtons"}]}
)
BINARY = TcpRecordsConfig.model_validate(
    {"host": "h", "port": 1, "rate_hz": 100, "content_type": "EMG", "format": "binary", "sync": [0xA5, 0x5A]}
    | {"field": [{"type": "u16", "role": "counter"}, {"type": "i16", "label": "force", "unit": "newtons"}]}
    | {"checksum": "sum8"}
)
JPEG = b"\xff\xd8" + bytes(60) + b"\xff\xd9"


def cyton(number: int) -> bytes:
    return bytes((0xA0, number % 256)) + bytes(30) + b"\xc0"


def frame(number: int) -> bytes:
    return struct.pack("<II", 24, 3) + struct.pack("<qII", number * 10_000, number, 0)


def record(number: int) -> bytes:
    body = struct.pack("<Hh", number % 65536, number % 1000)
    return b"\xa5\x5a" + body + bytes((sum(body) % 256,))


WIRES: dict[str, tuple[Callable[[], Any], Callable[[int], bytes]]] = {
    "Trigno": (lambda: RowReader(16), lambda number: struct.pack("<16f", *[number] * 16)),
    "QTM": (RtCodec, frame),
    "Cyton": (PacketSplitter, cyton),
    "BioHarness": (PacketReader, lambda number: encode(0x2B, bytes((number % 256,)) + bytes(70))),
    "CSV": (lambda: CsvLines(CSV), lambda number: b"%d,%d\n" % (number, number % 1000)),
    "binary": (lambda: BinaryRecords(BINARY), record),
    "HTTP pictures": (
        lambda: MultipartCodec("x"),
        lambda _: b"--x\r\nContent-Length: %d\r\n\r\n" % len(JPEG) + JPEG + b"\r\n",
    ),
}


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def assert_flat(step: Callable[[int], object], steps: int) -> None:
    for number in range(steps // 2):
        step(number)
    gc.collect()
    before = resident_bytes()
    for number in range(steps // 2, steps):
        step(number)
    gc.collect()
    assert resident_bytes() - before < ALLOWED_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("spoilt", [False, True], ids=["whole", "spoilt"])
@pytest.mark.parametrize("name", WIRES)
def test_a_million_packets_leave_nothing_behind(name: str, spoilt: bool) -> None:
    make, packet = WIRES[name]
    codec, each = make(), PACKETS // FEEDS
    block = [b"".join(packet(first + number) for number in range(each)) for first in range(0, each * 8, each)]

    came = 0

    def step(number: int) -> None:
        nonlocal came
        data = block[number % 8]
        if spoilt and number % 3 == 0:
            at = number * 37 % len(data)
            data = data[:at] + NOISE[number % 4000 :][:90] + data[at + number % 50 :]
        found = codec.feed(data)
        came += found is not None and (not hasattr(found, "__len__") or len(found) > 0)

    assert_flat(step, FEEDS)
    assert came > FEEDS / 2


@pytest.mark.slow
def test_a_million_frames_that_overtake_each_other_and_are_lost_leave_nothing_behind() -> None:
    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number

    order: Any = FrameOrder()

    def step(number: int) -> None:
        if number % 97:
            order.add(Numbered(number ^ (number % 5 == 0)), number / 240)

    assert_flat(step, PACKETS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simulated.mocap", "simulated.emg", "simulated.vest"])
def test_long_takes_of_played_devices_leave_nothing_behind(name: str) -> None:
    kind = find_driver(name)
    driver = kind(kind.Config.model_validate({"repetitions": 2}), VirtualClock())
    driver.open()
    t0_s = 2000.0

    def step(_: int) -> None:
        nonlocal t0_s
        t0_s += 100.0
        driver.start(TakeStart("device", t0_s))
        try:
            while True:
                driver.read()
        except EndOfStream:
            pass

    assert_flat(step, 60)
    driver.close()
