"""What reading an emulated Motive costs: the driver, and beside it, at the same time, the client `natnet` from PyPI.

    python benchmarks/optitrack.py [--rate 240] [--markers 60] [--seconds 30] [--version 4.1] [--transport unicast]

The emulator and each reader are processes of their own. The driver makes rows of markers, rigid bodies and segments of
each frame and asks for the server's clock; the other client parses frames and hands each to a handler that counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any, Final

_OTHERS: Final = 25  # labelled markers of the emulated Motive beside the wall
_SETTLE_S: Final = 1.0


def serve(options: dict[str, Any], pipe: Connection) -> None:
    """Be Motive until the pipe says something."""
    from drivers.emulators.emulator import serving
    from drivers.emulators.natnet import NatNetEmulator, NatNetEmulatorConfig
    from drivers.emulators.stage import Stage, StageConfig
    from drivers.host_clock import LslClock

    emulator = NatNetEmulator(NatNetEmulatorConfig(**options), Stage(StageConfig(), LslClock().now_s()))
    with serving(emulator) as reach:
        pipe.send((reach, emulator.data_port))
        pipe.recv()
        pipe.send(list(emulator.lost))


def read_ours(reach: dict[str, Any], _data_port: int, seconds: float, pipe: Connection) -> None:
    """Read with the driver."""
    from drivers.host_clock import LslClock
    from drivers.optitrack.natnet import OptitrackNatNet
    from drivers.optitrack.natnet_session import NatNetConfig

    driver = OptitrackNatNet(NatNetConfig(**reach), LslClock())
    driver.open()
    pipe.send("open")
    pipe.recv()
    numbers: list[int] = []
    began_s, processor_s = time.monotonic(), time.process_time()
    while time.monotonic() - began_s < seconds:
        chunk = driver.read()
        if chunk is not None and chunk.stream == "markers":
            numbers.append(int(chunk.counters[-1]))
    pipe.send((numbers, time.process_time() - processor_s))
    driver.close()


def read_theirs(reach: dict[str, Any], data_port: int, seconds: float, pipe: Connection) -> None:
    """Read with natnet's client, in the threads that it brings."""
    import natnet

    client = natnet.NatNetClient(
        server_ip_address=reach["host"],
        local_ip_address="127.0.0.1",
        command_port=reach["command_port"],
        data_port=data_port,
        use_multicast=reach["transport"] == "multicast",
    )
    numbers: list[int] = []
    with client:
        client.run_async()
        pipe.send("open")
        pipe.recv()
        client.on_data_frame_received_event.handlers.append(lambda frame: numbers.append(frame.prefix.frame_number))
        processor_s = time.process_time()
        time.sleep(seconds)
        spent_s = time.process_time() - processor_s
        client.stop_async()
    pipe.send((numbers, spent_s))


def main() -> None:
    """Print a line a reader."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=240.0)
    parser.add_argument("--markers", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--version", default="4.1")
    parser.add_argument("--transport", choices=("unicast", "multicast"), default="unicast")
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    options = {
        "rate_hz": asked.rate,
        "wall_markers": max(0, asked.markers - _OTHERS),
        "version": asked.version,
        "transport": asked.transport,
    }
    control, served = context.Pipe()
    server = context.Process(target=serve, args=(options, served))
    server.start()
    reach, data_port = control.recv()
    readers = []
    for name, target in (("flex-capture", read_ours), ("natnet", read_theirs)):
        here, there = context.Pipe()
        process = context.Process(target=target, args=(reach, data_port, asked.seconds, there))
        process.start()
        here.recv()
        readers.append((name, here, process))
    time.sleep(_SETTLE_S)
    for _, pipe, _ in readers:
        pipe.send("go")
    results = [(name, *pipe.recv()) for name, pipe, _ in readers]
    for _, _, process in readers:
        process.join()
    control.send("stop")
    unsent = set(control.recv())
    server.join()
    print(
        f"NatNet {asked.version}, {asked.transport}, {asked.markers} markers at {asked.rate:g} Hz, {asked.seconds:g} s"
    )
    print("| reader | frames | lost | CPU s | of a core | us a frame |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, numbers, spent_s in results:
        missing = set(range(numbers[0], numbers[-1])) - set(numbers) - unsent
        share, each_us = spent_s / asked.seconds, spent_s / len(numbers) * 1e6
        print(f"| {name} | {len(numbers):,} | {len(missing)} | {spent_s:.2f} | {share:.3f} | {each_us:.0f} |")


if __name__ == "__main__":
    main()
