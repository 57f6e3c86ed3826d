"""Nothing that a client does ends the emulated QTM, or fills its memory."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import struct
import time

import pytest
from emulated_qtm import counters, emulated, read_until, reading, samples


def command(text: str) -> bytes:
    return struct.pack("<II", len(text) + 8, 1) + text.encode()  # the NUL is optional for clients


def test_clients_that_send_nonsense_or_go_away() -> None:
    emulator = emulated()
    rng = random.Random(7)
    nonsense = [
        rng.randbytes(500),
        b"\xff" * 100_000,
        struct.pack("<II", 0, 1),
        command("StreamFrames"),
        command("StreamFrames AllFrames UDP:99999 3D"),
        command("StreamFrames Frequency:x 3D"),
        command("StreamFrames FrequencyDivisor:0 3D"),
        command("GetCurrentFrame 3D Nothing"),
        command("Version 1.99") + command("Version 2") + command("Version"),
        command("GetParameters") + command("Quit") + command("\xff\xfe"),
        command("TakeControl wrong") + command("Start") + command("ReleaseControl"),
        b"\x08",
    ]
    with reading(emulator) as driver:
        port = emulator.rig_options()["base_port"] + 1
        for data in nonsense:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as line:
                line.settimeout(1)
                line.recv(100)
                line.sendall(data)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # and gone, by a reset
        came = read_until(driver, lambda came: samples(came, "markers") >= 30)
        assert (counters(came["markers"])[1:] > counters(came["markers"])[:-1]).all()
        assert len(emulator._clients) <= 2


@pytest.mark.slow
def test_a_client_that_never_reads_is_dropped() -> None:
    emulator = emulated(padding_bytes=2**18, rate_hz=50.0)
    with reading(emulator, stall_s=30) as driver:
        port = emulator.rig_options()["base_port"] + 1
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(command("StreamFrames AllFrames 3D"))
            end_s = time.monotonic() + 20
            while sum(bool(client.streaming) for client in emulator._clients) < 2:
                driver.read()
                assert time.monotonic() < end_s
            while len(emulator._clients) > 1:
                driver.read()
                assert time.monotonic() < end_s
                assert sum(len(client._waiting) for client in emulator._clients) < 40 * 2**20


@pytest.mark.parametrize("rate", ["Frequency:50", "FrequencyDivisor:2"])
def test_some_of_the_frames(rate: str) -> None:
    from drivers.emulators.emulator import serving
    from drivers.qualisys.rt_codec import Data, RtCodec

    with serving(emulated()) as reach, socket.create_connection(("127.0.0.1", reach["base_port"] + 1)) as line:
        line.settimeout(5)
        line.sendall(command("Version 1.25") + command(f"StreamFrames {rate} 3D"))
        codec = RtCodec()
        frames: list[Data] = []
        while len(frames) < 10:
            frames += [packet for packet in codec.feed(line.recv(65536)) if isinstance(packet, Data)]
    steps = {second.frame - first.frame for first, second in itertools.pairwise(frames)}
    assert steps == {2}
