"""QTM's lists of names: read before a take, and looked at again in it, for anyone may change them at any time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from drivers.qualisys.qtm_channels import Part
from drivers.qualisys.qtm_config import PARAMETERS_OF
from drivers.qualisys.rt_codec import XML, Reply
from drivers.qualisys.rt_parameters import BadParametersError, Parameters, parse_parameters
from drivers.qualisys.rt_session import RtSession
from lab.errors import DeviceError


def read_parameters(session: RtSession) -> Parameters:
    """Ask for all that is used, one kind after the other; what is not there is empty. Raises DeviceError."""
    found = Parameters()
    for kind, names in (
        ("General", ("rate_hz", "cameras")),
        ("3D", ("labels", "axis_up", "calibrated")),
        ("Analog", ("analog",)),
        ("Force", ("plates", "force_units")),
        ("Skeleton:global", ("skeletons",)),
    ):
        answer = session.ask(f"GetParameters {kind}")
        if answer.kind == XML:
            said = _parsed(answer.text, session.what)
            values: dict[str, Any] = {name: getattr(said, name) for name in names}
            found = replace(found, **values)
    return found


class ListWatch:
    """Asks for the lists that the streams of ``parts`` rest on, and compares what answers with ``before``.

    Answers come between frames. ``due`` of them are still awaited, ``asked_s`` is when they were asked for, by
    ``time.monotonic``.
    """

    def __init__(self, session: RtSession, parts: tuple[Part, ...], before: Parameters) -> None:
        self._session = session
        self._parts = parts
        self._before = before
        self._again = False
        self.due = 0
        self.asked_s = time.monotonic()

    def ask(self) -> None:
        """Ask now, or again after the answers that are on their way: they may be of before. Raises DeviceError."""
        if self.due:
            self._again = True
            return
        self.asked_s = time.monotonic()
        self._again = False
        for part in self._parts:
            self._session.send(f"GetParameters {PARAMETERS_OF[part]}")
        self.due = len(self._parts)

    def take_in(self, reply: Reply, *, measuring: bool) -> None:
        """Compare an answer. Without a measurement QTM may have nothing to say. Raises DeviceError where it differs."""
        if not self.due:
            return  # what a server says unasked
        part = self._parts[len(self._parts) - self.due]
        self.due -= 1
        if reply.kind == XML:
            self._compare(part, _parsed(reply.text, self._session.what))
        elif measuring:
            self._compare(part, Parameters())
        if not self.due and self._again:
            self.ask()

    def _compare(self, part: Part, now: Parameters) -> None:
        before, what = self._before, self._session.what
        if part == "markers" and now.labels != before.labels:
            raise changed(what, _difference(before.labels, now.labels))
        if part == "markers" and now.axis_up != before.axis_up:
            raise changed(what, f"{now.axis_up} up instead of {before.axis_up}")
        if part == "skeleton" and now.skeletons != before.skeletons:
            raise changed(what, "other skeletons")
        if part == "analog" and now.analog != before.analog:
            raise changed(what, "other analogue channels, units or rates")
        if part == "force" and (now.plates, now.force_units) != (before.plates, before.force_units):
            raise changed(what, "other force plates")


def changed(what: str, how: str) -> DeviceError:
    """Return what is raised where QTM now has something else than its lists said."""
    return DeviceError(f"{what} now has {how}; its lists are read again, so that nothing is mislabelled")


def _parsed(text: str, what: str) -> Parameters:
    try:
        return parse_parameters(text)
    except BadParametersError as error:
        raise DeviceError(f"{what} sends parameters that cannot be used: {error}; is it QTM?") from None


def _difference(before: tuple[str, ...], now: tuple[str, ...]) -> str:
    gone, new = [label for label in before if label not in now], [label for label in now if label not in before]
    said = [f"no marker '{gone[0]}'" if gone else "", f"a new marker '{new[0]}'" if new else ""]
    return " and ".join(text for text in said if text) or "its markers in another order"
