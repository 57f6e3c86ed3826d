"""The drivers of records: over a serial line, a TCP connection, and UDP."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field, model_validator

from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from drivers.links.serial_link import SerialLink
from drivers.links.tcp_link import TcpLink
from drivers.links.udp_link import UdpLink
from drivers.links.usb_port import find_port
from drivers.records.description import RecordsConfig
from drivers.records.reading import Records
from drivers.records.record_device import RecordDevice
from lab.errors import DeviceError

_LOCAL = "0.0.0.0"  # noqa: S104 - any interface of this computer


class SerialRecordsConfig(RecordsConfig):
    """The port, and what comes from it."""

    port: str = Field(
        min_length=1,
        description="Serial port, such as COM4 or /dev/ttyACM0, usb:SERIAL by its USB serial number, or "
        "socket://host:port.",
    )
    baud: int = Field(115200, ge=50, le=20_000_000, description="Bits a second, as the device was set to.")

    @model_validator(mode="after")
    def _can_be_cut(self) -> SerialRecordsConfig:
        if self.format == "binary" and not self.sync and self.checksum == "none":
            raise ValueError("on a serial line nobody can tell where a record begins; give it 'sync' or a 'checksum'")
        return self


class SerialRecords(RecordDevice):
    """Records over a serial line, USB or Bluetooth, 8N1.

    Counters are the device's where a column or field is its `counter`, else the host's count of what it received: then
    a loss before the host shows as a gap in time at best.
    """

    Config: ClassVar[type[DriverConfig]] = SerialRecordsConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        """Touch nothing yet; ``open`` connects."""
        settings = config_of(config, SerialRecordsConfig)
        self._serial = settings
        self._link = SerialLink(settings.port, settings.baud, _name(settings), clock)
        super().__init__(settings, clock)

    @property
    def _what(self) -> str:
        return f"{_name(self._settings)} on {self._serial.port}"

    @property
    def _help(self) -> str:
        return "check its cable, its baud, and whether it needs a start_command"

    def _connect(self) -> None:
        name = _name(self._settings)
        port, _ = find_port(self._serial.port, name)  # it may have another name than the last time
        self._link = SerialLink(port, self._serial.baud, name, self._clock)
        self._link.open()
        self._link.drain()

    def _send(self, data: bytes) -> None:
        self._link.send(data)

    def _receive(self) -> tuple[bytes, float] | None:
        return self._link.receive()

    def _disconnect(self) -> None:
        self._link.close()


class TcpRecordsConfig(RecordsConfig):
    """The address, and what comes from it."""

    host: str = Field(min_length=1, max_length=253, description="Address of the device.")
    port: int = Field(ge=1, le=65535, description="Its TCP port.")


class TcpRecords(RecordDevice):
    """Records from a TCP server.

    Counters are the device's where a column or field is its `counter`, else the host's count of what it received.
    """

    Config: ClassVar[type[DriverConfig]] = TcpRecordsConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        """Touch nothing yet; ``open`` connects."""
        settings = config_of(config, TcpRecordsConfig)
        self._where = f"{settings.host}:{settings.port}"
        self._link = TcpLink(settings.host, settings.port, _name(settings), clock)
        super().__init__(settings, clock)

    @property
    def _what(self) -> str:
        return f"{_name(self._settings)} at {self._where}"

    @property
    def _help(self) -> str:
        return "check that it measures, and whether it needs a start_command"

    def _connect(self) -> None:
        self._link.open()

    def _send(self, data: bytes) -> None:
        self._link.send(data)

    def _receive(self) -> tuple[bytes, float] | None:
        return self._link.receive()

    def _disconnect(self) -> None:
        self._link.close()


class UdpRecordsConfig(RecordsConfig):
    """The port to listen at, and what comes to it."""

    port: int = Field(ge=1, le=65535, description="UDP port of this computer that the device sends to.")
    interface: str = Field(_LOCAL, description="Address of this computer to listen at; any if not given.")
    group: str | None = Field(None, description="Multicast group that the device sends to, such as 239.255.1.1.")
    device_host: str | None = Field(
        None, description="IP address of the device; the first that sends a record is listened to if not given."
    )
    device_port: int | None = Field(None, ge=1, le=65535, description="Its UDP port, where commands are sent.")

    @model_validator(mode="after")
    def _can_be_reached(self) -> UdpRecordsConfig:
        problems = list(self._mistakes_of_addresses())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _mistakes_of_addresses(self) -> Iterator[str]:
        for key in ("interface", "group", "device_host"):
            address = getattr(self, key)
            if address is not None and not _is_ip4(address):
                yield f"'{key}' is {address!r}, which is no IPv4 address such as 192.168.1.20"
        if self.group is not None and _is_ip4(self.group) and not ipaddress.IPv4Address(self.group).is_multicast:
            yield f"'group' is {self.group}, but multicast groups are 224.0.0.0 to 239.255.255.255"
        if (self.start_command or self.stop_command) and (self.device_host is None or self.device_port is None):
            yield "a command needs to know where to go; give 'device_host' and 'device_port'"


class UdpRecords(RecordDevice):
    """Records in UDP datagrams: one or several whole ones in each, never a part.

    Counters are the device's where a column or field is its `counter`; a datagram that was overtaken is left out, and
    is a gap. Without a counter they are the host's count of what it received.
    """

    Config: ClassVar[type[DriverConfig]] = UdpRecordsConfig
    DATAGRAMS: ClassVar[bool] = True

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        """Touch nothing yet; ``open`` binds the port."""
        self._udp = settings = config_of(config, UdpRecordsConfig)
        host = settings.interface if settings.group is None else _LOCAL
        self._link = UdpLink(host, settings.port, _name(settings), clock, settings.group, settings.interface)
        self._sender = settings.device_host
        self._latest = ""
        super().__init__(settings, clock)

    @property
    def _what(self) -> str:
        return f"{_name(self._settings)} on UDP port {self._udp.port}"

    @property
    def _help(self) -> str:
        return "check that it sends to this computer, and that the firewall lets it"

    def _connect(self) -> None:
        self._sender = self._udp.device_host
        self._link.open()

    def _send(self, data: bytes) -> None:
        if self._udp.device_host is None or self._udp.device_port is None:  # the config does not let it come here
            raise DeviceError(f"{self._what} has no address to send to; give 'device_host' and 'device_port'")
        self._link.send(data, (self._udp.device_host, self._udp.device_port))

    def _receive(self) -> tuple[bytes, float] | None:
        came = self._link.receive()
        if came is None or (self._sender is not None and came.sender[0] != self._sender):
            return None
        self._latest = came.sender[0]
        return came.data, came.arrival_s

    def _make_chunks(self, records: Records, arrival_s: float) -> None:
        self._sender = self._latest  # whoever sent the first record that fits is the device
        super()._make_chunks(records, arrival_s)

    def _disconnect(self) -> None:
        self._link.close()


def _name(config: RecordsConfig) -> str:
    """Return what sentences call the device: its model, if the rig says so."""
    return f"the {config.model}" if config.model else "the device"


def _is_ip4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
