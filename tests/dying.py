"""A program that dies at a change of a name, for tests of what its next run makes of that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


class KilledError(BaseException):
    """Stands for a power cut: nothing after it runs, not even what clears up."""


def die_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], int]:
    """Let the process 'die' before its ``number``-th change of a name; return how many there were."""
    calls = 0

    def dying(act: Callable[..., object]) -> Callable[..., object]:
        def watched(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == number:
                raise KilledError
            return None if calls > number else act(*arguments, **options)

        return watched

    monkeypatch.setattr(os, "replace", dying(os.replace))
    for name in ("rename", "unlink"):
        monkeypatch.setattr(Path, name, dying(getattr(Path, name)))
    return lambda: calls
