"""Qualisys Track Manager (QTM) by its real-time protocol, over TCP or UDP."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from drivers.driver import DriverConfig, TakeStart, config_of, filled_in
from drivers.host_clock import HostClock
from drivers.links.udp_link import UdpLink
from drivers.qualisys.frame_count import FrameCount
from drivers.qualisys.list_watch import ListWatch, changed, read_parameters
from drivers.qualisys.qtm_channels import (
    EVENT_TEXTS,
    EVENTS,
    MarkerLayout,
    SkeletonLayout,
    analog_name,
    analog_stream,
    axis_remark,
    event_stream,
    force_stream,
    marker_stream,
    plate_name,
    sample_rows,
    skeleton_stream,
)
from drivers.qualisys.qtm_config import QtmConfig, stream_command
from drivers.qualisys.rt_codec import (
    COMMAND,
    ERROR,
    Data,
    Event,
    NoMoreData,
    Packet,
    Reply,
    decode_packet,
)
from drivers.qualisys.rt_components import Analog, Force, Malformed, Points, Samples, Skeletons
from drivers.qualisys.rt_parameters import Parameters
from drivers.qualisys.rt_session import RtSession
from lab.errors import DeviceError
from lab.streams import Chunk, StreamSpec

_READ_S: Final = 0.2
#: With UDP, TCP is looked at this often at least: it carries events and parameters.
_LOOK_S: Final = 0.05
#: Damage is said this often at most.
_SAY_S: Final = 1.0
_RETRY_S: Final = 0.5
#: Frames that are watched before the streams are described.
_WATCHED: Final = 5
_WATCH_S: Final = 2.0
#: Chunks held back while QTM is asked whether its lists are still the same; it answers within one of its frames or two.
_MOST_HELD: Final = 20_000

_CHANGES: Final = {1, 3, 8, 11}


class Qtm:
    """Streams ``markers``, ``skeleton``, ``analog`` (one a device), ``force`` (one a plate) and ``events``.

    Counters are QTM's: its frame number, an analogue device's or a plate's own sample number. Device time is the
    frame's timestamp, of markers and skeletons alone: by Qualisys' document it is not valid for the others. A QTM whose
    frame number stands still while it measures (qualisys_python_sdk#37: live, others met it) is counted on the host.
    """

    Config: ClassVar[type[DriverConfig]] = QtmConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, QtmConfig)
        self._clock = clock
        self._session = RtSession(self._settings.host, self._settings.base_port + 1, clock)
        self._what = self._session.what
        self._udp: UdpLink | None = None
        self._parameters = Parameters()
        self._specs: tuple[StreamSpec, ...] = ()
        self.remarks: tuple[str, ...] = ()
        self._reset()

    def _reset(self) -> None:
        self._queue: deque[Chunk] = deque()
        self._held: deque[Chunk] | None = None
        self._counts: dict[str, FrameCount] = {}
        self._lists = ListWatch(self._session, self._settings.components, Parameters())
        self._measuring = False
        self._data_s = time.monotonic()
        self._state = ""
        self._events = -1
        self._damaged_datagrams = 0
        self._damage_said = 0
        self._damage_said_s = 0.0

    # --- before a take -------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, agree on a version, read the lists, and wait until frames come. Raises DeviceError."""
        self.close()
        self._reset()
        try:
            self._session.open()
            self._version = self._session.ask("QTMVersion").text
            if self._settings.udp:
                self._udp = UdpLink("0.0.0.0", self._settings.udp_port, "QTM", self._clock)  # noqa: S104 - any network
                self._udp.open()
            watched = self._begin()
            self._describe(watched)
        except DeviceError:
            self.close()
            raise
        self._data_s = time.monotonic()
        self._lists = ListWatch(self._session, self._settings.components, self._parameters)

    def _begin(self) -> list[Data]:
        """Read the lists and begin to stream; again until QTM measures. Return the first frames."""
        end_s = time.monotonic() + self._settings.wait_s
        asked = False
        while True:
            self._parameters = read_parameters(self._session)
            problem = self._missing()
            if problem is None:
                watched = self._watch()
                if watched:
                    return watched
                problem = (
                    f"{self._what} runs but does not measure; begin a preview or a capture in QTM,"
                    " or play a file with real-time output, then try again"
                )
            if self._settings.if_idle != "wait" and not asked:
                self._take_control()
                asked = True
            if time.monotonic() > end_s:
                raise DeviceError(problem)
            self._session.send("StreamFrames Stop")
            time.sleep(_RETRY_S)
            self._session.receive(0.0)

    def _missing(self) -> str | None:
        """Return what of the asked is not there, None where all is."""
        wanted, found = self._settings.components, self._parameters
        if not found.rate_hz:
            return f"{self._what} has no measurement open; begin a preview in QTM (New) or open a file, then try again"
        if "markers" in wanted and not found.labels:
            return f"{self._what} has no labelled markers; apply an AIM model to the subject in QTM, then try again"
        if "markers" in wanted and not any(label.startswith(self._settings.prefix) for label in found.labels):
            return f"no marker of {self._what} begins with '{self._settings.prefix}'; correct 'prefix' in the rig"
        if "skeleton" in wanted and not any(skeleton.segments for skeleton in found.skeletons):
            return f"{self._what} has no skeleton; solve one in QTM, or leave 'skeleton' out of 'components'"
        if "analog" in wanted and not any(device.labels for device in found.analog):
            return f"{self._what} has no analogue device; activate one in QTM, or leave 'analog' out of 'components'"
        if "force" in wanted and not found.plates:
            return f"{self._what} has no force plate; set one up in QTM, or leave 'force' out of 'components'"
        return None

    def _take_control(self) -> None:
        answer = self._session.ask(f"TakeControl {filled_in(self._settings.password)}".strip())
        if answer.kind != COMMAND or not answer.text.startswith(("You are now", "You are already")):
            raise DeviceError(
                f"{self._what} gives no control ({answer.text[:80]}); check 'password' and QTM's RT options"
            )
        preview = self._settings.if_idle == "preview"
        answer = self._session.ask("New" if preview else "Start RTFromFile")
        self._session.ask("ReleaseControl")
        if not answer.text.startswith(("Creating", "Already connected", "Starting", "RT from file already")):
            raise DeviceError(f"{self._what} does not begin to measure ({answer.text[:80]}); begin it in QTM")

    def _watch(self) -> list[Data]:
        """Ask for frames and return the first few, or none where there is no measurement."""
        self._session.send("GetState")
        self._session.send(stream_command(self._settings, None if self._udp is None else self._udp.local_address[1]))
        frames: list[Data] = []
        end_s = time.monotonic() + _WATCH_S
        while time.monotonic() < end_s and len({frame.timestamp_us for frame in frames}) < _WATCHED:
            for packet, _ in self._received(_READ_S):
                if isinstance(packet, Reply) and packet.kind == ERROR:
                    raise DeviceError(f"{self._what} does not stream ({packet.text[:80]}); check 'components'")
                if isinstance(packet, NoMoreData):
                    return []
                if isinstance(packet, Event):
                    self._state = EVENT_TEXTS.get(packet.number, f"event {packet.number}")
                if isinstance(packet, Data):
                    frames.append(packet)
        if not frames and self._udp is not None:
            raise DeviceError(
                f"no UDP datagram of {self._what} arrives at port {self._udp.local_address[1]}; open the firewall"
                " for it, or set udp = false"
            )
        return frames

    def _describe(self, watched: list[Data]) -> None:
        settings, found = self._settings, self._parameters
        numbers = list(dict.fromkeys((frame.timestamp_us, frame.frame) for frame in watched))
        steps = {second[1] - first[1] for first, second in itertools.pairwise(numbers)}
        self._host_counted = steps == {0}
        origin: Any = "host" if self._host_counted else "device"
        details = {
            "qtm_version": self._version,
            "protocol_version": self._session.version,
            "transport": "UDP" if settings.udp else "TCP",
            "axis_up": found.axis_up,
            "handedness": "right",
            "calibrated": found.calibrated,
            "cameras": str(len(found.cameras)),
        }
        self._markers = MarkerLayout([label.removeprefix(settings.prefix) for label in found.labels], self._what)
        self._skeletons = SkeletonLayout(found, self._what)
        specs: list[StreamSpec] = []
        if "markers" in settings.components:
            specs.append(marker_stream(found, self._markers, origin, details, residuals=settings.residuals))
        if "skeleton" in settings.components:
            alone = "markers" not in settings.components
            specs.append(skeleton_stream(found, self._skeletons, origin, details, alone=alone))
        if "analog" in settings.components:
            analog = [device for device in found.analog if device.labels]
            specs += [analog_stream(device, found, details, settings.emg) for device in analog]
        if "force" in settings.components:
            specs += [force_stream(plate, found, details) for plate in found.plates]
        specs.append(event_stream(details))
        self._specs = tuple(specs)
        self._layouts = {spec.name: len(spec.channels) for spec in specs}
        self.remarks = self._remarks(steps)

    def _remarks(self, steps: set[int]) -> tuple[str, ...]:
        settings, found = self._settings, self._parameters
        remarks = []
        if self._host_counted:
            remarks.append(f"{self._what} does not number its frames: lost frames show as gaps in time alone")
        elif len(steps) == 1 and min(steps) > 1:
            remarks.append(
                f"{self._what} sends every {min(steps)}. frame alone; set its real-time processing to the capture rate"
            )
        axis = axis_remark(found.axis_up) if found.labels or found.skeletons else None
        if axis is not None:
            remarks.append(axis)
        there = {"skeleton": found.skeletons, "analog": found.analog, "force": found.plates}
        more = [name for name, entries in there.items() if entries and name not in settings.components]
        if more:
            remarks.append(f"{self._what} also has {', '.join(more)}, which 'components' leaves out")
        return tuple(remarks)

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return what QTM sends; valid once open."""
        return self._specs

    def start(self, take: TakeStart) -> None:  # noqa: ARG002 - QTM runs by itself
        """Say in ``events`` what QTM was last heard to do, and what there is to remark; it runs by itself."""
        said = [f"remark: {remark}" for remark in self.remarks]
        said += [f"state: {self._state}"] if self._state else []
        now_s = self._clock.now_s()
        self._queue.extend(self._event(text, now_s) for text in said)

    # --- in a take -----------------------------------------------------------------------------------------------

    def read(self) -> Chunk | None:
        """Return what came next. Raises DeviceError where QTM is gone, silent, or has other lists than before."""
        if not self._queue:
            chunks: list[Chunk] = []
            for packet, arrival_s in self._received(_READ_S):
                self._take_in(packet, arrival_s, chunks)
            self._put(_joined(chunks))
            self._look_after()
        return self._queue.popleft() if self._queue else None

    def _received(self, wait_s: float) -> list[tuple[Packet, float]]:
        """Return packets of TCP, and of UDP where frames come over it."""
        if self._udp is None:
            came = self._session.receive(wait_s)
        else:
            came = self._datagram(min(wait_s, _LOOK_S))
            # what TCP says goes first: that something has changed may concern this very frame
            came = self._session.receive(0.0) + came
        return came

    def _datagram(self, wait_s: float) -> list[tuple[Packet, float]]:
        assert self._udp is not None
        datagram = self._udp.receive(wait_s)
        if datagram is None:
            return []
        try:
            if datagram.sender[0] != self._session.peer:
                raise Malformed
            packet = decode_packet(memoryview(datagram.data))
            if not isinstance(packet, Data | NoMoreData):
                raise Malformed
        except Malformed:
            self._damaged_datagrams += 1
            return []
        return [(packet, datagram.arrival_s)]

    def _put(self, chunks: Iterable[Chunk]) -> None:
        """Queue chunks, or hold them back until QTM has said that its lists are still the same."""
        for chunk in chunks:
            if self._held is None or chunk.stream == EVENTS:
                self._queue.append(chunk)
            else:
                self._held.append(chunk)
                if len(self._held) > _MOST_HELD:
                    raise DeviceError(f"{self._what} does not say whether its markers are still the same; check it")

    def _take_in(self, packet: Packet, arrival_s: float, chunks: list[Chunk]) -> None:
        if isinstance(packet, Data):
            self._measuring = True
            self._data_s = time.monotonic()
            for component in packet.components:
                chunks += self._chunks(component, packet, arrival_s)
        elif isinstance(packet, NoMoreData):
            if self._measuring:
                self._measuring = False
                chunks.append(self._event("no more data", arrival_s))
        elif isinstance(packet, Event):
            self._state = EVENT_TEXTS.get(packet.number, f"event {packet.number}")
            chunks.append(self._event(self._state, arrival_s))
            if packet.number in _CHANGES:
                self._put(_joined(chunks))  # what came before is of before
                chunks.clear()
                self._held = self._held if self._held is not None else deque()
                self._lists.ask()
        elif isinstance(packet, Reply):
            self._lists.take_in(packet, measuring=self._measuring)
            if self._held is not None and not self._lists.due:
                held, self._held = self._held, None
                self._queue.extend(held)

    def _chunks(self, component: Any, packet: Data, arrival_s: float) -> list[Chunk]:
        device_s = packet.timestamp_us / 1e6
        if isinstance(component, Points):
            if len(component.values) != self._markers.count:
                raise changed(self._what, f"{len(component.values)} markers instead of {self._markers.count}")
            return self._chunk("markers", packet.frame, self._markers.rows([component]), arrival_s, device_s)
        if isinstance(component, Skeletons):
            if not self._skeletons.fits(component):
                raise changed(self._what, "other skeletons")
            return self._chunk("skeleton", packet.frame, self._skeletons.row(component)[None], arrival_s, device_s)
        if isinstance(component, Analog):
            known = {device.number: analog_name(device, self._parameters) for device in self._parameters.analog}
            return self._sampled(component.devices, known, arrival_s)
        if isinstance(component, Force):
            plates = {plate.number: plate_name(plate, self._parameters) for plate in self._parameters.plates}
            return self._sampled(component.plates, plates, arrival_s)
        return []

    def _sampled(self, parts: tuple[Samples, ...], known: dict[int, str], arrival_s: float) -> list[Chunk]:
        chunks: list[Chunk] = []
        for part in parts:
            name = known.get(part.number, "")
            if self._layouts.get(name) != part.values.shape[1]:
                raise changed(self._what, f"a device {part.number} with {part.values.shape[1]} channels")
            chunks += self._chunk(name, part.first, sample_rows(part), arrival_s, float("nan"))
        return chunks

    def _chunk(self, name: str, first: int, values: npt.NDArray[Any], arrival_s: float, device_s: float) -> list[Chunk]:
        if name not in self._layouts:
            return []
        count = self._counts.setdefault(name, FrameCount(late_allowed=self._udp is not None))
        if self._host_counted and name in {"markers", "skeleton"}:
            begin: int | None = count.next_host(len(values))
        else:
            begin = count.next(first, len(values))
            if begin is None and count.began_anew:
                raise DeviceError(
                    f"{self._what} counts anew: another measurement has begun, or its file plays from its start again;"
                    " its lists are read again"
                )
        if begin is None:
            return []
        return [Chunk(name, values, begin + np.arange(len(values), dtype=np.int64), arrival_s, device_s)]

    def _event(self, text: str, arrival_s: float) -> Chunk:
        self._events += 1
        return Chunk(EVENTS, np.array([[text]], dtype=object), np.array([self._events], dtype=np.int64), arrival_s)

    # --- is it still there? --------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        now_s = time.monotonic()
        settings = self._settings
        if self._lists.due and now_s - self._lists.asked_s > settings.stall_s:
            raise DeviceError(f"{self._what} has answered nothing for {settings.stall_s:g} s; check its network")
        if self._measuring and now_s - self._data_s > settings.stall_s:
            raise DeviceError(
                f"{self._what} has sent no frame for {settings.stall_s:g} s; check that it measures, and its network"
            )
        damage = self._session.damaged + self._damaged_datagrams
        if damage != self._damage_said and now_s - self._damage_said_s > _SAY_S:
            self._damage_said, self._damage_said_s = damage, now_s
            self._queue.append(self._event(f"{damage} damaged packets passed over so far", self._clock.now_s()))
        if settings.check_labels_s and not self._lists.due and now_s - self._lists.asked_s > settings.check_labels_s:
            self._lists.ask()

    def close(self) -> None:
        """Disconnect; any number of times."""
        self._session.close()
        if self._udp is not None:
            self._udp.close()
        self._udp = None


def _joined(chunks: list[Chunk]) -> list[Chunk]:
    """Put neighbours of one stream that arrived together into one."""
    groups: dict[tuple[str, float], list[Chunk]] = {}
    for chunk in chunks:
        groups.setdefault((chunk.stream, chunk.arrival_s), []).append(chunk)
    return [
        group[0]
        if len(group) == 1
        else Chunk(
            group[0].stream,
            np.concatenate([chunk.values for chunk in group]),
            np.concatenate([chunk.counters for chunk in group]),
            group[0].arrival_s,
            group[-1].device_time_s,
        )
        for group in groups.values()
    ]
