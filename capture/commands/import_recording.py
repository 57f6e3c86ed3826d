"""``flex-capture import``: what another program recorded becomes a raw take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capture.commands.finite_range import FiniteRange

_LONGEST_S = 1_000_000.0


@click.command("import", short_help="Make a raw take of an XDF file of LabRecorder.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--subject", required=True, help="Pseudonymous id of the subject: letters and digits, such as S12.")
@click.option("--action", required=True, help="The FLEX action, by id or name.")
@click.option(
    "--skill", default=None, help="Skill level: novice, amateur or expert; by the subject's sheet if not given."
)
@click.option("--load-kg", type=FiniteRange(0, 500), default=None, help="Weight on the implement, as FLEX counts it.")
@click.option("--reps", type=click.IntRange(1, 200), default=10, help="Repetitions that were asked for.")
@click.option(
    "--rig", type=click.Path(path_type=Path), default=None, help="Rig file that says what the streams do not say."
)
@click.option(
    "--video",
    multiple=True,
    metavar="VIEW=FILE:STREAM[:CHANNEL]",
    help="A video, and the stream that counts its frames or a CSV table (frame, time_s) of session times; repeatable.",
)
@click.option(
    "--first-frame",
    multiple=True,
    metavar="VIEW=NUMBER",
    help="The number that the stream gives to the video's first frame, mostly 0 or 1; repeatable.",
)
@click.option(
    "--from", "from_s", type=FiniteRange(0, _LONGEST_S), default=None, help="The take begins so many seconds on."
)
@click.option("--to", "to_s", type=FiniteRange(0, _LONGEST_S), default=None, help="The take ends so many seconds on.")
@click.option("--from-marker", default=None, help="The take begins with this marker of a stream of texts.")
@click.option("--to-marker", default=None, help="The take ends with the next marker that says this.")
@click.option("--session", default=None, help="Name of the session; by the day of the recording if not given.")
@click.option("--recorded-utc", default=None, help="When the first sample was recorded, such as 2026-11-22T09:30:00Z.")
@click.option("--again", is_flag=True, help="Import a file that was imported already.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("flex-data"), help="Folder of the raw takes and the dataset."
)
def import_recording(**options: Any) -> int:
    """Make a raw take of an XDF file that LabRecorder or another program recorded, and write it into the dataset.

    The file is copied as it is. Streams are called, described and corrected by the rig's [[stream]] entries, as when
    they are recorded. No time is made up: a video needs a stream or a table that says when its frames were taken.

    A file with several takes in it is imported once for each, with --from and --to, in seconds from the first sample of
    the file, or with markers in it. Each take keeps the whole file.
    """
    from capture.import_request import ImportRequest
    from capture.import_take import import_take
    from capture.import_window import WindowRequest

    window = WindowRequest(**{name: options.pop(name) for name in ("from_s", "to_s", "from_marker", "to_marker")})
    return import_take(ImportRequest(window=window, **options))
