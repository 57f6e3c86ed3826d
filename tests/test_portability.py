"""Nothing on the main path may need Linux, and nothing heavy is imported where everyone pays for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOMS = ("lab", "storage", "drivers", "sync", "calibration", "assessment", "capture")
POSIX_MODULES = {"fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "posix", "syslog"}
POSIX_NAMES = {
    "fork", "forkpty", "symlink", "mkfifo", "killpg", "getuid", "geteuid", "getpgid", "setsid", "chown", "symlink_to",
    "hardlink_to", "set_wakeup_fd", "pthread_kill", "SIGKILL", "SIGUSR1", "SIGALRM", "alarm",
}  # fmt: skip
#: Practice with a pty needs one, and says so elsewhere; a TCP port does the same.
PTY_ONLY = {("drivers/emulators/serial_end.py", "symlink_to")}
HEAVY_MODULES = {
    "scipy",
    "pandas",
    "cv2",
    "av",
    "pyarrow",
    "h5py",
    "pylsl",
    "simplejpeg",
    "c3d",
    "pypylon",
    "rich",
    "serial",
    "rerun",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yield every file of the rooms as they are installed here."""
    for room in ROOMS:
        folder = Path(str(import_module(room).__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            yield f"{room}/{path.relative_to(folder).as_posix()}", ast.parse(path.read_text(encoding="utf-8"))


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return {(node.module or "").split(".")[0]}
    return set()


def at_top(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the module's own statements; those under TYPE_CHECKING cost nobody anything."""
    for node in tree.body:
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node


def test_every_room_is_looked_at() -> None:
    assert {path.split("/")[0] for path, _ in sources()} == set(ROOMS)


def test_no_posix_only_call_on_the_main_path() -> None:
    found = [
        f"{path}:{node.lineno} {node.attr}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in POSIX_NAMES and (path, node.attr) not in PTY_ONLY
    ]
    assert found == []


@pytest.mark.parametrize(("modules", "why"), [(POSIX_MODULES, "POSIX only"), (HEAVY_MODULES, "heavy")])
def test_what_may_not_be_imported_at_the_top(modules: set[str], why: str) -> None:
    found = [
        f"{path}: {name} ({why})"
        for path, tree in sources()
        for node in at_top(tree)
        for name in imported(node) & modules
    ]
    assert found == []
