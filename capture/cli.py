"""``flex-capture``: the one way in. A command a file in ``capture/commands``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback

import click

from capture.commands.amend import amend
from capture.commands.backup import backup
from capture.commands.check import check
from capture.commands.devices import devices
from capture.commands.doctor import doctor
from capture.commands.emulate import emulate
from capture.commands.export import export
from capture.commands.import_recording import import_recording
from capture.commands.info import info
from capture.commands.rebuild import rebuild
from capture.commands.record import record
from capture.commands.recover import recover
from capture.commands.replay import replay
from capture.commands.reps import reps
from capture.commands.resegment import resegment
from capture.commands.rig import rig
from capture.commands.segment import segment
from capture.commands.show import show
from capture.commands.status import status
from capture.commands.stream import stream
from capture.commands.subject import subject
from capture.commands.sync import sync
from capture.commands.validate import validate
from capture.commands.verify import verify
from capture.commands.withdraw import withdraw
from capture.shown_text import shown
from lab.errors import FlexCaptureError

_INTERRUPTED = 130
_FAILED = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show where in the program an error came from.")
@click.version_option(package_name="flex-capture", prog_name="flex-capture")
def group(debug: bool) -> None:
    """Record FLEX-style fitness data: MoCap, cameras, sEMG, heart and breath rate, on one clock."""


for _command in (
    record,
    import_recording,
    check,
    devices,
    rig,
    status,
    info,
    show,
    amend,
    reps,
    subject,
    withdraw,
    resegment,
    segment,
    export,
    sync,
    validate,
    verify,
    backup,
    recover,
    rebuild,
    stream,
    replay,
    emulate,
    doctor,
):
    group.add_command(_command)


def main() -> None:
    """Run the command line and leave with the exit code that the design promises."""
    _use_utf8()
    _use_one_thread_for_matrices()
    debug = "--debug" in sys.argv
    try:
        code = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = _INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except FlexCaptureError as error:
        if debug:
            traceback.print_exc()
        for problem in error.problems:
            click.echo(f"flex-capture: {shown(problem)}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        click.echo("flex-capture: interrupted", err=True)
        code = _INTERRUPTED
    except BrokenPipeError:
        code = _FAILED
    except Exception as error:  # noqa: BLE001 - an operator sees a sentence, not a traceback
        if debug:
            traceback.print_exc()
        click.echo(
            f"flex-capture: something unexpected failed ({type(error).__name__}: {error}); run it again with"
            " `flex-capture --debug …` and report what it prints",
            err=True,
        )
        code = _FAILED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said and done: a late Ctrl-C must not change the exit code
    _let_go_of_output()
    sys.exit(code if isinstance(code, int) else 0)


def _let_go_of_output() -> None:
    """Keep a reader of our output that has gone away from changing the exit code while Python ends."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _use_one_thread_for_matrices() -> None:
    """Keep numpy's matrices on one thread, here and in all processes that are started: before its import.

    Ours are small: the threads of a library that waits for them busily take many times what they save, most of all
    beside other processes. And a sum over several threads may differ in its last bit from one computer to the next.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _use_utf8() -> None:
    """Let terminals with an old code page show what they can instead of failing on a dot."""
    for output in (sys.stdout, sys.stderr):
        reconfigure = getattr(output, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


if __name__ == "__main__":
    main()
