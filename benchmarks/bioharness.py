"""What the BioHarness driver costs with all five signals, from an emulated strap over a line.

python benchmarks/bioharness.py [--seconds 20]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.connection import Connection

from drivers.emulators.bioharness import BioHarnessEmulator, BioHarnessEmulatorConfig
from drivers.emulators.emulator import serving
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.zephyr.bioharness import BioHarness, BioHarnessConfig
from drivers.zephyr.bioharness_codec import ECG, PacketReader, encode, samples_of, stamp_of


def strap(pipe: Connection) -> None:
    """Serve a strap until told to stop; in a process of its own, so that its work is not counted."""
    emulator = BioHarnessEmulator(BioHarnessEmulatorConfig(port=0), Stage(StageConfig(), LslClock().now_s()))
    with serving(emulator) as reached:
        pipe.send(reached["port"])
        pipe.recv()


def live(seconds: float) -> None:
    """Read a strap at its own pace and print what that takes."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=strap, args=(theirs,))
    process.start()
    driver = BioHarness(
        BioHarnessConfig(port=ours.recv(), signals=("rates", "ecg", "breathing", "rr", "accel")), LslClock()
    )
    driver.open()
    samples, packets, last, lost = 0, 0, dict[str, int](), 0
    began_s, cpu_s = time.monotonic(), time.process_time()
    while time.monotonic() - began_s < seconds:
        chunk = driver.read()
        if chunk is not None:
            packets += 1
            samples += len(chunk.counters)
            lost += int(chunk.counters[0]) - last.get(chunk.stream, int(chunk.counters[0]) - 1) - 1
            last[chunk.stream] = int(chunk.counters[-1])
    cpu_s = time.process_time() - cpu_s
    print(
        f"live: {packets / seconds:.1f} packets/s, {samples / seconds:.0f} samples/s, {lost} lost, "
        f"{100 * cpu_s / seconds:.2f} % of a core"
    )
    driver.close()
    ours.send(None)
    process.join()


def codec() -> None:
    """Decode ECG packets as fast as it goes."""
    data = encode(ECG, bytes.fromhex("07ea070b167b512502") + bytes(range(79))) * 5000
    reader, began_s = PacketReader(), time.perf_counter()
    packets = [packet for start in range(0, len(data), 997) for packet in reader.feed(data[start : start + 997])]
    for packet in packets:
        stamp_of(packet.payload)
        samples_of(packet)
    took_s = time.perf_counter() - began_s
    print(f"codec: {len(packets) / took_s:.0f} ECG packets/s, {63 * len(packets) / took_s:.0f} samples/s")


def main() -> None:
    """Print both."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=20.0)
    live(arguments.parse_args().seconds)
    codec()


if __name__ == "__main__":
    main()
