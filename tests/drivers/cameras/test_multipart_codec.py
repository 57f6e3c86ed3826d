"""Responses and their parts, byte by byte as cameras send them, and as none should."""

from __future__ import annotations

import math
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import picture, without_tables

from drivers.cameras import multipart_codec
from drivers.cameras.multipart_codec import MultipartCodec, Part, ResponseCodec

A, B = picture(1, 64, 48), picture(2, 64, 48)
HEAD = b"HTTP/1.0 200 OK\r\nServer: cam\r\nContent-Type: multipart/x-mixed-replace;boundary=edge\r\n\r\n"


def part(image: bytes, header: bytes = b"", length: int | None = -1, edge: bytes = b"--edge") -> bytes:
    said = b"" if length is None else b"Content-Length: %d\r\n" % (len(image) if length < 0 else length)
    return edge + b"\r\nContent-Type: image/jpeg\r\n" + said + header + b"\r\n" + image + b"\r\n"


def images(parts: list[Part]) -> list[bytes]:
    return [found.data for found in parts]


def in_pieces(codec: MultipartCodec, data: bytes, size: int) -> list[Part]:
    return [found for at in range(0, len(data), size) for found in codec.feed(data[at : at + size])]


def test_what_mjpg_streamer_sends() -> None:
    """Its bytes: the first boundary is in the head of the response, time stamps have six digits."""
    data = (
        b"--boundarydonotcross\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\nX-Timestamp: 1700000000.000125\r\n"
        b"\r\n%s\r\n--boundarydonotcross\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\nX-Timestamp: 0.000000\r\n"
        b"\r\n%s\r\n--boundarydonotcross\r\n" % (len(A), A, len(B), B)
    )
    one, two = MultipartCodec("boundarydonotcross").feed(data)
    assert one == (1700000000.000125, A)
    assert two.data == B
    assert math.isnan(two.device_time_s)  # 0 is no time


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000, 10**6])
@pytest.mark.parametrize("length", [-1, None])
def test_parts_come_out_however_they_are_cut(size: int, length: int | None) -> None:
    codec = MultipartCodec("edge")
    assert images(in_pieces(codec, part(A, length=length) + part(B, length=length), size)) == [A, B]
    assert (codec.skipped_bytes, codec.skipped_parts) == (0, 0)


@pytest.mark.parametrize("length", [-1, None])
def test_a_part_is_there_with_its_last_byte_and_not_only_when_the_next_begins(length: int | None) -> None:
    codec = MultipartCodec("edge")
    data = part(A, length=length)
    last = data.index(b"\xff\xd9\r\n") + 2
    assert codec.feed(data[: last - 1]) == []
    assert images(codec.feed(data[last - 1 : last])) == [A]


@pytest.mark.parametrize(
    "header",
    [
        b"multipart/x-mixed-replace; boundary=edge",
        b'multipart/x-mixed-replace; boundary="edge"',
        b"multipart/x-mixed-replace;boundary=--edge",
        b"Multipart/X-Mixed-Replace; charset=x; Boundary=edge",
    ],
)
@pytest.mark.parametrize("edge", [b"--edge", b"edge", b"----edge"])
def test_boundaries_with_and_without_their_dashes(header: bytes, edge: bytes) -> None:
    response = ResponseCodec()
    response.feed(b"HTTP/1.1 200 OK\r\nContent-Type: " + header + b"\r\n\r\n")
    assert response.head is not None
    assert response.head.boundary is not None
    codec = MultipartCodec(response.head.boundary)
    assert images(codec.feed(part(A, edge=edge) + part(B, edge=edge))) == [A, B]


def test_a_boundary_that_nobody_told_is_two_dashes() -> None:
    response = ResponseCodec()
    response.feed(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n")
    assert response.head is not None
    assert response.head.boundary == ""
    assert images(MultipartCodec("").feed(part(A) + part(B))) == [A, B]


def test_bare_line_feeds_and_missing_types() -> None:
    data = b"--edge\nContent-length: %d\n\n%s\n--edge\n\n%s\n--edge" % (len(A), A, B)
    assert images(MultipartCodec("edge").feed(data)) == [A, B]
    data = b"--edge\nX: y\n\n%s\n--edge\nX: y\n\n" % B
    assert images(MultipartCodec("edge").feed(data)) == [B]


def test_parts_that_are_no_image_are_passed_over() -> None:
    text = b"--edge\r\nContent-Type: text/plain\r\n\r\nmotion: 1\r\n"
    known = b"--edge\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello\r\n"
    codec = MultipartCodec("edge")
    assert images(codec.feed(text + part(A) + known + part(B))) == [A, B]
    assert codec.skipped_parts == 2


def test_lengths_that_are_wrong_cost_no_more_than_their_neighbours() -> None:
    for wrong in (10, len(A) - 1, len(A) + 20, len(A) + 300):
        codec = MultipartCodec("edge")
        found = images(codec.feed(part(A, length=wrong) + b"".join(part(picture(n, 64, 48)) for n in range(5))))
        assert found[-4:] == [picture(n, 64, 48) for n in range(1, 5)]
    for absurd in (b"4294967296", b"-1", b"1e9", b"0", b"99999999999999999999", b""):
        codec = MultipartCodec("edge")
        data = b"--edge\r\nContent-Length: " + absurd + b"\r\n\r\n" + A + b"\r\n"
        assert images(codec.feed(data + part(B))) == [A, B]


def test_an_image_that_ends_too_early_is_skipped_without_its_length() -> None:
    codec = MultipartCodec("edge")
    assert images(codec.feed(part(A[: len(A) // 2], length=None) + part(B, length=None))) == [B]
    assert codec.skipped_parts == 1


@pytest.mark.parametrize(
    "stamp", [b"nan", b"inf", b"-5", b"1e400", b"0", b"1 2", b"", b"12345678901234567890", b"\xff"]
)
def test_stamps_that_are_no_times_are_none(stamp: bytes) -> None:
    (found,) = MultipartCodec("edge").feed(part(A, header=b"X-Timestamp: " + stamp + b"\r\n"))
    assert math.isnan(found.device_time_s)


def test_chunked_bodies_are_put_together_and_checked() -> None:
    body = part(A) + part(B)
    chunks = b"".join(
        b"%X;x=y\r\n%s\r\n" % (len(body[at : at + 97]), body[at : at + 97]) for at in range(0, len(body), 97)
    )
    head = HEAD.replace(b"Server: cam", b"Transfer-Encoding: chunked")
    for size in (1, 5, 1000, 10**6):
        response, codec = ResponseCodec(), MultipartCodec("edge")
        data = head + chunks + b"0\r\n\r\n"
        found = [one for at in range(0, len(data), size) for one in codec.feed(response.feed(data[at : at + size]))]
        assert images(found) == [A, B]
    for wrong in (b"zz\r\n", b"x" * 2000, b"-5\r\n", b"123456789\r\n"):
        response = ResponseCodec()
        response.feed(head + wrong)
        assert response.fault
        assert response.feed(b"5\r\nhello") == b""


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-x\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"x" * 20000, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000]
)
def test_what_is_no_response_says_so(data: bytes) -> None:
    response = ResponseCodec()
    for at in range(0, len(data), 100):
        response.feed(data[at : at + 100])
    assert response.fault
    assert response.head is None


def test_a_response_says_what_it_is() -> None:
    response = ResponseCodec()
    assert response.feed(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=x\r\n") == b""
    assert response.feed(b"WWW-Authenticate: Basic\r\nServer: s\r\n\r\nbody") == b"body"
    assert response.head is not None
    assert (response.head.status, response.head.reason) == (401, "Unauthorized")
    assert response.head.challenges == ("Digest realm=x", "Basic")
    assert response.head.boundary is None


def test_memory_is_bounded_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart_codec, "MOST_PART_BYTES", 1 << 20)
    endless_image = b"--edge\r\nContent-Type: image/jpeg\r\n\r\n" + A[:-2]
    for start in (b"", b"--edge\r\n", b"--edge\r\nContent-Length: 999999999\r\n\r\n", endless_image):
        codec = MultipartCodec("edge")
        codec.feed(start)
        tracemalloc.start()
        for _ in range(200):
            codec.feed(b"\x01" * 65536)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 6 << 20
        assert images(codec.feed(b"\r\n" + part(B) + part(B)))[-1] == B


def _mangled(rng: random.Random) -> bytes:
    """Return traffic that something has happened to."""
    data = b"".join(
        part(picture(rng.randrange(8), 64, 48), length=rng.choice([-1, -1, None, rng.randrange(5000)]))
        for _ in range(rng.randrange(1, 5))
    )
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data))
        damage = rng.randrange(4)
        if damage == 0:
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        elif damage == 1:
            data = data[:at] + data[at + rng.randrange(1, 200) :]
        elif damage == 2:
            data = data[:at] + rng.randbytes(rng.randrange(1, 60)) + data[at:]
        else:
            data = data[at:] + data[:at]
        data = data or b"x"
    return data


def _fuzz(rng: random.Random) -> None:
    codec, response = MultipartCodec("edge"), ResponseCodec()
    data = _mangled(rng)
    in_pieces(codec, data, rng.choice([1, 3, 50, 700, 100_000]))
    assert len(codec._buffer) <= len(data)
    # two whole parts later it is itself again, or three where the length of a damaged one took in the first two
    after = images(codec.feed(b"\r\n" + b"".join(part(B) for _ in range(12))))
    assert after[-2:] == [B, B]
    for at in range(0, len(data), 50):
        response.feed((HEAD if rng.random() < 0.1 else b"") + data[at : at + 50])


@given(st.integers(0, 2**32))
def test_damaged_traffic_never_raises_and_is_left_behind(seed: int) -> None:
    _fuzz(random.Random(seed))


@pytest.mark.slow
def test_damaged_traffic_by_the_ten_thousand() -> None:
    rng = random.Random(7)
    for _ in range(10_000):
        _fuzz(rng)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_random_bytes_never_raise(pieces: list[bytes]) -> None:
    codec, response = MultipartCodec("e"), ResponseCodec()
    for piece in pieces:
        codec.feed(piece)
        response.feed(piece)


def test_images_without_tables_end_where_they_end() -> None:
    bare = without_tables(A)
    assert images(MultipartCodec("edge").feed(part(bare, length=None) + part(B))) == [bare, B]
