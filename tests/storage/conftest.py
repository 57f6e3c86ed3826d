"""What tests of several files of this room share."""

from __future__ import annotations

from pathlib import Path

import flex_takes
import pytest


@pytest.fixture(scope="session")
def take_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw take's folder with the videos of two views, frames numbered; only read."""
    folder = tmp_path_factory.mktemp("raw")
    for view in ("view1", "view2"):
        flex_takes.write_numbered_video(folder / f"{view}.mov")
    return folder
