"""The operator's terminal: a live table and bars where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TextIO, cast

from capture.keyboard import read_key, single_keys
from lab.errors import FlexCaptureError

_PLAIN_PERIOD_S: Final = 5.0
_PIPE_COLUMNS: Final = 160
#: As often as the rest that is left is drawn, and as often as it is not.
_CLOCK_PERIOD_S: Final = 0.2
_IDLE_PERIOD_S: Final = 60.0
#: As often as somebody who asks from afar is looked for.
_ASKED_PERIOD_S: Final = 0.1
#: A number that stands alone, such as seconds that are counted; that of view1 is a name.
_NUMBER: Final = re.compile(r"(?<![\w.'-])\d+(\.\d+)?(?![\w.'-])")
#: A key pressed earlier than this after a question appears was not its answer.
_DEAF_S: Final = 0.4


@dataclass(frozen=True)
class Choice:
    """Something the operator can choose with one key: ``shown`` is how the key is written, ``keys`` are those meant."""

    name: str
    shown: str
    text: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class StreamRow:
    """One line of the live table. ``age_s`` is the time since the last sample, ``allowed_s`` how long it may be."""

    name: str
    device: str
    state: str
    rate_asked_hz: float
    rate_measured_hz: float
    samples: int
    lost: int
    age_s: float
    allowed_s: float


@dataclass(frozen=True)
class LiveStatus:
    """What the operator sees while a take runs. ``foot`` is said instead of sizes where no take is written."""

    title: str
    elapsed_s: float
    rows: tuple[StreamRow, ...]
    disk_left_bytes: int
    take_bytes: int
    queue_fill: float
    hint: str
    alarms: tuple[str, ...] = ()
    foot: str = ""


class _Lasting:
    """Standard output that may go away (a closed terminal, ``| head``): then what is said is said to nobody."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    def write(self, text: str) -> int:
        if not self._gone:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._gone = True
        return len(text)

    def flush(self) -> None:
        if not self._gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._gone = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Console:
    """Everything that is shown."""

    def __init__(self) -> None:
        """Look at what kind of terminal there is."""
        from rich.console import Console as RichConsole

        self._rich = RichConsole(
            highlight=False,
            soft_wrap=True,
            file=cast(TextIO, _Lasting(sys.stdout)),
            width=None if sys.stdout.isatty() else _PIPE_COLUMNS,
        )
        self._animated = self._rich.is_terminal and not self._rich.is_dumb_terminal
        self.interactive = self._animated and sys.stdin is not None and sys.stdin.isatty()
        self._live: Any = None
        self._last_plain_s = -_PLAIN_PERIOD_S
        self._alarmed: set[str] = set()
        #: Whether somebody who has no key here asks to stop the take.
        self.stop_asked: Callable[[], bool] = lambda: False

    def line(self, text: str, style: str = "", *, wrap: bool = False) -> None:
        """Print one line, broken between words if ``wrap``. Square brackets in ``text`` are printed as they are."""
        self._rich.print(text, style=style or None, markup=False, soft_wrap=not wrap)

    def render(self, renderable: Any) -> None:
        """Print a table or styled text of rich."""
        self._rich.print(renderable, soft_wrap=False)

    def error(self, text: str) -> None:
        """Print a sentence about something that failed."""
        self._rich.print(text, style="bold red", markup=False)

    def problems(self, error: FlexCaptureError, *, indent: str = "") -> None:
        """Print every sentence of an error."""
        for problem in error.problems:
            self.error(indent + problem)

    def warning(self, text: str) -> None:
        """Print a sentence the operator should read."""
        self._rich.print(text, style="yellow", markup=False)

    def simulated(self, devices: Sequence[str]) -> None:
        """Say loudly that devices are simulated."""
        names = ", ".join(devices)
        if self._animated:
            self._rich.rule("[bold black on yellow] SIMULATED DEVICES [/]", style="yellow")
            self._rich.print(
                f"{names}: no person, no sensor; for practice and tests only", style="yellow", markup=False
            )
            self._rich.rule(style="yellow")
        else:
            self.line(f"*** SIMULATED DEVICES: {names} (for practice and tests only) ***")

    def countdown(self, seconds: int) -> None:
        """Count down to the start, with a tick of the terminal's bell each second."""
        for left in range(seconds, 0, -1):
            self._rich.bell()
            self._rich.print(f"  starts in {left} …", style="bold", end="\r" if self._animated else "\n")
            time.sleep(1.0)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something is under way."""
        if self._animated:
            with self._rich.status(text):
                yield
        else:
            self.line(text)
            yield

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep a live table on the screen; fill it through ``show``."""
        if not self._animated:
            yield
            return
        from rich.live import Live

        with Live(console=self._rich, refresh_per_second=4, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def show(self, status: LiveStatus) -> None:
        """Show the newest state of the take; a new alarm rings the bell, or is a line at once."""
        alarms = {_NUMBER.sub("#", alarm): alarm for alarm in status.alarms}  # one that counts seconds is not new
        fresh = [alarm for key, alarm in alarms.items() if key not in self._alarmed]
        self._alarmed = set(alarms)
        if self._live is not None:
            if fresh:
                self._rich.bell()
            self._live.update(_table(status))
            return
        for alarm in fresh:
            self.error(f"{status.elapsed_s:6.1f} s · {alarm}")
        now_s = time.monotonic()
        if now_s - self._last_plain_s >= _PLAIN_PERIOD_S:
            self._last_plain_s = now_s
            self.line(_plain(status))

    @contextmanager
    def progress(self) -> Iterator[Any]:
        """Yield ``report(stage, done, total)`` that draws a bar a stage."""
        if not self._animated:
            yield self._plain_progress()
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        with Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._rich,
            transient=True,
        ) as bars:
            tasks: dict[str, Any] = {}

            def report(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, total=total)
                bars.update(tasks[stage], completed=done, total=total)

            yield report

    @contextmanager
    def takes_progress(self, total: int) -> Iterator[Callable[[int, Sequence[str]], None]]:
        """Yield ``report(done, running)`` that draws a bar over all takes and what runs, where there is a terminal."""
        if not self._animated:
            yield lambda _done, _running: None
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column

        text = TextColumn(
            "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        )
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), text)
        with Progress(*columns, console=self._rich, transient=True, expand=True) as bars:
            task = bars.add_task("starting …", total=total)

            def report(done: int, running: Sequence[str]) -> None:
                said = " · ".join(running) or ("starting …" if done < total else "writing tables")
                bars.update(task, completed=done, description=said)

            yield report

    def _plain_progress(self) -> Any:
        said: set[str] = set()

        def report(stage: str, _done: int, _total: int) -> None:
            if stage not in said:
                said.add(stage)
                self.line(f"{stage} …")

        return report

    def choose(
        self,
        choices: Sequence[Choice],
        *,
        until_s: float | None = None,
        asked: Callable[[], Choice | None] | None = None,
    ) -> Choice:
        """Wait for the key of one of the choices, or for what is ``asked`` from afar; other keys are passed over.

        Keys of the first moment are passed over too: they were meant for what was on the screen before. Until
        ``until_s`` (monotonic) the rest that is left is shown beside them, and its end is told by the bell.
        Without a terminal only ``asked`` is looked at. Raises KeyboardInterrupt for Ctrl-C and EOFError where the
        terminal is gone.
        """
        from rich.live import Live

        if not self.interactive:
            return _wait_until_asked(asked)
        began_s = time.monotonic()
        resting = until_s is not None and until_s > began_s
        with single_keys(), Live(console=self._rich, auto_refresh=False, transient=True) as live:
            while True:
                left_s = 0.0 if until_s is None else max(0.0, until_s - time.monotonic())
                live.update(_choices(choices, left_s), refresh=True)
                if resting and not left_s:
                    resting = False
                    self._rich.bell()
                choice_from_afar = None if asked is None else asked()
                if choice_from_afar is not None:
                    return choice_from_afar
                key = read_key(_CLOCK_PERIOD_S if left_s else _IDLE_PERIOD_S if asked is None else _ASKED_PERIOD_S)
                if time.monotonic() - began_s < _DEAF_S:
                    continue
                for choice in choices:
                    if key is not None and key in choice.keys:
                        return choice

    def ask_text(self, question: str) -> str:
        """Ask for a line of text, without the spaces around it; nothing where the terminal is gone."""
        while True:
            self._rich.print(question, end="", markup=False)
            try:
                return input().strip()
            except EOFError:
                return ""
            except UnicodeDecodeError:
                self.warning("that is no text in the terminal's encoding; type it again")

    def ask(self, question: str) -> bool:
        """Ask a yes/no question; no is the answer to anything but a y."""
        self._rich.print(f"{question} [y/N] ", end="", markup=False)
        return input().strip().lower() in {"y", "yes"}


def _wait_until_asked(asked: Callable[[], Choice | None] | None) -> Choice:
    if asked is None:
        raise EOFError
    while (choice := asked()) is None:
        time.sleep(_ASKED_PERIOD_S)
    return choice


def _choices(choices: Sequence[Choice], left_s: float) -> Any:
    from rich.text import Text

    text = Text(no_wrap=False, overflow="fold")
    if left_s:
        minutes, seconds = divmod(math.ceil(left_s), 60)
        text.append(f"rest {minutes}:{seconds:02d}   ", style="bold magenta")
    for choice in choices:
        text.append(f"[{choice.shown}]", style="bold cyan")
        text.append(f" {choice.text}   ")
    return text


def _state_style(state: str) -> str:
    return {"ok": "green", "ended": "dim", "waiting": "cyan"}.get(state, "bold red")


def _table(status: LiveStatus) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=status.title, title_style="bold", expand=False)
    table.add_column("stream")
    table.add_column("state")
    for heading in ("asked Hz", "measured Hz", "samples", "lost", "age s"):
        table.add_column(heading, justify="right")
    for row in status.rows:
        table.add_row(
            row.name,
            Text(row.state, style=_state_style(row.state)),
            _number(row.rate_asked_hz),
            _number(row.rate_measured_hz),
            f"{row.samples:,}",
            Text(str(row.lost), style="bold red" if row.lost else ""),
            "" if math.isnan(row.age_s) else f"{row.age_s:.1f}",
        )
    foot = status.foot or (
        f"{status.elapsed_s:5.1f} s · take {status.take_bytes / 1e6:,.0f} MB"
        f" · disk left {status.disk_left_bytes / 1e9:,.1f} GB · video queue {status.queue_fill:.0%}"
    )
    alarms = [Text(alarm, style="bold red") for alarm in status.alarms[-5:]]
    return Group(table, Text(foot), *alarms, Text(status.hint, style="bold cyan"))


def _plain(status: LiveStatus) -> str:
    bad = [row for row in status.rows if row.state not in {"ok", "ended", "waiting"} or row.lost]
    rows = "; ".join(f"{row.name}: {row.state}, {row.lost} lost, {row.age_s:.1f} s old" for row in bad)
    foot = status.foot or f"{status.take_bytes / 1e6:.0f} MB · disk left {status.disk_left_bytes / 1e9:.1f} GB"
    return (
        f"{status.elapsed_s:6.1f} s · {len(status.rows)} streams · {sum(row.samples for row in status.rows)} samples · "
        + foot
        + (f" · {rows}" if rows else "")
    )


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.3f}".rstrip("0").rstrip(".") if value else "irregular"
