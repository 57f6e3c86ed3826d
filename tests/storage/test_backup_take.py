"""A take in a backup is whole or is not called a take; nothing that is there is ever written over."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import BackupError, TakeError
from sealed_takes import FILES, content, write_sealed_take
from storage import backup_copy
from storage.backup_copy import Meter, copy_changing_file, copying_path, make_folders
from storage.backup_take import TakeCopy, copy_take
from storage.checksums import SUMS_NAME, verify_sums

PLACE = Path("raw", "S12", "20261122-0930", "A16-01")


def back_up(take: Path, dest: Path, *, quick: bool = False) -> TakeCopy:
    dest.mkdir(exist_ok=True)
    return copy_take(take, dest, dest / PLACE, quick=quick, meter=Meter())


@pytest.fixture
def take(tmp_path: Path) -> Path:
    return write_sealed_take(tmp_path / "out" / PLACE, marks=b'{"kind": "note"}\n')


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "dest"


def test_a_take_is_copied_whole_and_then_only_compared(take: Path, dest: Path) -> None:
    copied, compared = [], []
    dest.mkdir()
    meter = Meter(copied.append, compared.append)
    first = copy_take(take, dest, dest / PLACE, quick=False, meter=meter)
    size = sum(len(data) for data in content(take).values())
    assert (first.whole, first.problems, first.failed) == (True, [], False)
    assert (sum(copied), sum(compared)) == (size, size)
    assert content(dest / PLACE) == content(take)
    assert verify_sums(dest / PLACE) == []
    again = copy_take(take, dest, dest / PLACE, quick=False, meter=meter)
    assert (again.whole, again.copied_bytes, again.marks_copied, again.problems) == (True, 0, False, [])
    assert sum(copied) == size
    assert sum(compared) == 2 * size - len(b'{"kind": "note"}\n')  # marks are compared with the source itself
    assert back_up(take, dest, quick=True) == again


def test_a_source_that_changed_is_not_copied_as_good(take: Path, dest: Path) -> None:
    (take / "view1.mov").write_bytes(b"M" * 70_000)
    (take / "truth" / "emg.jsonl").unlink()
    (take / "notes.txt").write_text("belt on")
    copy = back_up(take, dest)
    assert not copy.whole
    assert [problem.split(";")[0].split(" and ")[0] for problem in sorted(copy.problems)] == [
        f"{take} is not whole in the backup",
        f"{take / 'notes.txt'} was not there when the take was closed",
        f"{take / 'truth' / 'emg.jsonl'} is missing",
        f"{take / 'view1.mov'} has changed since it was recorded",
    ]
    part = copying_path(dest / PLACE)
    assert not (dest / PLACE).exists()
    assert sorted(content(part)) == ["SHA256SUMS", "marks.jsonl", "notes.txt", "streams.xdf", "take.json"]
    write_sealed_take(take)  # both files come back from somewhere
    (take / SUMS_NAME).write_bytes((part / SUMS_NAME).read_bytes())
    assert back_up(take, dest).whole
    assert not part.exists()


def test_what_differs_in_the_backup_stays(take: Path, dest: Path) -> None:
    assert back_up(take, dest).whole
    other = b"M" * 70_000
    (dest / PLACE / "view1.mov").write_bytes(other)
    copy = back_up(take, dest)
    assert not copy.whole
    assert [problem.split(";")[0] for problem in copy.problems] == [
        f"{dest / PLACE / 'view1.mov'} differs from what was recorded and is not overwritten"
    ]
    assert (dest / PLACE / "view1.mov").read_bytes() == other
    assert back_up(take, dest, quick=True).whole  # it has the same size: that is what quick means
    (dest / PLACE / "view1.mov").write_bytes(other[1:])
    assert not back_up(take, dest, quick=True).whole
    (dest / PLACE / "view1.mov").unlink()  # moved away, as was said
    assert back_up(take, dest).whole
    assert content(dest / PLACE) == content(take)


def test_a_file_that_only_the_backup_still_has_is_fine(take: Path, dest: Path) -> None:
    assert back_up(take, dest).whole
    (take / "view1.mov").unlink()
    assert back_up(take, dest) == TakeCopy(whole=True)
    (dest / PLACE / "view1.mov").write_bytes(b"")
    assert not back_up(take, dest).whole


def test_another_take_of_the_same_name_is_left_alone(take: Path, dest: Path, tmp_path: Path) -> None:
    other = write_sealed_take(tmp_path / "elsewhere" / PLACE, FILES | {"streams.xdf": b"other"}, marks=b"{}\n")
    assert back_up(take, dest).whole
    before = content(dest)
    copy = back_up(other, dest)
    assert not copy.whole
    assert "another take of the same name" in copy.problems[0]
    assert content(dest) == before


def test_names_in_checksums_lead_nowhere(take: Path, dest: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    with (take / SUMS_NAME).open("a") as file:
        file.write(f"{empty}  ../../../../../secret\n{empty}  {secret}\nrubbish\n")
    copy = back_up(take, dest)
    assert not copy.whole
    assert sum("is missing" in problem for problem in copy.problems) == 2
    assert "is not a checksum" in copy.problems[0]
    assert {path.name for path in tmp_path.iterdir()} == {"out", "dest", "secret"}


@given(ours=st.binary(max_size=40), theirs=st.none() | st.binary(max_size=40), grown=st.booleans())
def test_marks_only_grow(
    tmp_path_factory: pytest.TempPathFactory, ours: bytes, theirs: bytes | None, grown: bool
) -> None:
    folder = tmp_path_factory.mktemp("marks")
    take, dest = write_sealed_take(folder / "out" / PLACE), folder / "dest"
    assert back_up(take, dest).whole
    if theirs is not None:
        (dest / PLACE / "marks.jsonl").write_bytes(theirs)
        ours = theirs + ours if grown else ours
    (take / "marks.jsonl").write_bytes(ours)
    copy = back_up(take, dest)
    there = dest / PLACE / "marks.jsonl"
    found = there.read_bytes() if there.exists() else b""
    assert copy.whole
    if ours.startswith(theirs or b""):
        assert (found, copy.problems) == (ours, [])
    else:
        assert found == theirs
        assert ("has more lines" if theirs and theirs.startswith(ours) else "differ in what was said") in str(copy)


_SMALL = st.dictionaries(
    st.sampled_from(["take.json", "streams.xdf", "view1.mov", "view1.frames", "truth/emg.jsonl"]),
    st.binary(max_size=30),
    min_size=1,
)


@given(ours=_SMALL, theirs=_SMALL, quick=st.booleans(), sealed=st.booleans(), passage=st.booleans())
def test_no_file_of_a_backup_is_ever_changed(
    tmp_path_factory: pytest.TempPathFactory,
    ours: dict[str, bytes],
    theirs: dict[str, bytes],
    quick: bool,
    sealed: bool,
    passage: bool,
) -> None:
    folder = tmp_path_factory.mktemp("backup")
    take, dest = write_sealed_take(folder / "out" / PLACE, ours), folder / "dest"
    there = copying_path(dest / PLACE) if passage else dest / PLACE
    write_sealed_take(there, theirs)
    if not sealed:
        (there / SUMS_NAME).unlink()
    before, source = content(there), content(take)
    copy = back_up(take, dest, quick=quick)
    after = content(dest / PLACE if copy.whole else there)
    assert before.items() <= after.items()
    assert content(take) == source
    if copy.whole and not (quick and not passage):
        assert source.items() <= after.items()
    if any(theirs.get(name, data) != data for name, data in ours.items()) and not quick:
        assert not copy.whole
        assert copy.problems


def test_what_people_change_keeps_its_earlier_contents(tmp_path: Path) -> None:
    source, target = tmp_path / "S12.toml", tmp_path / "dest" / "S12.toml"
    target.parent.mkdir()
    contents = [b"one", b"two", b"one", b"three", b"two"]
    for data in contents:
        source.write_bytes(data)
        assert copy_changing_file(source, target, Meter())
        assert target.read_bytes() == data
        assert not copy_changing_file(source, target, Meter())
    assert set(content(target.parent).values()) == set(contents)
    assert len(content(target.parent)) == 4  # "two" is both the newest and an earlier one
    copying_path(target).write_bytes(b"left by a crash")
    source.write_bytes(b"four")
    assert copy_changing_file(source, target, Meter())
    assert not copying_path(target).exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("after", [0, 3, 9])
def test_a_failing_disk_leaves_nothing_half_written(
    take: Path, dest: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: int
) -> None:
    calls = 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(backup_copy.os, "fsync", fsync)
        with pytest.raises(BackupError, match=os.strerror(number)):
            back_up(take, dest)
    assert not (dest / PLACE).exists()
    assert content(copying_path(dest / PLACE)).items() <= content(take).items()
    assert back_up(take, dest).whole
    assert content(dest / PLACE) == content(take)


def test_a_disk_that_lies_is_found_out(take: Path, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(write: Callable[[memoryview], int], block: bytes) -> None:
        write(memoryview(bytes(len(block))))

    monkeypatch.setattr(backup_copy, "_write_all", forgetful)
    with pytest.raises(BackupError, match="did not come back"):
        back_up(take, dest)
    assert content(dest) == {}


def test_a_source_that_cannot_be_read_is_named_and_the_rest_copied(take: Path, dest: Path) -> None:
    unreadable = Path("/proc/self/mem")  # it can be opened, and fails at the first byte
    if not unreadable.is_file():
        pytest.skip("there is no file here that cannot be read")
    (take / "view1.mov").unlink()
    (take / "view1.mov").symlink_to(unreadable)
    copy = back_up(take, dest)
    assert (copy.whole, copy.failed) == (False, True)
    assert f"{take / 'view1.mov'} cannot be read (Input/output error)" in copy.problems[0]
    assert content(copying_path(dest / PLACE)).keys() == {*FILES, "SHA256SUMS", "marks.jsonl"} - {"view1.mov"}
    (take / SUMS_NAME).unlink()
    with pytest.raises(TakeError, match="has no SHA256SUMS"):
        back_up(take, dest)


def test_the_place_of_a_backup_is_never_made(take: Path, dest: Path) -> None:
    with pytest.raises(BackupError, match="plugged in"):
        copy_take(take, dest, dest / PLACE, quick=False, meter=Meter())
    assert not dest.exists()
    with pytest.raises(BackupError):
        make_folders(dest, dest / "raw")


def test_a_kill_at_any_moment_leaves_nothing_that_looks_whole(tmp_path: Path, dest: Path) -> None:
    """The copying process is killed outright after a random number of blocks; each next one goes on."""
    files = FILES | {f"view{number}.mov": os.urandom(3_000_000) for number in range(1, 6)}
    take = write_sealed_take(tmp_path / "out" / PLACE, files, marks=b"{}\n")
    dest.mkdir()
    script = (
        "import os, signal, sys; from pathlib import Path; from storage.backup_copy import Meter;"
        "from storage.backup_take import copy_take; take, dest, target = map(Path, sys.argv[1:4]);"
        "blocks = iter(range(int(sys.argv[4])));"
        "hear = lambda count: next(blocks, None) is None and os.kill(os.getpid(), signal.SIGKILL);"
        "copy_take(take, dest, target, quick=False, meter=Meter(hear, hear))"
    )
    moments = random.Random(4)
    for _ in range(8):
        blocks = moments.randrange(24)
        command = [sys.executable, "-c", script, str(take), str(dest), str(dest / PLACE), str(blocks)]
        assert subprocess.run(command, timeout=30, check=False).returncode == -signal.SIGKILL
        if (dest / PLACE).exists():
            assert verify_sums(dest / PLACE) == []
        for path in dest.rglob("*"):
            if path.is_file() and path.suffix != ".copying":
                truth = "truth/" if path.parent.name == "truth" else ""
                assert path.read_bytes() == content(take)[truth + path.name]
    assert back_up(take, dest).whole
    assert content(dest) == {f"{PLACE.as_posix()}/{name}": data for name, data in content(take).items()}
