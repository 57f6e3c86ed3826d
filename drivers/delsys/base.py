"""What the base says of itself before it sends: byte order, rates, sensors and their places in a row."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from drivers.delsys.command_port import SLOW_REPLY_S, CommandPort
from drivers.delsys.sensors import Sensor
from drivers.delsys.trigno_codec import (
    AUX_WIDTH,
    CANNOT,
    LEGACY_AUX_WIDTH,
    SLOTS,
    ByteOrder,
    number,
    whole_number,
    yes_or_no,
)
from lab.errors import DeviceError

#: All systems so far have this frame (guide, 6.1.2).
FRAME_S: Final = 0.0135
_MOST_SAMPLES: Final = 1000
#: With backwards compatibility the rates are fixed: samples a frame by legacy port or not, and upsampling or not.
_FIXED_SAMPLES: Final = {(False, True): 27, (False, False): 15, (True, True): 27, (True, False): 26}
_FIXED_AUX_SAMPLES: Final = 2
#: Serial numbers and the like are asked for as long as the server answers so fast.
_DETAILS_S: Final = 6.0
_FREE_TRIES: Final = 5
_FREE_PAUSE_S: Final = 0.3


@dataclass(frozen=True)
class Base:
    """The base and its sensors, those that are paired and active.

    Rates are in Hz, ``rates_hz`` those that the EMG port may have where the server's answers contradict each other, the
    likeliest first; ``aux_hz`` is 0 where there is nothing auxiliary.
    """

    greeting: str
    serial: str
    firmware: str
    order: ByteOrder
    rates_hz: tuple[float, ...]
    aux_hz: float
    settings: str
    sensors: tuple[Sensor, ...]
    legacy: bool
    remarks: tuple[str, ...]

    @property
    def aux_columns(self) -> int:
        """How many floats a row of the AUX port has."""
        return SLOTS * (LEGACY_AUX_WIDTH if self.legacy else AUX_WIDTH)


def free_base(port: CommandPort) -> tuple[ByteOrder, tuple[str, ...]]:
    """Become master, have the bytes little-endian, and stop a base that still sends for a program that is gone.

    Returns the byte order and what to tell the operator. Raises DeviceError.
    """
    if yes_or_no(port.ask("MASTER?")) is not True:
        port.ask("MASTER")  # older servers know neither and have no other masters
    remarks: tuple[str, ...] = ()
    reply = port.ask("ENDIAN LITTLE")
    for attempt in range(_FREE_TRIES):
        if reply.upper() != CANNOT:
            break
        if attempt == 0:
            port.ask("STOP", SLOW_REPLY_S)
            port.ask("MASTER")
            remarks = ("the Trigno base was still sending, for a program that is gone or another one; it was stopped",)
        else:
            time.sleep(_FREE_PAUSE_S)
        reply = port.ask("ENDIAN LITTLE")
    if reply.upper() == "OK":
        return "little", remarks
    order = (port.asked("ENDIANNESS?") or "LITTLE").upper()  # which is the default
    if order not in {"LITTLE", "BIG"}:
        raise DeviceError(
            f"the Trigno server says its byte order is '{order[:20]}'; restart the Trigno Control Utility"
        )
    return ("big" if order == "BIG" else "little"), remarks


def set_up(port: CommandPort, backwards_compatibility: bool | None, upsample: bool | None) -> None:
    """Set what the rig says about rates; None leaves it as it is. Raises DeviceError where the base refuses."""
    for command, value in (("BACKWARDS COMPATIBILITY", backwards_compatibility), ("UPSAMPLE", upsample)):
        if value is not None:
            order = f"{command} {'ON' if value else 'OFF'}"
            reply = port.ask(order)
            if reply.upper() != "OK":
                raise DeviceError(
                    f"the Trigno base refuses '{order}' ({reply}); leave it out of the rig, or set it in the Trigno "
                    "Control Utility"
                )


def describe_base(port: CommandPort, order: ByteOrder, *, legacy: bool) -> Base:
    """Ask the base for all that is needed to understand its rows. ``legacy``: those of the legacy ports.

    Raises DeviceError where no sensor is there, and where the answers make no sense.
    """
    trigger = (port.asked("TRIGGER?") or "").upper()
    if "START ON" in trigger:
        raise DeviceError("the Trigno base waits for its start trigger; disarm it in the Trigno Control Utility")
    backwards = yes_or_no(port.asked("BACKWARDS COMPATIBILITY?") or "")
    upsampling = yes_or_no(port.asked("UPSAMPLING?") or "")
    frame_s = number(port.asked("FRAME INTERVAL?") or "", 1e-4, 1.0) or FRAME_S
    emg = whole_number(port.asked("MAX SAMPLES EMG?") or "", 1, _MOST_SAMPLES)
    aux = whole_number(port.asked("MAX SAMPLES AUX?") or "", 0, _MOST_SAMPLES)
    sensors, remarks = _sensors(port, legacy=legacy)
    fixed = _FIXED_SAMPLES[legacy, upsampling is not False]
    # samples a frame that count for all ports together say little of the one that is read, if rates are fixed by port
    candidates = [emg, None if backwards is False else fixed] if backwards is not True else [fixed, emg]
    rates_hz = tuple(dict.fromkeys(samples / frame_s for samples in candidates if samples))
    aux_samples = _FIXED_AUX_SAMPLES if aux is None or backwards is True else aux
    any_aux = any(sensor.aux_channels for sensor in sensors)
    words = {True: "on", False: "off", None: "unknown"}
    return Base(
        greeting=port.greeting,
        serial=(port.asked("BASE SERIAL?") or "").removeprefix("BID:").strip(),
        firmware=(port.asked("BASE FIRMWARE?") or "").removeprefix("Firmware:").strip(),
        order=order,
        rates_hz=rates_hz,
        aux_hz=aux_samples / frame_s if any_aux else 0.0,
        settings=f"backwards compatibility {words[backwards]}, upsampling {words[upsampling]}",
        sensors=sensors,
        legacy=legacy,
        remarks=remarks,
    )


def _sensors(port: CommandPort, *, legacy: bool) -> tuple[tuple[Sensor, ...], tuple[str, ...]]:
    """Return the sensors that are paired and active, with where they are in a row, and what to tell the operator."""
    paired, idle = [], []
    for slot in range(1, SLOTS + 1):
        said = port.asked(f"SENSOR {slot} PAIRED?")
        if said is not None and yes_or_no(said) is not True:
            continue
        if said is None and port.asked(f"SENSOR {slot} TYPE?") is None:
            continue
        if yes_or_no(port.asked(f"SENSOR {slot} ACTIVE?") or "YES") is False:
            idle.append(slot)
        paired.append(_placed(port, slot))
    if len(paired) == len(idle):
        raise DeviceError(
            "no sensor of the Trigno base is paired and active; take them out of the charger and look at the "
            "Trigno Control Utility"
        )
    width = LEGACY_AUX_WIDTH if legacy else AUX_WIDTH
    places, remarks = _from_zero(paired)
    places = [replace(sensor, aux_first=sensor.first * width) for sensor in places]
    active = [sensor for sensor in places if sensor.slot not in idle]
    if legacy:
        wide = [sensor.slot for sensor in active if sensor.emg_channels + sensor.aux_channels > 1 + LEGACY_AUX_WIDTH]
        if wide:
            remarks += (f"sensor {_list(wide)} has more than 4 channels, which legacy ports do not send",)
        active = [sensor for sensor in active if sensor.slot not in wide]
        if not active:
            raise DeviceError("no sensor of the Trigno base has 4 channels or fewer, and legacy ports send no others")
    if idle:
        remarks += (f"sensor {_list(idle)} of the Trigno base is paired but not active, and is not recorded",)
    _check_places(active, width)
    began_s = time.monotonic()
    return tuple(_described(port, sensor, began_s) for sensor in active), remarks


def _placed(port: CommandPort, slot: int) -> Sensor:
    """Return what must be known of a paired sensor; an old server is taken to have sensors as there were then."""
    emg = whole_number(port.asked(f"SENSOR {slot} EMGCHANNELCOUNT?") or "1", 0, SLOTS)
    aux = whole_number(port.asked(f"SENSOR {slot} AUXCHANNELCOUNT?") or str(LEGACY_AUX_WIDTH), 0, SLOTS * AUX_WIDTH)
    first = whole_number(port.asked(f"SENSOR {slot} STARTINDEX?") or str(slot - 1), 0, SLOTS)
    if emg is None or aux is None or first is None:
        raise DeviceError(
            f"what the Trigno server says of the channels of sensor {slot} makes no sense; pair it again in the "
            "Trigno Control Utility"
        )
    return Sensor(slot, port.asked(f"SENSOR {slot} TYPE?") or "", first, emg, 0, aux)


def _from_zero(paired: Sequence[Sensor]) -> tuple[list[Sensor], tuple[str, ...]]:
    """Return the sensors with places that count from 0, whether the server counts from 0 or from 1.

    The guide says both. No sensor can push the paired one of the lowest slot aside: its place tells.
    """
    lowest = min(paired, key=lambda sensor: sensor.slot)
    base = lowest.first - (lowest.slot - 1)
    remarks: tuple[str, ...] = ()
    if base not in {0, 1}:
        base = 0 if any(sensor.first == 0 for sensor in paired) else 1
        what = f"the Trigno server says that sensor {lowest.slot} is at place {lowest.first}"
        remarks = (f"{what}, counted from we cannot tell where; compare each channel with its muscle",)
    return [replace(sensor, first=sensor.first - base) for sensor in paired], remarks


def _check_places(sensors: Sequence[Sensor], width: int) -> None:
    """Raise DeviceError where two sensors share a place of a row, or one is outside."""
    for what, most in (("EMG", SLOTS), ("AUX", SLOTS * width)):
        taken: dict[int, int] = {}
        for sensor in sensors:
            first, count = (
                (sensor.first, sensor.emg_channels) if what == "EMG" else (sensor.aux_first, sensor.aux_channels)
            )
            for place in range(first, first + count):
                if not 0 <= place < most or place in taken:
                    other = f" and sensor {taken[place]}" if place in taken else ""
                    raise DeviceError(
                        f"the Trigno server says that sensor {sensor.slot}{other} is at place {place + 1} of {most} on "
                        f"its {what} port; pair the sensors again in the Trigno Control Utility"
                    )
                taken[place] = sensor.slot


def _described(port: CommandPort, sensor: Sensor, began_s: float) -> Sensor:
    """Return a sensor with its units, and its serial number and the like while there is time for it."""
    slot, channels = sensor.slot, sensor.emg_channels + sensor.aux_channels
    # channels are counted from 1: asking for channel 0 crashes the server
    units = tuple(port.asked(f"SENSOR {slot} CHANNEL {channel} UNITS?") or "" for channel in range(1, channels + 1))
    if not any(units) and sensor.aux_channels == LEGACY_AUX_WIDTH:  # an old server, and its sensors have this alone
        units = (*("",) * sensor.emg_channels, *("g",) * LEGACY_AUX_WIDTH)
    sensor = replace(sensor, units=units)
    if time.monotonic() - began_s > _DETAILS_S:
        return sensor
    return replace(
        sensor,
        serial=port.asked(f"SENSOR {slot} SERIAL?") or "",
        firmware=port.asked(f"SENSOR {slot} FIRMWARE?") or "",
        mode=port.asked(f"SENSOR {slot} MODE?") or "",
        native_rate=port.asked(f"SENSOR {slot} CHANNEL 1 RATE?") or "" if channels else "",
    )


def _list(slots: Sequence[int]) -> str:
    return ", ".join(str(slot) for slot in slots)
