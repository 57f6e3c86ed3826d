"""The figures of making takes again: copies are takes of their own, and what is said to be kept was kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.checksums import verify_sums
from storage.flex import validate


@pytest.mark.slow
def test_it_prints_its_tables(tmp_path: Path, monkeypatch, capsys) -> None:
    import resegment

    def small(out: Path, **options: object) -> Path:
        return record_offline(out, repetitions=1, **(options | {"options": None, "cameras": False}))

    record_offline = resegment.record_offline
    monkeypatch.setattr(resegment, "record_offline", small)
    monkeypatch.setattr(resegment, "_DIFFERENT", 1)
    monkeypatch.setattr(
        "sys.argv", ["resegment.py", "--minutes", "0.2", "--film-minutes", "0", "--folder", str(tmp_path)]
    )
    resegment.main()
    shown = capsys.readouterr().out
    assert "| signals | 0." in shown
    assert "finding repetitions" in shown
    assert "`--workers 2`" in shown
    takes = sorted((tmp_path / "signals" / "raw").glob("*/*/*"))
    assert len(takes) > 1
    assert all(verify_sums(take) == [] for take in takes)
    assert validate(tmp_path / "d1") == []
    assert (tmp_path / "w1" / "repetitions.parquet").read_bytes() == (
        tmp_path / "w2" / "repetitions.parquet"
    ).read_bytes()
