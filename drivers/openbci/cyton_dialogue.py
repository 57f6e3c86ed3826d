"""What is said to a Cyton while it does not send samples, and what it answers.

Every answer ends with ``$$$``. Sources: OpenBCI's "Cyton Board SDK", the firmware (OpenBCI/OpenBCI_Cyton_Library) and
that of the radios (OpenBCI/OpenBCI_Radios): the dongle itself answers where it does not hear the board.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from drivers.host_clock import HostClock
from drivers.links.serial_link import SerialLink
from lab.errors import DeviceError

BAUD: Final = 115200

RESET: Final = b"v"
DEFAULTS: Final = b"d"
START: Final = b"b"
STOP: Final = b"s"
TIMES_ON: Final = b"<"
TIMES_OFF: Final = b">"
DEFAULT_MODE: Final = b"/0"
NO_DAISY: Final = b"c"
#: Asks the dongle, not the board, whether it hears the board.
RADIO_STATE: Final = b"\xf0\x07"

_END: Final = b"$$$"
_ANSWER_S: Final = 3.0
_MOST_BYTES: Final = 65536
#: How long a board that was streaming is waited for, until it is silent.
_LONGEST_S: Final = 2.0
#: A stop that fell into a packet on the radio may be lost.
_STOP_TRIES: Final = 3

#: Gains that the amplifier has, by the letter that asks for them.
GAINS: Final = {1: "0", 2: "1", 4: "2", 6: "3", 8: "4", 12: "5", 24: "6"}
#: Names of the channels in commands.
_NAMES: Final = "12345678QWERTYUI"


@dataclass(frozen=True)
class ChannelSettings:
    """How one channel is wired: its amplifier's gain, which of the board's shared lines it is on, or that it is off."""

    gain: int
    bias: bool
    srb2: bool
    srb1: bool
    off: bool = False

    def command(self, channel: int) -> bytes:
        """Return the command that sets channel ``channel``, 0 the first, to this."""
        flags = f"{self.bias:d}{self.srb2:d}{self.srb1:d}" if not self.off else "000"
        return f"x{_NAMES[channel]}{self.off:d}{GAINS[self.gain]}0{flags}X".encode("ascii")


@dataclass(frozen=True)
class Banner:
    """What a board says of itself after a reset."""

    firmware: tuple[int, ...]
    board_id: str
    daisy_id: str

    @property
    def has_daisy(self) -> bool:
        """Whether a Daisy sits on the board and works."""
        return bool(self.daisy_id)

    @property
    def firmware_name(self) -> str:
        """The firmware's version, such as ``v3.1.2``."""
        return "v" + ".".join(str(number) for number in self.firmware)


def banner_of(text: str) -> Banner | None:
    """Return what a reset's answer says; None where it is not that of a Cyton."""
    board = re.search(r"On Board ADS1299 Device ID: 0x([0-9A-Fa-f]{1,4})", text)
    if board is None:
        return None
    daisy = re.search(r"On Daisy ADS1299 Device ID: 0x([0-9A-Fa-f]{1,4})", text)
    firmware = re.search(r"Firmware: v(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?", text)
    version = tuple(int(number) for number in firmware.groups() if number) if firmware else (1,)
    return Banner(version, board[1].upper(), daisy[1].upper() if daisy else "")


class Dialogue:
    """Question and answer with the board at the other end of ``link``; ``who`` is what sentences call it."""

    def __init__(self, link: SerialLink, who: str, clock: HostClock) -> None:
        self._link = link
        self._who = who
        self._clock = clock

    def hush(self) -> None:
        """Stop a board that may still be streaming from before, and throw away what has come. Raises DeviceError."""
        for _ in range(_STOP_TRIES):
            self._link.send(STOP)
            deadline_s = self._clock.now_s() + _LONGEST_S / _STOP_TRIES
            while self._clock.now_s() < deadline_s:
                if self._link.receive() is None:
                    return

    def ask(self, command: bytes, wait_s: float = _ANSWER_S) -> str:
        """Send a command and return the answer without its end.

        Raises DeviceError where none comes within ``wait_s`` seconds, or the dongle or board says that it failed.
        """
        answer = self.try_to_ask(command, wait_s)
        if answer is None:
            raise DeviceError(
                f"{self._who} does not answer; check that this is its port, that the dongle's switch is at GPIO6 "
                "and the board's at PC"
            )
        if "Failure" in answer:
            raise DeviceError(self._failure(answer))
        return answer

    def try_to_ask(self, command: bytes, wait_s: float = _ANSWER_S) -> str | None:
        """Send a command and return the answer, whatever it says; None where none comes. Raises DeviceError."""
        self._link.send(command)
        deadline_s = self._clock.now_s() + wait_s
        heard = b""
        while self._clock.now_s() < deadline_s:
            received = self._link.receive()
            if received is None:
                continue
            heard = (heard + received[0])[-_MOST_BYTES:]
            if _END in heard:
                return heard.partition(_END)[0].decode("ascii", "replace")
        return None

    def _failure(self, answer: str) -> str:
        if "poll" in answer or "ommunications" in answer or "System is Down" in answer:
            return (
                f"{self._who}: the dongle does not hear the board; switch the board on (to PC), "
                "bring it near, and check its battery and radio channel"
            )
        said = re.sub(r"[^\x20-\x7e]+", " ", answer[answer.index("Failure") :])[:100].strip()
        return f"{self._who} says '{said}'; switch it off and on, then try again"
