"""The rig entries in the pages of devices are entries that a rig takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capture.rig_file import load_rig

PAGES = {"zephyr-bioharness.md": 2, "serial-and-sockets.md": 3}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_entry_is_valid(project: Path, tmp_path: Path, page: str) -> None:
    text = (project / "docs" / "devices" / page).read_text(encoding="utf-8")
    entries = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(entries) == PAGES[page]
    for entry in entries:
        path = tmp_path / "lab.toml"
        path.write_text(f'name = "lab"\n{entry}', encoding="utf-8")
        (device,) = load_rig(path).devices
        assert device.entry.driver in text
