"""``FlexMarkers`` on the network: what happens in a take, for recorders and displays beside ours."""

from __future__ import annotations

import socket
from typing import Any

from drivers.publish import source_id
from lab.streams import MARKERS_LABELS, MARKERS_NAME
from lab.take import Event


class MarkerOutlet:
    """One string an event, ``kind: text``, stamped with session time. Our own file has them without the network."""

    def __init__(self, session: str) -> None:
        """Publish the stream; it is discoverable at once. Its source id is the same in all takes of a ``session``."""
        import pylsl

        self.source_id = source_id(socket.gethostname(), "recorder", MARKERS_NAME, session)
        info = pylsl.StreamInfo(MARKERS_NAME, "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, self.source_id)
        channel = info.desc().append_child("channels").append_child("channel")
        channel.append_child_value("label", MARKERS_LABELS[0])
        channel.append_child_value("type", "Marker")
        self._outlet: Any = pylsl.StreamOutlet(info)

    def push(self, event: Event) -> None:
        """Send an event to whoever listens."""
        self._outlet.push_sample([event.marker], event.session_s)
