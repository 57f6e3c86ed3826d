"""A Cyton with its dongle: the board samples the virtual athlete by a clock of its own; the way to here may fail."""

from __future__ import annotations

import threading
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from drivers.emulators.cyton_board import Board
from drivers.emulators.emulator import EmulatorConfig
from drivers.emulators.serial_end import end_of, line_at
from drivers.emulators.stage import Stage
from drivers.host_clock import LslClock
from drivers.links.usb_port import BY_SERIAL
from lab.errors import RequestError

_RADIO_STATE: Final = b"\xf0\x07"
_NO_BOARD: Final = b"Failure: Communications timeout - Device failed to poll Host$$$"
_LONGEST_WAIT_S: Final = 0.05
_MOST_KEPT: Final = 1_000_000
_PLUG_S: Final = 5.0


class CytonEmulatorConfig(EmulatorConfig):
    """A Cyton on a line of this computer, and what is wrong with it."""

    port: Annotated[int, Field(ge=0, le=65535)] | str | None = Field(
        None, description="TCP port, 0 for any, or path of the line; a nameless pseudo-terminal if not given."
    )
    channels: Literal[8, 16] = Field(8, description="8, or 16 for a board with a Daisy.")
    firmware: str = Field("v3.1.2", pattern=r"^v\d+\.\d+\.\d+$", description="What the board says of its firmware.")
    rate_hz: float = Field(250.0, ge=10, le=100_000, description="Packets a second by an exact clock; a board has 250.")
    drift_ppm: float = Field(40.0, ge=-50_000, le=50_000, description="How much the board's clock runs fast, in ppm.")
    on_for_s: float = Field(77.0, ge=0, le=1e8, description="How long the board has been on: what its clock says.")
    no_board: bool = Field(default=False, description="Whether the dongle hears no board.")
    lose_every: int = Field(0, ge=0, description="Every so many packets one is lost on the radio; 0 for none.")
    cut_every: int = Field(0, ge=0, description="Every so many packets one comes short of some bytes; 0 for none.")
    flip_every: int = Field(0, ge=0, description="Every so many packets one comes with its stop byte flipped; 0: none.")
    keep_sent: bool = Field(default=False, description="Whether to keep what was sent, for tests.")


class CytonEmulator:
    """Serves one computer at a time; ``radio`` may be cleared and set, and the plug pulled, from another thread.

    ``sent`` are, where kept, the samples that the board took: how often it had begun to stream, the sample's number
    from then on, its host time, its microvolts (8,), and what became of its packet: sent, lost, cut or flipped.
    """

    Config: ClassVar[type[EmulatorConfig]] = CytonEmulatorConfig
    PORT_KEY: ClassVar[str] = "port"

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        assert isinstance(config, CytonEmulatorConfig)
        self._settings = config
        self._stage = stage
        self._clock = LslClock()
        self._end = line_at(config.port)
        self.radio = threading.Event()
        self._unplugged = False
        self._change = threading.Event()
        self._changed = threading.Event()
        if not config.no_board:
            self.radio.set()
        self.sent: list[tuple[int, int, float, Any, str]] = []
        self.lives = 0
        self._packets = 0
        self.board = self._new_board()

    def _new_board(self) -> Board:
        rate = 1 + self._settings.drift_ppm * 1e-6
        on_s = self._clock.now_s() - self._settings.on_for_s
        return Board(self._stage, self._settings.channels, self._settings.firmware, rate, on_s, self._settings.rate_hz)

    @classmethod
    def reached_by(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return the config that serves where a rig looks for the dongle. Raises RequestError for a USB port."""
        port = str(options["port"])
        if port.startswith(BY_SERIAL):
            raise RequestError(f"nothing here can be plugged in as {port}; name a path or socket://127.0.0.1:PORT")
        return {"port": end_of(port)}

    def open(self) -> None:
        """Make the line, and load what the signal needs. Raises DeviceError."""
        import scipy.signal  # noqa: F401 - takes long enough to make the first packets late

        self._end.open()

    def rig_options(self) -> dict[str, Any]:
        """Return the port that the rig names."""
        return {"port": self._end.url}

    def serve(self, stop: threading.Event) -> None:
        """Be the dongle and the board until ``stop`` is set."""
        while not stop.is_set():
            if self._change.is_set():
                self._change.clear()
                self._unplugged = not self._unplugged
                if self._unplugged:
                    self._end.unplug()
                else:
                    self._end.open()
                self._changed.set()
            if self._unplugged:
                stop.wait(_LONGEST_WAIT_S)
            else:
                heard = self._end.receive(self._wait_s())
                if heard:
                    self._hear(heard)
            self._stream()

    def unplug(self) -> None:
        """Pull the dongle out; the board goes on. Returns when it is out."""
        self._plug(out=True)

    def plug_in(self) -> None:
        """Plug the dongle in again; a nameless pseudo-terminal may have another name then: see ``rig_options``."""
        self._plug(out=False)

    def _plug(self, *, out: bool) -> None:
        if self._unplugged != out:
            self._changed.clear()
            self._change.set()
            self._changed.wait(_PLUG_S)

    def close(self) -> None:
        """Let go of the line; any number of times."""
        self._end.close()

    def _wait_s(self) -> float:
        if not self.board.streaming:
            return _LONGEST_WAIT_S
        return min(_LONGEST_WAIT_S, max(0.0, self.board.sample_s(self.board.sample) - self._clock.now_s()))

    def _hear(self, data: bytes) -> None:
        up = self.radio.is_set()
        if _RADIO_STATE in data:
            data = data.replace(_RADIO_STATE, b"")
            self._end.send(b"Success: System is Up$$$" if up else b"Failure: System is Down$$$")
        if data and not up:
            self._end.send(_NO_BOARD)
            return
        streamed = self.board.streaming
        said = self.board.hear(data, self._clock.now_s())
        if self.board.streaming and (not streamed or b"b" in data):
            self.lives += 1
        if said:
            self._end.send(said)

    def _stream(self) -> None:
        """Send what the board has sampled by now."""
        board = self.board
        if not board.streaming:
            return
        now_s = self._clock.now_s()
        burst: list[bytes] = []
        while board.sample_s(board.sample) <= now_s and len(burst) < 1000:
            sample = board.sample
            packet, values_uv = board.next_packet()
            packet, fate = self._on_the_way(packet)
            burst.append(packet)
            if self._settings.keep_sent and len(self.sent) < _MOST_KEPT:
                self.sent.append((self.lives, sample, board.sample_s(sample), values_uv, fate))
        if burst and not self._unplugged:
            self._end.send(b"".join(burst))

    def _on_the_way(self, packet: bytes) -> tuple[bytes, str]:
        settings = self._settings
        self._packets += 1
        turn = self._packets
        away = self._unplugged or not self.radio.is_set()
        if away or (settings.lose_every and turn % settings.lose_every == 0):
            return b"", "lost"
        if settings.cut_every and turn % settings.cut_every == 0:
            at = 1 + turn // settings.cut_every * 7 % 31
            return packet[:at] + packet[at + 1 + turn // settings.cut_every % 5 :], "cut"
        if settings.flip_every and turn % settings.flip_every == 0:
            return packet[:-1] + bytes((packet[-1] ^ 0x40,)), "flipped"
        return packet, "sent"
