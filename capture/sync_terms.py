"""What is known of devices and streams before they are synchronised: latency, tolerance, which channel counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from capture.stream_description import as_described
from lab.errors import RequestError
from lab.recorded import RecordedStream
from lab.rig import StreamEntry

_TOLERANCE_MS: Final = 5.0


@dataclass(frozen=True)
class StreamTerms:
    """How late a stream is, how uncertain its times may be, and as what the rig describes it, if it does."""

    latency_s: float = 0.0
    tolerance_ms: float = _TOLERANCE_MS
    entry: StreamEntry | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The latency in seconds and the tolerance in milliseconds."""
        return self.latency_s, self.tolerance_ms

    def described(self, stream: RecordedStream) -> RecordedStream:
        """Return a stream as the rig describes it. Raises RigError where that does not fit."""
        return stream if self.entry is None else as_described(self.entry, stream)


def terms_of_take(rig: Mapping[str, Any], device: str) -> StreamTerms:
    """Return what the rig in ``take.json`` says of a device, or of a stream of others, by its name there."""
    for kind in ("stream", "device"):
        for said in rig.get(kind, ()):
            if said["name"] == device:
                return _terms(rig, said, is_stream=kind == "stream")
    return _terms(rig, {}, is_stream=False)


def terms_of_file(rig: Mapping[str, Any], streams: Sequence[RecordedStream]) -> dict[str, StreamTerms]:
    """Return, by name, what a rig says of the streams of a file that somebody recorded.

    A ``[[stream]]`` is the one with its source id, or of its name where it gives none; a ``[[device]]`` those that say
    that they are of this device. Raises RequestError where an entry could be several streams.
    """
    out = {}
    for stream in streams:
        device: Mapping[str, Any] = next(
            (said for said in rig.get("device", ()) if said["name"] in (stream.device, stream.name)), {}
        )
        out[stream.name] = _terms(rig, device, is_stream=False)
    for said in rig.get("stream", ()):
        meant = [stream for stream in streams if _is_meant(said, stream)]
        if len(meant) > 1:
            names = ", ".join(stream.name for stream in meant)
            raise RequestError(
                f"stream '{said['name']}' of the rig could be {names}; give it the source_id that only one of them has"
            )
        for stream in meant:
            out[stream.name] = _terms(rig, said, is_stream=True)
    return out


def _is_meant(said: Mapping[str, Any], stream: RecordedStream) -> bool:
    if said.get("source_id"):
        return bool(said["source_id"] == stream.source_id)
    return said["name"] in (stream.name, stream.device)


def _terms(rig: Mapping[str, Any], said: Mapping[str, Any], *, is_stream: bool) -> StreamTerms:
    # its marker map stands in take.json in full, no longer by name
    entry = StreamEntry(**(dict(said) | {"marker_map": None})) if is_stream else None
    usual = rig.get("max_uncertainty_ms", _TOLERANCE_MS)
    return StreamTerms(float(said.get("latency_s", 0.0)), float(said.get("max_uncertainty_ms") or usual), entry)
