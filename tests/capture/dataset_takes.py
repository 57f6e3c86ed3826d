"""The takes that the tests of storage write into datasets, for tests of this room."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def load_flex_takes(project: Path) -> ModuleType:
    """Return ``tests/storage/flex_takes.py``, which lies in another room's folder."""
    spec = importlib.util.spec_from_file_location("flex_takes_of_storage", project / "tests/storage/flex_takes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
