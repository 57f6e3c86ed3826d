"""QTM is found where it answers, and nothing else is taken for it."""

from __future__ import annotations

import asyncio
import struct

import pytest
from emulated_qtm import emulated
from hypothesis import given
from hypothesis import strategies as st

from drivers import discovery
from drivers.emulators.emulator import serving
from drivers.qualisys import discovery as qtm_discovery
from drivers.qualisys.discovery import find_qtm, parse_answer
from drivers.registry import find_driver

ANSWER = bytes.fromhex("38000000 01000000") + b"MyComputer, QTM 2.5 (build 568), 5 cameras\0" + bytes.fromhex("56ce")


def test_an_answer_byte_by_byte() -> None:
    answer = ANSWER.replace(b"\x38", bytes([len(ANSWER)]), 1)
    assert parse_answer(answer) == ("MyComputer, QTM 2.5 (build 568), 5 cameras", 22222)
    assert parse_answer(b"\x0a" + answer[1:]) == ("MyComputer, QTM 2.5 (build 568), 5 cameras", 22222)
    for wrong in (answer[:-1], answer + b"\0", b"\x09" + answer[1:], answer.replace(b"QTM", b"SQL"), answer[:9], b""):
        assert parse_answer(wrong) is None


@given(st.binary(max_size=200))
def test_any_answer(data: bytes) -> None:
    for answer in (data, struct.pack("<II", len(data) + 8, 1) + data):
        found = parse_answer(answer)
        assert found is None or found[0].isprintable()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch, free_udp_port: int) -> int:
    monkeypatch.setattr(qtm_discovery, "PORT", free_udp_port)
    return free_udp_port


@pytest.fixture
def free_udp_port() -> int:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def test_an_emulated_qtm_is_found_and_what_is_found_is_a_rig_entry(port: int) -> None:
    with serving(emulated(discovery_port=port)) as reach:
        (found,) = find_qtm(0.5, ("127.0.0.1",))
    assert found.driver == "qualisys.qtm"
    assert found.what == "EMULATOR, QTM 2026.1 (build 1), 8 cameras"
    assert found.options == reach
    find_driver(found.driver).Config.model_validate(found.options)


def test_nobody_answers(port: int) -> None:
    assert find_qtm(0.2, ("127.0.0.1",)) == ()


def test_it_is_among_the_searches() -> None:
    assert discovery.SEARCHES["QTM computers"] == "drivers.qualisys.discovery:find_qtm"


def test_qualisys_own_client_finds_it_too(free_udp_port: int) -> None:
    qtm_rt = pytest.importorskip("qtm_rt.discovery", reason="qtm-rt is not installed")
    with serving(emulated(discovery_port=free_udp_port)) as reach:

        async def ask() -> list[object]:
            answers: list[object] = []
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: qtm_rt.QRTDiscoveryProtocol(receiver=answers.append), local_addr=("127.0.0.1", 0)
            )
            question = struct.pack("<II", 10, 7) + struct.pack(">H", protocol.port)
            transport.sendto(question, ("127.0.0.1", free_udp_port))  # its own sends to the one port, by broadcast
            for _ in range(100):
                await asyncio.sleep(0.02)
                if answers:
                    break
            transport.close()
            return answers

        (answer,) = asyncio.run(ask())
    assert answer.port == reach["base_port"]  # type: ignore[attr-defined]
    assert answer.info.startswith(b"EMULATOR, QTM 2026.1")  # type: ignore[attr-defined]
