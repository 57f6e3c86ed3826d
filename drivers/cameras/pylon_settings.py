"""Settings of a Basler camera: set by name, read back, refused in one sentence.

GigE cameras of older kinds call some of them by other names (``…Abs``, ``…Raw``), hence a choice of names for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.errors import DeviceError


class PylonSettings:
    """The nodes of an open camera; ``what`` is what sentences call it."""

    def __init__(self, camera: Any, what: str) -> None:
        from pypylon import genicam

        self._nodes = camera.GetNodeMap()
        self._genicam = genicam
        self._what = what
        #: Everything that was set, as the camera says it back.
        self.done: dict[str, str] = {}

    def value(self, *names: str) -> Any:
        """Return the value of the first of ``names`` that can be read, None where none can."""
        for name in names:
            node = self._node(name)
            if node is not None and self._genicam.IsReadable(node):
                return node.GetValue()
        return None

    def set(self, names: Sequence[str], value: Any, *, needed: bool = True, tolerance: float = 0.0) -> None:
        """Set the first of ``names`` that can be written, and read it back.

        A number may come back as another one within ``tolerance`` (a part of it). Raises DeviceError where the camera
        has none of them (unless not ``needed``), or makes something else of the value.
        """
        for name in names:
            node = self._node(name)
            if node is None or not self._genicam.IsWritable(node):
                continue
            try:
                node.SetValue(value)
                got = node.GetValue()
            except self._genicam.GenericException:
                raise DeviceError(f"{self._what} refuses {name} {value}{self._reach(node)}") from None
            same = abs(got - value) <= tolerance * abs(value) if isinstance(value, float) else got == value
            if not same:
                raise DeviceError(f"{self._what} makes {name} {got} instead of {value}{self._reach(node)}")
            self.done[name] = f"{got:g}" if isinstance(got, float) else str(got)
            return
        if needed:
            raise DeviceError(f"{self._what} has no {names[0]} that can be set; leave it out in the rig")

    def execute(self, name: str) -> None:
        """Do a command."""
        self._nodes.GetNode(name).Execute()

    def _node(self, name: str) -> Any:
        try:
            node = self._nodes.GetNode(name)
            return node if node is not None and self._genicam.IsAvailable(node) else None
        except self._genicam.GenericException:
            return None

    def _reach(self, node: Any) -> str:
        if hasattr(node, "GetSymbolics"):
            return f"; it has {', '.join(node.GetSymbolics()[:30])}"
        try:
            low, high = node.GetMin(), node.GetMax()
        except (self._genicam.GenericException, AttributeError):
            return ""
        try:
            step = f" in steps of {node.GetInc():g}"
        except (self._genicam.GenericException, AttributeError):
            step = ""
        return f"; it goes from {low:g} to {high:g}{step}"
