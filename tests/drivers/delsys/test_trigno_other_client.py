"""The emulated base read by another client: plain sockets, written from the facts of the protocol, without our codec.

There is no client on PyPI to cross-check with. This one does what the guide says and nothing more.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from trigno_bench import base


class PlainClient:
    """Commands end with two line ends, so do replies; rows are 64 bytes on the EMG port and 576 on the AUX port."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.lines = {
            name: socket.create_connection((options["host"], options[f"{name}_port"]), timeout=5.0)
            for name in ("command", "emg", "aux", "legacy_emg", "legacy_aux")
        }
        self.greeting = self._until_blank()

    def _until_blank(self) -> str:
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            piece = self.lines["command"].recv(1)
            assert piece
            data += piece
        return data[:-4].decode("ascii")

    def ask(self, command: str) -> str:
        self.lines["command"].sendall(command.encode("ascii") + b"\r\n\r\n")
        return self._until_blank()

    def rows(self, name: str, count: int, columns: int, order: str = "<") -> list[tuple[float, ...]]:
        data, size = b"", 4 * columns
        while len(data) < count * size:
            piece = self.lines[name].recv(count * size - len(data))
            assert piece
            data += piece
        return [struct.unpack(f"{order}{columns}f", data[at : at + size]) for at in range(0, len(data), size)]

    def close(self) -> None:
        for line in self.lines.values():
            line.close()


@contextmanager
def client(options: dict[str, Any]) -> Iterator[PlainClient]:
    made = PlainClient(options)
    try:
        yield made
    finally:
        made.close()


def test_all_questions_are_answered_as_the_guide_shows() -> None:
    config = {"paired": (1, 7), "quattro": (1,), "aux_channels": 6, "backwards_compatibility": False}
    with base(**config) as (_, options), client(options) as plain:
        assert plain.greeting.startswith("Delsys Trigno System Digital Protocol Version ")
        answers = {
            "MASTER": "NEW MASTER",
            "TRIGGER?": "START OFF STOP OFF",
            "BACKWARDS COMPATIBILITY?": "NO",
            "UPSAMPLING?": "UPSAMPLING ON",
            "FRAME INTERVAL?": "0.0135",
            "MAX SAMPLES EMG?": "26",
            "MAX SAMPLES AUX?": "2",
            "ENDIANNESS?": "LITTLE",
            "BASE SERIAL?": "BID: 0222",
            "SENSOR 1 PAIRED?": "YES",
            "SENSOR 2 PAIRED?": "NO",
            "SENSOR 1 ACTIVE?": "YES",
            "SENSOR 1 TYPE?": "Q",
            "SENSOR 7 TYPE?": "O",
            "SENSOR 1 STARTINDEX?": "0",
            "SENSOR 1 EMGCHANNELCOUNT?": "4",
            "SENSOR 7 STARTINDEX?": "8",
            "SENSOR 7 EMGCHANNELCOUNT?": "1",
            "SENSOR 7 AUXCHANNELCOUNT?": "6",
            "SENSOR 7 CHANNELCOUNT?": "7",
            "SENSOR 7 CHANNEL 1 UNITS?": "Volts",
            "SENSOR 7 CHANNEL 1 RATE?": "1925.92592592593",
            "SENSOR 7 CHANNEL 1 SAMPLES?": "26",
            "SENSOR 7 CHANNEL 1 GAIN?": "300",
            "SENSOR 7 CHANNEL 8 UNITS?": "INVALID COMMAND",
            "SENSOR 17 PAIRED?": "INVALID COMMAND",
            "MAKE COFFEE": "INVALID COMMAND",
            "STOP": "CANNOT COMPLETE",
            "START": "OK",
            "ENDIAN LITTLE": "CANNOT COMPLETE",
            "QUIT": "BYE",
        }
        assert {question: plain.ask(question) for question in answers} == answers


@pytest.mark.parametrize("cut", [{}, {"segment_bytes": [1, 300]}, {"mss": 400}])
def test_rows_hold_what_the_base_measured(cut: dict[str, Any]) -> None:
    with base(**cut) as (served, options), client(options) as plain:
        assert plain.ask("START") == "OK"
        emg, aux = plain.rows("emg", 270, 16), plain.rows("aux", 20, 144)
        assert plain.ask("STOP") == "OK"
        assert np.array_equal(np.array(emg, dtype=np.float32), served.sent("emg")[:270])
        assert np.array_equal(np.array(aux, dtype=np.float32), served.sent("aux")[:20])
        assert 1e-7 < np.abs(emg).max() < 0.011  # volts
        assert np.abs(np.array(aux)[:, 3:9]).max() == 0.0


def test_big_endian_rows() -> None:
    with base() as (served, options), client(options) as plain:
        assert [plain.ask("ENDIAN BIG"), plain.ask("ENDIANNESS?"), plain.ask("START")] == ["OK", "BIG", "OK"]
        rows = np.array(plain.rows("emg", 27, 16, ">"), dtype=np.float32)
        assert np.array_equal(rows, served.sent("emg")[:27])


def test_legacy_ports_repeat_sensors_of_four_channels_and_no_others() -> None:
    with base(quattro=(1,), paired=(1, 2)) as (served, options), client(options) as plain:
        assert plain.ask("START") == "OK"
        rows, aux = np.array(plain.rows("legacy_emg", 54, 16)), np.array(plain.rows("legacy_aux", 4, 48))
        sent = served.sent("emg")[:54].astype(np.float64)
        assert np.array_equal(rows[:, 4], sent[:, 4])
        assert not rows[:, :4].any()
        assert sent[:, :4].any()
        assert np.abs(aux[:, 12:15]).max() > 0.5
        assert not aux[:, :12].any()


def test_a_reader_that_keeps_no_rest_mixes_channels_up() -> None:
    """What the clients of others do: each piece that comes is taken for whole rows."""
    with base(segment_bytes=[40, 400]) as (served, options), client(options) as plain:
        assert plain.ask("START") == "OK"
        wrong = count = 0
        sent: set[bytes] = set()
        while count < 500:
            data = plain.lines["emg"].recv(65536)
            whole = [data[at : at + 64] for at in range(0, len(data) - 63, 64)]
            sent = {row.tobytes() for row in served.sent("emg")}
            wrong += sum(row not in sent for row in whole)
            count += len(whole)
        assert wrong > 0.1 * count


def test_whatever_clients_do_the_base_goes_on() -> None:
    with base() as (_, options), client(options) as plain:
        others = [socket.create_connection((options["host"], options["command_port"])) for _ in range(5)]
        others[0].sendall(b"\x00\xff" * 3000)
        others[1].sendall(b"START")
        others[2].sendall(b"SENSOR 99999999999999999999 CHANNEL -1 UNITS?\r\n\r\n" * 50)
        others[3].close()
        others[4].sendall(b"SENSOR 1 CHANNEL 0 UNITS?\r\n\r\nSENSOR\r\n\r\n\r\n\r\n\r\n\r\nSENSOR x PAIRED?\r\n\r\n")
        gone = socket.create_connection((options["host"], options["emg_port"]))
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        plain.lines["emg"].sendall(b"data ports take nothing")
        assert plain.ask("START") == "OK"
        assert len(plain.rows("emg", 27, 16)) == 27
        for line in others:
            line.close()


def test_a_client_that_reads_nothing_holds_up_nobody() -> None:
    with base() as (served, options), client(options) as plain:
        lazy = socket.create_connection((options["host"], options["emg_port"]))
        assert plain.ask("START") == "OK"
        assert len(plain.rows("emg", 1000, 16)) == 1000
        assert threading.active_count() >= 2
        assert all(len(one.waiting) <= 8 * 2**20 + 65536 for one in served._clients)
        lazy.close()
