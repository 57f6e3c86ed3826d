"""Random XDF files of all kinds of streams and stampings, whole and damaged."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Final

from lab.streams import Channel
from storage.xdf_header import build_header
from storage.xdf_writer import BOUNDARY_MARK, MAGIC, variable_length

SIZES: Final = {"int8": 1, "int16": 2, "float32": 4, "double64": 8, "int64": 8}


def chunk(tag: int, content: bytes, width: int = 0) -> bytes:
    """Return a chunk; ``width`` 4 or 8 has its length written wider than it needs."""
    length = len(content) + 2
    wide = {0: variable_length(length), 4: struct.pack("<BI", 4, length), 8: struct.pack("<BQ", 8, length)}
    return wide[width] + struct.pack("<H", tag) + content


def header_chunk(stream_id: int, sample_format: str, channels: int, rate_hz: float = 0.0, name: str = "s") -> bytes:
    listed = [Channel(f"c{number}") for number in range(channels)]
    xml = build_header(name, "Test", listed, rate_hz, sample_format)  # type: ignore[arg-type]
    return chunk(2, struct.pack("<I", stream_id) + xml.encode())


def samples_chunk(stream_id: int, count: int, body: bytes, width: int = 0) -> bytes:
    return chunk(3, struct.pack("<I", stream_id) + variable_length(count) + body, width)


def random_file(random: Random) -> bytes:
    """Return a valid file: several streams, all stampings, marks inside of values and texts, unknown chunks."""
    parts = [MAGIC, chunk(1, b"<info/>")]
    layouts: dict[int, tuple[str, int]] = {}

    def announce(stream_id: int) -> None:
        sample_format, channels = random.choice([*SIZES, "string"]), random.choice([0, 1, 1, 2, 3, 9])
        rate_hz = random.choice([0.0, 3.0, 100.0, 1000.012])
        layouts[stream_id] = sample_format, channels
        parts.append(header_chunk(stream_id, sample_format, channels, rate_hz, f"s{random.randrange(3)}"))

    for _ in range(random.randrange(1, 4)):
        announce(random.choice([1, 2, 3, 70_000, 2**32 - 1]))
    for _ in range(random.randrange(40)):
        stream_id, kind = random.choice(list(layouts)), random.random()
        if kind < 0.65:
            parts.append(_random_samples(random, stream_id, *layouts[stream_id]))
        elif kind < 0.75:
            parts.append(chunk(4, struct.pack("<Idd", stream_id, random.random(), random.random())))
        elif kind < 0.9:
            parts.append(chunk(5, BOUNDARY_MARK))
        elif kind < 0.93:
            parts.append(chunk(6, struct.pack("<I", stream_id) + b"<info/>"))
        elif kind < 0.95:
            parts.append(chunk(random.choice([0, 7, 77]), b"future" + random.choice([b"", BOUNDARY_MARK])))
        elif kind < 0.98:
            announce(random.choice([1, 2, 3]))
        else:
            parts.append(samples_chunk(99, 0, b""))
    return b"".join(parts)


def stamped_pattern(random: Random) -> Iterator[bool]:
    """Yield which samples carry a stamp: as devices with packets of one size or a few lead to, or by chance."""
    while True:
        gaps = [random.choice([1, 1, 2, 3, 7, 60]) for _ in range(random.choice([1, 1, 2, 3]))]
        chance = random.choice([0.02, 0.5, 0.98])
        for _ in range(random.choice([5, 100, 1_000])):
            if len(gaps) == 3:
                yield random.random() < chance
                continue
            for gap in gaps:
                yield True
                yield from [False] * (gap - 1)


def _random_samples(random: Random, stream_id: int, sample_format: str, channels: int) -> bytes:
    count = random.choice([0, 1, 1, 2, 3, 5, 20, random.randrange(1, 900 if random.random() < 0.1 else 90)])
    chance = random.choice([1.0, 1.0, 0.0, 0.5, 0.05])
    first_alone, packets = random.random() < 0.2, random.random() < 0.4
    # The same for all chunks of a stream, so that there is something to be expected.
    pattern = stamped_pattern(Random(stream_id))
    for _ in range(random.choice([0, 0, random.randrange(60)])):
        next(pattern)
    body = b""
    for sample in range(count):
        stamped = sample == 0 if first_alone else next(pattern) if packets else random.random() < chance
        body += b"\x08" + struct.pack("<d", random.choice([random.uniform(0, 1e3), sample])) if stamped else b"\0"
        if sample_format == "string":
            for _ in range(channels):
                text = random.choice([b"", b"hi", b"\xff\xfe", "ä".encode() * 5, BOUNDARY_MARK, b"x" * 300])
                body += variable_length(len(text)) + text
        else:
            size = SIZES[sample_format] * channels
            body += random.choice([bytes(size), b"\x08" * size, random.randbytes(size), (BOUNDARY_MARK * 5)[:size]])
    return samples_chunk(stream_id, count, body, random.choice([0, 0, 0, 0, 4, 8]))


def damaged(random: Random, content: bytes) -> bytes:
    """Return the file with some damage, or none: flips, cuts, splices, false marks, lengths beyond all bounds."""
    data = bytearray(content)
    for _ in range(random.choice([0, 1, 1, 1, 2, 5])):
        if len(data) < 6:
            break
        place, kind = random.randrange(4, len(data)), random.random()
        if kind < 0.3:
            data[place] ^= 1 << random.randrange(8)
        elif kind < 0.45:
            data[place] = random.choice([0, 1, 3, 4, 8, 255])
        elif kind < 0.6:
            del data[place:]
        elif kind < 0.7:
            del data[place : place + random.randrange(200)]
        elif kind < 0.75:  # most likely a mark, and the number of stamps stays
            other = data.find(b"\x08", place)
            before = data.find(b"\x00", place)
            if other > 0 < before:
                data[other], data[before] = data[before], data[other]
        elif kind < 0.8:
            data[place:place] = BOUNDARY_MARK
        elif kind < 0.88:
            data[place:place] = random.randbytes(random.randrange(40))
        elif kind < 0.94:
            huge = random.choice([2**63, 2**64 - 1, 2**63 - 1, 2**31, 2**32 - 1])
            data[place : place + 8] = struct.pack("<Q", huge)
        else:
            other = random.randrange(4, len(data))
            data[place:place] = data[other : other + random.randrange(400)]
    return bytes(data)
