"""The signals of a take: HDF5, a group per repetition, every modality at its native rate with its times."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.aligned import AlignedStream, AlignedTake
from lab.joints import JOINTS
from lab.repetitions import Repetition
from storage.flex.description import SIGNALS, TIME_DESCRIPTION
from storage.flex.paths import group_name
from storage.flex.versions import LAYOUT_VERSION

Float64 = npt.NDArray[np.float64]

#: Datasets of at least this many bytes are chunked and compressed; smaller ones only grow by it.
_WORTH_COMPRESSING: Final = 4096
_CHUNK_ROWS: Final = 4096


@dataclass(frozen=True)
class Signal:
    """One modality: ``values`` (samples, …) float32 or as recorded, ``time_s`` (samples,).

    ``keep_last`` asks for the last sample before a repetition too: at one value a second a repetition could have none.
    """

    name: str
    stream: str
    device: str
    values: npt.NDArray[Any]
    time_s: Float64
    labels: tuple[str, ...]
    rate_nominal_hz: float
    rate_measured_hz: float
    simulated: bool
    keep_last: bool = False

    def within(self, repetition: Repetition) -> slice:
        """Return the samples of a repetition, start and end included."""
        first = int(np.searchsorted(self.time_s, repetition.start_s, side="left"))
        last = int(np.searchsorted(self.time_s, repetition.end_s, side="right"))
        at_start = first < len(self.time_s) and self.time_s[first] == repetition.start_s
        if self.keep_last and not at_start:
            first = max(first - 1, 0)
        return slice(first, last)


def _measured_hz(stream: AlignedStream) -> float:
    if len(stream.time_s) < 2:
        return float("nan")
    return float((stream.counter[-1] - stream.counter[0]) / (stream.time_s[-1] - stream.time_s[0]))


def take_signals(take: AlignedTake) -> tuple[Signal, ...]:
    """List the take's modalities; rates are those of the take's stream reports where there is one."""
    rates = {report.stream: (report.rate_asked_hz, report.rate_measured_hz) for report in take.reports}
    out = []
    if take.emg is not None:
        emg = take.emg
        nominal, measured = rates.get(emg.name, (emg.rate_hz, _measured_hz(emg)))
        labels = tuple(channel.label for channel in emg.channels)
        values = emg.values.astype(np.float32)
        out.append(Signal("emg", emg.name, emg.device, values, emg.time_s, labels, nominal, measured, emg.simulated))
    if take.pose is not None:
        pose = take.pose
        nominal, measured = rates.get(pose.stream, (pose.rate_hz, float("nan")))
        positions = pose.positions_m.astype(np.float32)
        times = pose.time_s
        out.append(Signal("pose", pose.stream, "", positions, times, JOINTS, nominal, measured, pose.simulated))
    for name, stream in (("heart_rate", take.heart_rate), ("breath_rate", take.breath_rate)):
        if stream is not None:
            nominal, measured = rates.get(stream.name, (stream.rate_hz, _measured_hz(stream)))
            labels = tuple(channel.label for channel in stream.channels[:1])
            values = stream.values[:, 0].astype(np.float32)
            out.append(
                Signal(
                    name,
                    stream.name,
                    stream.device,
                    values,
                    stream.time_s,
                    labels,
                    nominal,
                    measured,
                    stream.simulated,
                    keep_last=True,
                )
            )
    return tuple(out)


def _add_dataset(group: Any, name: str, values: npt.NDArray[Any], unit: str, description: str, signal: Signal) -> Any:
    options: dict[str, Any] = {"track_times": False}
    if values.nbytes >= _WORTH_COMPRESSING:
        chunk = (min(_CHUNK_ROWS, len(values)), *values.shape[1:])
        options |= {"chunks": chunk, "compression": "gzip", "compression_opts": 1, "shuffle": True}
    dataset = group.create_dataset(name, data=values, **options)
    set_attributes(dataset, {"unit": unit, "description": description, **_rates(signal)})
    return dataset


def _rates(signal: Signal) -> dict[str, float]:
    return {
        "rate_nominal_hz": float(signal.rate_nominal_hz),
        "rate_measured_hz": float(signal.rate_measured_hz),
    }


def set_attributes(node: Any, attributes: Mapping[str, str | float | bool]) -> None:
    """Give a new group or dataset attributes: the bytes of ``node.attrs[name] = value`` in less than half the time.

    A take has hundreds of them, and h5py works out type and space of each anew.
    """
    import h5py

    for name, value in attributes.items():
        text = isinstance(value, str)
        array = np.array(value, dtype=h5py.string_dtype()) if text else np.asarray(value)
        kind, memory_kind, space = _attribute_type(None if text else array.dtype.str)
        h5py.h5a.create(node.id, name.encode(), kind, space).write(array, mtype=memory_kind)


@functools.cache
def _attribute_type(of: str | None) -> tuple[Any, Any, Any]:
    """Return what HDF5 calls one value of a numpy type, None for text: in the file, in memory, and its space."""
    import h5py

    kind = h5py.string_dtype() if of is None else np.dtype(of)
    return h5py.h5t.py_create(kind, logical=True), h5py.h5t.py_create(kind), h5py.h5s.create(h5py.h5s.SCALAR)


def signals_bytes(take: AlignedTake, repetitions: Sequence[Repetition], revision: str) -> bytes:
    """Encode the signals of all repetitions: the same take gives the same bytes.

    HDF5 gives compressed values their place when they are flushed. Left to the end of their handles, that would depend
    on who holds these, such as a thread that looks at the program's frames: so each is flushed at once.

    ``rep_01/emg/values`` (samples, channels) microvolt, ``rep_01/pose/values`` (samples, 21, 3) metres,
    ``rep_01/heart_rate/values`` and ``rep_01/breath_rate/values`` (samples,) per minute, all float32; beside each
    ``time`` (samples,) float64 seconds of session time.
    """
    import h5py

    signals = take_signals(take)
    sink = io.BytesIO()
    with h5py.File(sink, "w", libver=("v108", "v110")) as file:
        file.attrs["layout"] = "FLEX"
        file.attrs["layout_version"] = LAYOUT_VERSION
        file.attrs["take_id"] = take.record.id
        file.attrs["revision"] = revision
        file.attrs["raw_digest"] = take.raw_digest
        file.attrs["simulated"] = take.record.simulated
        for number, repetition in enumerate(repetitions, start=1):
            group = file.create_group(group_name(number))
            group.attrs["take_id"] = take.record.id
            group.attrs["repetition"] = number
            group.attrs["start_s"] = repetition.start_s
            group.attrs["turn_s"] = repetition.turn_s
            group.attrs["end_s"] = repetition.end_s
            for signal in signals:
                samples = signal.within(repetition)
                part = group.create_group(signal.name)
                unit, _shape, description = SIGNALS[signal.name]
                values = _add_dataset(part, "values", signal.values[samples], unit, description, signal)
                values.attrs["labels"] = list(signal.labels)
                values.flush()
                _add_dataset(part, "time", signal.time_s[samples], "s", TIME_DESCRIPTION, signal).flush()
                set_attributes(part, {"stream": signal.stream, "device": signal.device, "simulated": signal.simulated})
                set_attributes(part, _rates(signal))
    return sink.getvalue()
