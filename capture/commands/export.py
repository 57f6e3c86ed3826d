"""Takes as files of other programs: ``flex-capture export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capture.commands.finite_range import FiniteRange

#: Options that mean something for a release alone, and those that mean nothing for it.
_FOR_RELEASE = ("out", "split", "seed", "test_share", "emg_targets", "excluded", "partial")
_NOT_FOR_RELEASE = ("take_id", "force")


@click.command(short_help="Write takes as files that other programs read.")
@click.argument("place", metavar="TAKE|DATASET", type=click.Path(path_type=Path))
@click.argument("out", metavar="[OUT]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["c3d", "rerun", "release"]),
    required=True,
    help="c3d: joints and sEMG; rerun: all of a raw take, for the Rerun viewer; release: the tree of FLEX's public"
    " training code.",
)
@click.option("--take", "take_id", default=None, help="Of a dataset: only this take, by its id.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(), help="Folder for the files.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option(
    "--split", type=click.Choice(["subject", "repetition"]), default="subject", help="Release: what is kept together."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, help="Release: which split it is.")
@click.option(
    "--test-share", type=FiniteRange(0.01, 0.99), default=0.2, help="Release: share of the samples for tests."
)
@click.option(
    "--emg-targets",
    type=click.Path(path_type=Path),
    default=None,
    help="Release: TOML file that names the sEMG channels of each action's targets.",
)
@click.option("--excluded", is_flag=True, help="Release: with what was retaken or excluded.")
@click.option("--partial", is_flag=True, help="Release: with what lacks view2 or sEMG targets.")
def export(place: Path, out: Path | None, file_format: str, take_id: str | None, output: Path, **options: Any) -> int:
    """Write takes as files that other programs read.

    C3D: joints and sEMG, a raw take as one file, a dataset as one file a repetition, of the current takes that are not
    excluded. Start, turn and end of each repetition are events. Rerun: a raw take with pictures of its views. Release:
    a dataset as the tree that FLEX's public training code loads, into the new folder OUT (or --output).
    """
    _refuse_strangers(_NOT_FOR_RELEASE if file_format == "release" else _FOR_RELEASE, file_format)
    if file_format == "release":
        return _release(place, out, output, **options)
    from capture.export import ExportRequest, export_c3d
    from capture.export_rerun import export_rerun

    write = {"c3d": export_c3d, "rerun": export_rerun}[file_format]
    return write(ExportRequest(place, take_id, output, options["force"]))


def _release(place: Path, out: Path | None, output: Path, **options: Any) -> int:
    from capture.export_release import export_release
    from capture.output_folder import require_dataset_folder
    from capture.release_plan import ReleaseRequest
    from lab.emg_targets import EmgTargets
    from storage.protocol_file import read_emg_targets

    if (out is None) == (not _given("output")):
        raise click.UsageError("name the new folder of the release once, such as: export DATASET OUT --format release")
    require_dataset_folder(place)
    targets = options["emg_targets"]
    return export_release(
        ReleaseRequest(
            dataset=place,
            output=out or output,
            targets=EmgTargets(targets={}) if targets is None else read_emg_targets(targets),
            split=options["split"],
            seed=options["seed"],
            test_share=options["test_share"],
            excluded=options["excluded"],
            partial=options["partial"],
        )
    )


def _given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _refuse_strangers(names: tuple[str, ...], file_format: str) -> None:
    for name in names:
        if _given(name) and click.get_current_context().params[name] is not None:
            shown = {"out": "OUT", "take_id": "--take"}.get(name, f"--{name.replace('_', '-')}")
            raise click.UsageError(f"{shown} is not for --format {file_format}")
